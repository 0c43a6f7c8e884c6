"""Simple recurrent networks, and their variants for long lags: ReLU units that start as the
identity, units that read only themselves, and modules that run at different speeds."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core import initializers as init
from lstm_jax.core.activations import activation as get_activation
from lstm_jax.core.builders import gated_cell, packed_params
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Weights
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.recipes import factory

MOST_PERIODS = 8  # of a clockwork network that is given none: up to every 128th step


class RNNState(NamedTuple):
    """The output h."""

    h: Float[Array, "*batch H"]


class ClockworkState(NamedTuple):
    """The output h, and the count t of steps since the row's start."""

    h: Float[Array, "*batch H"]
    t: Integer[Array, "*batch"]


@factory
def rnn(size: int, *, activation: str = "tanh") -> Cell[RNNState]:
    """The simple recurrent network (Elman 1990): ``h_t = act(x_t w_x + h_{t-1} w_h + b)``.

    Params ``w_x [D, H]``, ``w_h [H, H]``, ``b [H]``; state ``RNNState(h)``; output ``h``.

    Args:
        size: The hidden size H.
        activation: "sigmoid", "tanh", "relu", "hard_sigmoid", "identity" or "positive"
            (``x + 0.5`` above zero, sigmoid below).
    """
    return _rnn("rnn", size, activation)


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
    return _rnn("irnn", size, "relu", recurrent=init.identity(scale))


@factory
def indrnn(size: int, *, activation: str = "relu", limit: float = 1.0) -> Cell[RNNState]:
    """The IndRNN: ``h_t = act(x_t w_x + u h_{t-1} + b)``, with one recurrent weight for each unit.

    Li et al. 2018, "Independently recurrent neural network (IndRNN): building a longer and deeper
    RNN", section 3. It is good for long lags and deep stacks: the gradient through an active ReLU
    unit changes over t steps by exactly ``u ** t``, which the size of u alone keeps in bounds.

    A unit reads the others only through the next layer, so use two layers or more (``lj.chain``).
    Over sequences of T steps the paper also clips every u to ``[-2 ** (1/T), 2 ** (1/T)]`` after
    each update, which is up to the training loop.

    Params ``w_x [D, H]``, ``u [H]``, ``b [H]``; state ``RNNState(h)``; output ``h``.

    Args:
        size: The hidden size H.
        activation: The activation of the units, by name; see ``lj.rnn``.
        limit: Recurrent weights start uniformly in [0, limit], such as ``2 ** (1/T)``.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    size = checking.positive_int("size", size)
    act = get_activation("activation", activation)
    if checking.real("limit", limit) <= 0:
        raise WrongValue(f"limit: expected a number above 0, got {limit}")
    axis = equal_gates(("cell",), size)

    def pointwise(vectors, state, z, r):
        h = act(z + r + vectors["u"] * state.h)
        return RNNState(h), h, {"cell": h}

    def split(params):
        # There is no recurrent product, so w_h has no rows; it is on the devices of w_x.
        return Weights(params["w_x"], params["w_x"][:0], params["b"]), {"u": params["u"]}

    def init_params(key, input_size, dtype):
        key_x, key_u = jax.random.split(key)
        u = jax.random.uniform(key_u, (size,), dtype, 0.0, limit)
        return init.packed_input(key_x, input_size, axis, dtype) | {"u": u}

    return gated_cell(
        "indrnn",
        size,
        axis,
        init=init_params,
        state=lambda zeros: RNNState(zeros(size)),
        pointwise=pointwise,
        split=split,
        source=lambda vectors, state: state.h[..., :0],
        additive=True,
    )


@factory
def clockwork(
    size: int, *, periods: Sequence[int] | None = None, activation: str = "tanh"
) -> Cell[ClockworkState]:
    """The clockwork RNN: modules of units, each of which runs only at every ``period``-th step.

    A module is updated at the steps t that its period divides, and keeps its state at the others:
    ``h_t = act(x_t w_x + h_{t-1} w_h + b)`` where ``t mod period = 0``, else ``h_{t-1}``. It reads
    itself and the slower modules, not the faster ones. Koutnik, Greff, Gomez & Schmidhuber 2014,
    "A clockwork RNN", section 3. It is good for long lags and for sequences with several time
    scales, since the slow modules take only a few steps across a long lag.

    A row's first step has ``t = 0``, at which all modules run. Products are computed at every step
    for all modules, so a step takes the time of one of ``lj.rnn``.

    Params ``w_x [D, H]``, ``w_h [H, H]``, whose entries from a faster module to a slower one are
    not read, and ``b [H]``; fast modules come first. State ``ClockworkState(h, t)``; output ``h``.

    Args:
        size: The hidden size H.
        periods: The period of each module, in increasing order; by default 1, 2, 4, ... for up to 8
            modules. Units are divided equally between modules, with one more in each of the first
            ones if necessary.
        activation: The activation of the units, by name; see ``lj.rnn``.

    Raises:
        ValueError, TypeError: For a wrong argument, and for more modules than units.
    """
    size = checking.positive_int("size", size)
    if periods is None:
        periods = [2**i for i in range(min(size, MOST_PERIODS))]
    unit_periods = _periods_of_units(size, periods)
    reads = unit_periods[:, None] >= unit_periods  # the row is read by the column

    def keep_idle(state, h):
        active = state.t[..., None] % unit_periods == 0
        return ClockworkState(jnp.where(active, h, state.h), state.t + 1)

    def split(params):
        weights, vectors = packed_params(params)
        return weights._replace(w_h=jnp.where(reads, weights.w_h, 0)), vectors

    return _rnn(
        "clockwork",
        size,
        activation,
        state=lambda zeros: ClockworkState(zeros(size), zeros(dtype=jnp.uint32)),
        update=keep_idle,
        split=split,
    )


def _periods_of_units(size: int, periods: Any) -> np.ndarray:
    """The period of the module of each unit, ``[H]``."""
    if isinstance(periods, str) or not isinstance(periods, Sequence):
        raise WrongType(f"periods: expected a sequence of whole numbers, got {periods!r}")
    periods = [checking.positive_int("periods", period) for period in periods]
    if not periods or sorted(set(periods)) != periods:
        raise WrongValue(f"periods: expected different numbers in increasing order, got {periods}")
    if len(periods) > size:
        raise WrongValue(f"periods: expected at most {size}, one for each unit, got {len(periods)}")
    few, more = divmod(size, len(periods))
    counts = [few + (i < more) for i in range(len(periods))]
    return np.repeat(np.array(periods, np.uint32), counts)


def _rnn(
    name: str,
    size: int,
    activation: str,
    *,
    recurrent: init.Initializer | None = None,
    state: Callable[..., Any] | None = None,
    update: Callable[..., Any] = lambda state, h: RNNState(h),
    split: Callable[..., Any] = packed_params,
) -> Cell[Any]:
    size = checking.positive_int("size", size)
    act = get_activation("activation", activation)
    axis: GateAxis = equal_gates(("cell",), size)

    def pointwise(vectors, state, z, r):
        cell = act(z + r)
        new = update(state, cell)
        return new, new.h, {"cell": cell}

    return gated_cell(
        name,
        size,
        axis,
        init=lambda key, input_size, dtype: init.packed(
            key, input_size, axis, dtype, w_h=recurrent
        ),
        state=state or (lambda zeros: RNNState(zeros(size))),
        pointwise=pointwise,
        split=split,
        additive=True,
    )
