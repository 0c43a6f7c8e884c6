"""The simple recurrent network and its ReLU variant with identity weights."""

from typing import NamedTuple

from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax.core import initializers as init
from lstm_jax.core.activations import activation as get_activation
from lstm_jax.core.builders import gated_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.recipes import factory


class RNNState(NamedTuple):
    """The output h."""

    h: Float[Array, "*batch H"]


@factory
def rnn(size: int, *, activation: str = "tanh") -> Cell[RNNState]:
    """The simple recurrent network (Elman 1990): ``h_t = act(x_t w_x + h_{t-1} w_h + b)``.

    Params ``w_x [D, H]``, ``w_h [H, H]``, ``b [H]``; state ``RNNState(h)``; output ``h``.

    Args:
        size: The hidden size H.
        activation: "sigmoid", "tanh", "relu", "hard_sigmoid", "identity" or "positive"
            (``x + 0.5`` above zero, sigmoid below).
    """
    return _rnn("rnn", size, activation, init.orthogonal())


@factory
def irnn(size: int, *, scale: float = 1.0) -> Cell[RNNState]:
    """The IRNN: ReLU units whose recurrence starts at ``scale`` times the identity.

    Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of rectified linear
    units", section 2. Params and state are those of ``lj.rnn``. Input weights start Glorot uniform.
    The paper's, normal with deviation 0.001 (``lj.initialize(cell, w_x=normal(0.001))``), learn far
    more slowly within the budgets of our experiments.

    Args:
        size: The hidden size H.
        scale: The factor of the identity.
    """
    return _rnn("irnn", size, "relu", init.identity(scale))


def _rnn(name: str, size: int, activation: str, recurrent: init.Initializer) -> Cell[RNNState]:
    size = checking.positive_int("size", size)
    act = get_activation("activation", activation)
    axis: GateAxis = equal_gates(("cell",), size)

    def pointwise(vectors, state, z, r):
        h = act(z + r)
        return RNNState(h), h, {"cell": h}

    return gated_cell(
        name,
        size,
        axis,
        init=lambda key, input_size, dtype: init.packed(
            key, input_size, axis, dtype, w_h=recurrent
        ),
        state=lambda zeros: RNNState(zeros(size)),
        pointwise=pointwise,
        additive=True,
    )
