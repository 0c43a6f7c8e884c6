"""Linear attention and its relatives: their memory is a matrix, a sum of keys times values.

Sources: Katharopoulos et al. 2020, "Transformers are RNNs" (linear attention, section 3.4 as a
recurrence); Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence
Length" (DeltaNet, section 2; the rule is that of Schlag et al. 2021); Yang et al. 2025, "Gated
Delta Networks", section 3.1 (both rules with a scalar gate that decays the memory).
"""

from typing import Any, Literal, NamedTuple, overload

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import matrix_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Projected
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.numerics import merge_heads, product, split_heads, wide
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Zeros

FEATURE_MAPS = {
    "elu": lambda x: jax.nn.elu(x) + 1.0,  # Katharopoulos et al. 2020, eq. 7
    "relu": jax.nn.relu,
    "softmax": lambda x: jax.nn.softmax(x, axis=-1),
    "silu": jax.nn.silu,
    "identity": lambda x: x,
}
POSITIVE = ("elu", "relu", "softmax")
SMALLEST_SUM = 1e-6
SMALLEST_NORM = 1e-6


class LinearAttentionState(NamedTuple):
    """``memory`` is the sum of ``k v^T``, ``keys`` the sum of k, by which reads are divided."""

    memory: Float[Array, "*batch heads K V"]
    keys: Float[Array, "*batch heads K"]


class FastWeightState(NamedTuple):
    """``memory`` is the sum of ``k v^T``, whose reads are not divided."""

    memory: Float[Array, "*batch heads K V"]


@overload
def linear_attention(
    size: int,
    heads: int = 1,
    *,
    feature_map: Literal["elu", "relu", "softmax"] | None = None,
    rule: Literal["sum"] = "sum",
    gated: bool = False,
    normalize: Literal[True] | None = None,
    forget_bias: float | None = None,
) -> Cell[LinearAttentionState]: ...


@overload
def linear_attention(
    size: int,
    heads: int = 1,
    *,
    feature_map: str | None = None,
    rule: Literal["delta"],
    gated: bool = False,
    normalize: Literal[False] | None = None,
    forget_bias: float | None = None,
) -> Cell[FastWeightState]: ...


@overload
def linear_attention(
    size: int,
    heads: int = 1,
    *,
    feature_map: str | None = None,
    rule: str = "sum",
    gated: bool = False,
    normalize: bool | None = None,
    forget_bias: float | None = None,
) -> Any: ...  # a cell of either state


