"""Minimal gated cells, which are linear in their state, since gates read only the input.

Source: Feng et al. 2024, "Were RNNs All We Needed?", sections 3.1 (minGRU) and 3.2 (minLSTM), and
appendix B, which has the same cells in log space.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax.core import initializers as init
from lstm_jax.core.activations import activation as get_activation
from lstm_jax.core.builders import linear_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.numerics import product, wide
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Params


class MinimalState(NamedTuple):
    """The output h."""

    h: Float[Array, "*batch H"]


@factory
def min_gru(size: int, *, activation: str = "identity") -> Cell[MinimalState]:
    """The minGRU: ``h = (1 - u) h + u g(n)``, with ``u, n = x w_x + b`` and u a sigmoid gate.

    Feng et al. 2024, section 3.1. An open update gate overwrites the memory, as in ``lj.mgu``.

    Params, in the order update, candidate: ``w_x [D, 2H]``, ``b [2H]``. State
    ``MinimalState(h)``; output ``h``.

    Args:
        size: The hidden size H.
        activation: g, by name, see ``lj.rnn``: "identity" as in section 3.1, or "positive" as in
            the paper's log-space form (appendix B).
    """
    size = checking.positive_int("size", size)
    act = get_activation("activation", activation)
    axis = equal_gates(("update", "candidate"), size, {"update": -1})

    def gates(params, x):
        pre = preactivations(axis, params, x)
        return {"update": jax.nn.sigmoid(pre["update"]), "candidate": act(pre["candidate"])}

    def coefficients(params, x):
        new = gates(params, x)
        kept = jax.nn.sigmoid(-preactivations(axis, params, x)["update"])
        return kept, new["update"] * new["candidate"]

    return _minimal("min_gru", axis, gates, coefficients, init.constant(0.0))


@factory
def min_lstm(
    size: int, *, forget_bias: float = 1.0, activation: str = "identity"
) -> Cell[MinimalState]:
    """The minLSTM: ``h = f / (f + i) h + i / (f + i) g(n)``, with ``i, f, n = x w_x + b`` and
    sigmoid gates i and f.

    Feng et al. 2024, section 3.2.

    Params, in the order input, forget, candidate: ``w_x [D, 3H]``, ``b [3H]``.
    State ``MinimalState(h)``; output ``h``.

    Args:
        size: The hidden size H.
        forget_bias: The initial bias of the forget gate.
        activation: g, as in ``lj.min_gru``.
    """
    size = checking.positive_int("size", size)
    forget_bias = checking.real("forget_bias", forget_bias)
    act = get_activation("activation", activation)
    axis = equal_gates(("input", "forget", "candidate"), size, {"forget": 1}, writes="input")

    def gates(params, x):
        pre = preactivations(axis, params, x)
        i, f = jax.nn.sigmoid(pre["input"]), jax.nn.sigmoid(pre["forget"])
        return {"input": i, "forget": f, "candidate": act(pre["candidate"])}

    def coefficients(params, x):
        pre = preactivations(axis, params, x)
        # f / (f + i) = sigmoid(log f - log i), which does not divide 0 by 0 if both are closed.
        balance = jax.nn.log_sigmoid(pre["forget"]) - jax.nn.log_sigmoid(pre["input"])
        return jax.nn.sigmoid(balance), jax.nn.sigmoid(-balance) * act(pre["candidate"])

    return _minimal("min_lstm", axis, gates, coefficients, init.forget_bias(forget_bias))


def preactivations(axis: GateAxis, params: Params, x: jax.Array) -> dict[str, jax.Array]:
    """``x w_x + b`` by gate."""
    return axis.split(product(x, params["w_x"]) + params["b"])


def _minimal(
    name: str,
    axis: GateAxis,
    gates: Callable[[Params, jax.Array], dict[str, jax.Array]],
    coefficients: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]],
    bias: init.Initializer,
) -> Cell[MinimalState]:
    size = axis.widths[0]
    return linear_cell(
        name,
        size,
        axis,
        init=lambda key, input_size, dtype: init.packed_input(key, input_size, axis, dtype, b=bias),
        state=lambda zeros: MinimalState(zeros(size)),
        coefficients=coefficients,
        read=lambda state: wide(state.h),
        write=MinimalState,
        output=lambda params, h, x: h.astype(params["w_x"].dtype),
        gates=gates,
    )
