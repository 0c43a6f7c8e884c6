"""The cells of the xLSTM: exponential gates with a scalar (sLSTM) or a matrix memory (mLSTM).

Source: Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", sections 2.2 (sLSTM) and 2.3
(mLSTM), and its appendix on both. Exponential gates are unbounded, so memories are kept divided by
``exp(m)``, where the stabiliser m is the largest logarithm of a gate product so far.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import gated_cell, matrix_cell, packed_params
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Projected
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.numerics import merge_heads, product, split_heads, wide
from lstm_jax.core.recipes import factory

LOG_FORGET = {"sigmoid": jax.nn.log_sigmoid, "exp": lambda x: x}


class SLSTMState(NamedTuple):
    """The output h, and the cell state c and its normaliser n, both divided by ``exp(m)``."""

    h: Float[Array, "*batch H"]
    c: Float[Array, "*batch H"]
    n: Float[Array, "*batch H"]
    m: Float[Array, "*batch H"]

    @property
    def written(self) -> tuple[str, ...]:
        """If c is not zero, n must be above zero: see ``lstm_jax/core/states.py``."""
        return ("c", "n", "m")

    @property
    def scaled(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """m scales both c and n."""
        return (("m", ("c", "n")),)


@factory
def slstm(
    size: int,
    heads: int = 1,
    *,
    forget_bias: float = 3.0,
    forget_activation: str = "sigmoid",
) -> Cell[SLSTMState]:
    """The sLSTM: ``c = f c + i g``, ``n = f n + i``, ``h = o c / n`` with ``i = exp(...)``.

    Beck et al. 2024, section 2.2, in the stabilised form of its last equations: with
    ``m = max(log f + m_{t-1}, log i)``, i is ``exp(log i - m)`` and f ``exp(log f + m_{t-1} - m)``.

    Params, in the order input, forget, cell, output: ``w_x [D, 4H]``, ``w_h [H / heads, 4H]``,
    where the column of a unit has the weights from its own head, and ``b [4H]``. State
    ``SLSTMState(h, c, n, m)``, where ``n = 0`` means that nothing is remembered yet, whatever m is;
    output ``h``.

    Args:
        size: The hidden size H.
        heads: The number of heads, of ``H / heads`` neighbouring units each. A unit reads the last
            outputs of its own head only.
        forget_bias: The initial bias of the forget gate; the authors' code starts with 3 and more.
        forget_activation: "sigmoid" or "exp".
    """
    size = checking.positive_int("size", size)
    heads = checking.divisor("heads", heads, size)
    forget_bias = checking.real("forget_bias", forget_bias)
    log_forget = LOG_FORGET[checking.choice("forget_activation", forget_activation, LOG_FORGET)]
    axis = equal_gates(("input", "forget", "cell", "output"), size, {"forget": 1}, writes="input")
    per_head = size // heads
    head_of = np.arange(size) // per_head
    same_head = np.tile(head_of[:, None] == head_of, 4)

    def pointwise(vectors, state, z, r):
        pre = axis.split(z + r)
        log_i, kept = pre["input"], log_forget(pre["forget"]) + state.m
        m = jnp.where(state.n == 0, log_i, jnp.maximum(kept, log_i))
        # The difference is above zero only where n = 0. Nothing is kept there, but an infinite f
        # times zero would be NaN.
        f, i = jnp.exp(jnp.minimum(kept - m, 0.0)), jnp.exp(log_i - m)
        cell, output = jnp.tanh(pre["cell"]), jax.nn.sigmoid(pre["output"])
        c, n = f * state.c + i * cell, f * state.n + i
        h = output * c / n
        gates = {"input": i, "forget": f, "cell": cell, "output": output}
        return SLSTMState(h, c, n, m), h, gates

    def split(params):
        weights, vectors = packed_params(params)
        if heads > 1:
            every_head = jnp.tile(weights.w_h, (heads, 1))
            weights = weights._replace(w_h=jnp.where(same_head, every_head, 0))
        return weights, vectors

    def orthogonal_heads(key, rows, axis, dtype):
        blocks = tuple(f"{gate} of {head}" for gate in axis.names for head in range(heads))
        return init.orthogonal()(key, rows, GateAxis(blocks, (per_head,) * len(blocks)), dtype)

    def init_params(key, input_size, dtype):
        return init.packed(key, input_size, axis, dtype, source_size=per_head,
                           w_h=orthogonal_heads, b=init.forget_bias(forget_bias))  # fmt: skip

    return gated_cell(
        "slstm",
        size,
        axis,
        init=init_params,
        state=lambda zeros: SLSTMState(zeros(size), zeros(size), zeros(size), zeros(size)),
        pointwise=pointwise,
        split=split,
        additive=True,
    )


class MLSTMState(NamedTuple):
    """The memory c and the sum n of the keys, both divided by ``exp(m)``, with one m per head."""

    c: Float[Array, "*batch heads K V"]
    n: Float[Array, "*batch heads K"]
    m: Float[Array, "*batch heads"]


@factory
def mlstm(
    size: int,
    heads: int = 1,
    *,
    forget_bias: float = 3.0,
    forget_activation: str = "sigmoid",
) -> Cell[MLSTMState]:
    """The mLSTM: ``C = f C + i k v^T``, ``n = f n + i k``, ``h = o (q C) / max(|q n|, 1)``.

    Beck et al. 2024, section 2.3, eq. 19 to 27, stabilised as in its appendix, with
    ``i = exp(...)``; f and i depend on x only, one of each per head. Since only the memory is
    recurrent, ``lj.unroll`` takes many steps at once.

    Params, in the order query, key, value, input and forget (one per head each), output:
    ``w_x [D, 4H + 2 heads]``, ``b [4H + 2 heads]``. Keys are divided by the square root of their
    size. State ``MLSTMState(c, n, m)``; output ``h``.

    Args:
        size: The hidden size H.
        heads: The number of memories, each of ``H / heads`` keys by ``H / heads`` values.
        forget_bias: The initial bias of the forget gate.
        forget_activation: "sigmoid" or "exp".
    """
    size = checking.positive_int("size", size)
    heads = checking.divisor("heads", heads, size)
    forget_bias = checking.real("forget_bias", forget_bias)
    log_forget = LOG_FORGET[checking.choice("forget_activation", forget_activation, LOG_FORGET)]
    per_head = size // heads
    axis = GateAxis(
        ("query", "key", "value", "input", "forget", "output"),
        (size, size, size, heads, heads, size),
        (("forget", 1),),
        ("input",),
    )

    def project(params, x):
        pre = axis.split(product(x, params["w_x"]) + params["b"])
        v = split_heads(pre["value"], heads)
        return Projected(
            split_heads(pre["query"], heads),
            split_heads(pre["key"], heads) * per_head**-0.5,
            jnp.concatenate([v, jnp.ones_like(v[..., :1])], axis=-1),  # ones, to sum the keys
            log_keep=log_forget(pre["forget"]),
            log_write=pre["input"],
            aside=jax.nn.sigmoid(pre["output"]),
        )

    def gates(of_x):
        by_name = {"query": of_x.q, "key": of_x.k, "value": of_x.v[..., :per_head]}
        vectors = {name: merge_heads(vector) for name, vector in by_name.items()}
        return vectors | {"output": of_x.aside}

    def output(params, o, m, aside):
        # h = q C / max(|q n|, exp(-m)); if m < 0, both sides are multiplied by exp(m), so that no
        # exponential overflows. The weights summed in o are at most 1, so anything below exp(-40)
        # is rounding beside them; bounding m at 40 only avoids 0 / 0.
        m = m[..., None]
        o = o * jnp.exp(jnp.minimum(m, 0.0))
        h = o[..., :-1] / jnp.maximum(jnp.abs(o[..., -1:]), jnp.exp(-jnp.clip(m, 0.0, 40.0)))
        return (aside * merge_heads(h)).astype(params["w_x"].dtype)

    def write(s, m):
        return MLSTMState(s[..., :-1], s[..., -1], m)

    return matrix_cell(
        "mlstm",
        size,
        axis,
        init=lambda key, input_size, dtype: init.packed_input(
            key, input_size, axis, dtype, b=init.forget_bias(forget_bias)
        ),
        state=lambda zeros: MLSTMState(
            zeros(heads, per_head, per_head), zeros(heads, per_head), zeros(heads)
        ),
        project=project,
        read=lambda state: (
            jnp.concatenate([wide(state.c), wide(state.n)[..., None]], axis=-1),
            wide(state.m),
        ),
        write=write,
        output=output,
        gates=gates,
    )