@factory
def linear_attention(
    size: int,
    heads: int = 1,
    *,
    feature_map: str | None = None,
    rule: str = "sum",
    gated: bool = False,
    normalize: bool | None = None,
    forget_bias: float | None = None,
) -> Cell[Any]:
    """Linear attention: ``S = f S + k v^T``, ``y = (q S / q z) w_y``, with z the sum of the keys.

    Katharopoulos et al. 2020, eq. 16 to 20, without their residual and feed-forward parts: causal
    attention with weights ``phi(q) phi(k)``, whose cost and state do not grow with time. (Yang et
    al. also put short convolutions before the memory and norms after it, which this cell does not
    have.)

    Params, in the order query, key, value, input (b, one per head, under the delta rule), forget
    (one per head, if gated): ``w_x [D, 3H + ...]``, ``b [3H + ...]``, ``w_y [H, H]``. State
    ``LinearAttentionState(memory, keys)``, or ``FastWeightState(memory)`` if reads are not divided;
    output ``y``.

    Args:
        size: The size H of the output.
        heads: The number of memories, each of ``H / heads`` keys by ``H / heads`` values.
        feature_map: phi, the map of queries and keys: "elu" (``elu(x) + 1``, the paper's), "relu",
            "softmax" (over the keys), "silu" or "identity". The default is "elu", and "silu" under
            the delta rule.
        rule: "sum" adds each write. "delta" (DeltaNet, Yang et al. 2024) writes only what the key
            does not already read: ``S = f S + b k (v - f k S)^T`` with ``b = sigmoid(...)``, and
            scales queries and keys to length 1.
        gated: Whether a gate ``f = sigmoid(...)`` of x, one per head, decays the memory (Yang et
            al. 2025; with the delta rule: Gated DeltaNet). Without it f is 1.
        normalize: Whether reads are divided by ``q z``, or by 1e-6 if that is larger. By default
            they are with positive feature maps under the sum rule, as in the paper. The delta rule
            requires False.
        forget_bias: The initial bias of the gate; by default 3, which keeps 95 % per step.
    """
    size = checking.positive_int("size", size)
    heads = checking.divisor("heads", heads, size)
    delta = checking.choice("rule", rule, ("sum", "delta")) == "delta"
    gated = checking.flag("gated", gated)
    if feature_map is None:
        feature_map = "silu" if delta else "elu"
    phi = FEATURE_MAPS[checking.choice("feature_map", feature_map, FEATURE_MAPS)]
    if normalize is None:
        normalize = feature_map in POSITIVE and not delta
    if checking.flag("normalize", normalize) and delta:
        raise WrongValue("normalize: expected False under the delta rule, got True")
    if forget_bias is not None and not gated:
        raise WrongValue(f"forget_bias: expected None without a gate, got {forget_bias}")
    start = 3.0 if forget_bias is None else checking.real("forget_bias", forget_bias)
    per_head = size // heads
    present = {"input": delta, "forget": gated}
    names = ("query", "key", "value", *(gate for gate, there in present.items() if there))
    widths = (size,) * 3 + (heads,) * (len(names) - 3)
    axis = GateAxis(names, widths, (("forget", 1),) if gated else (), ("input",) if delta else ())

    def features(values):
        mapped = phi(split_heads(values, heads))
        return to_unit_length(mapped) if delta else mapped

    def project(params, x):
        pre = axis.split(product(x, params["w_x"]) + params["b"])
        v = split_heads(pre["value"], heads)
        if normalize:  # one more value, which is always 1, sums the keys
            v = jnp.concatenate([v, jnp.ones_like(v[..., :1])], axis=-1)
        return Projected(
            features(pre["query"]),
            features(pre["key"]),
            v,
            log_keep=jax.nn.log_sigmoid(pre["forget"]) if gated else None,
            strength=jax.nn.sigmoid(pre["input"]) if delta else None,
        )

    def gates(of_x):
        by_name = {"query": of_x.q, "key": of_x.k, "value": of_x.v[..., :per_head]}
        return {name: merge_heads(vectors) for name, vectors in by_name.items()}

    def output(params, o, m, aside):
        if normalize:
            o, total = o[..., :-1], o[..., -1:]
            o = o / jnp.maximum(jnp.abs(total), SMALLEST_SUM)
        return product(merge_heads(o), params["w_y"]).astype(params["w_x"].dtype)

    def read(state):
        if normalize:
            columns = [wide(state.memory), wide(state.keys)[..., None]]
            return jnp.concatenate(columns, axis=-1), None
        return wide(state.memory), None

    def write(s, m):
        return LinearAttentionState(s[..., :-1], s[..., -1]) if normalize else FastWeightState(s)

    def zero_state(zeros: Zeros) -> LinearAttentionState | FastWeightState:
        memory = zeros(heads, per_head, per_head)
        if normalize:
            return LinearAttentionState(memory, zeros(heads, per_head))
        return FastWeightState(memory)

    def init_params(key, input_size, dtype):
        key_x, key_y = jax.random.split(key)
        params = init.packed_input(key_x, input_size, axis, dtype, b=init.forget_bias(start))
        params["w_y"] = init.glorot()(key_y, (size,), equal_gates(("output",), size), dtype)
        return params

    return matrix_cell(
        "linear_attention",
        size,
        axis,
        init=init_params,
        state=zero_state,
        project=project,
        read=read,
        write=write,
        output=output,
        gates=gates,
    )


def to_unit_length(values: jax.Array) -> jax.Array:
    """Scales ``values`` to length 1 along the last axis, and to less if they are near zero."""
    squares = jnp.sum(jnp.square(values), axis=-1, keepdims=True)
    return values * jax.lax.rsqrt(squares + SMALLEST_NORM)
