"""The contract: what a cell is.

A cell is a tuple of pure functions, each of which has a Protocol here. Its equations stand once, in
``Gated.pointwise``, in ``Linear.coefficients``, in ``MatrixMemory.project``, in
``Windowed.project`` (or, for a cell of no particular form, in ``Cell.advance``); the step, the scan
over time, the fast gradient and all else are derived from it.
"""

import dataclasses
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from lstm_jax._internal import checking
from lstm_jax._internal.dtypes import same_precision
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.forms import Form
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.recipes import FactoryMade
from lstm_jax.core.typing import AnyArray, BatchShape, Params, State


class Init(Protocol):
    """Draws the params of a cell for inputs of ``input_size``; its factory lists the entries."""

    def __call__(self, key: PRNGKeyArray, input_size: int, dtype: Any = jnp.float32) -> Params: ...


class InitialState(Protocol):
    """The state before the first step, ``[*batch, H]`` in each field: float32 or wider, unless
    ``dtype`` is given."""

    def __call__(
        self, params: Params, batch_shape: BatchShape = (), dtype: Any = None
    ) -> State: ...


class Advance(Protocol):
    """One step of prepared params, without checks: ``x [*batch, D]`` to ``y [*batch, H]``."""

    def __call__(
        self, params: Params, state: State, x: jax.Array, /
    ) -> tuple[State, jax.Array]: ...


class Prepare(Protocol):
    """What is done once per sequence and not at each step: drawing masks, casting. Without a key
    there is no randomness."""

    def __call__(self, params: Params, batch_shape: BatchShape, key: Any, /) -> Params: ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """Arrays that a cell reads beside its params, as one leaf of it that hashes by identity."""

    arrays: Any


class Bound(NamedTuple):
    """Params together with the arrays that a cell reads beside them, as ``prepare`` takes them."""

    params: Params
    memory: Any


def _nothing_to_prepare(params: Params, batch_shape: BatchShape, key: Any) -> Params:
    return params


class _Fields(NamedTuple):
    name: str
    size: int
    axis: GateAxis
    init: Init
    initial_state: InitialState
    advance: Advance
    form: Form | None = None
    prepare: Prepare = _nothing_to_prepare
    memory: Memory | None = None


class Cell(FactoryMade, _Fields):
    """A recurrent cell: pure functions, in the way of ``optax.GradientTransformation``.

    Cells that a factory built alike are equal, have one hash, and pickle as the call that built
    them (``lj.core.factory``); so the loop that builds its cell anew compiles once.

    name: what errors and tables call it.
    size: the size H of its output.
    axis: the packed gate axis of its weights.
    init: ``(key, input_size, dtype=float32) -> params``.
    initial_state: ``(params, batch_shape=(), dtype=None) -> state``.
    advance: ``(params, state, x) -> (state, y)``, the bare equations, of prepared params and
        without checks; None for a layer that cannot be stepped (bidirectional).
    form: what the unroll may know of the recurrence; None for a cell that is only scanned.
    prepare: ``(params, batch_shape, key) -> params``: what is done once a sequence and not at
        each step: drawing masks, casting. Without a key there is no randomness.
    memory: arrays of a sequence that the cell reads beside its params (``lj.attentive``). They are
        no part of what is compiled: ``step``, ``lj.unroll`` and ``lj.explain`` take them off the
        cell and hand them on with the params, as ``Bound``, so that gradients reach them and
        another sequence's memory runs the same program.
    """

    outside_recipe = ("memory",)

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates, in the order in which they stand in the packed axis."""
        return self.axis.names

    @default_promotion
    def step(
        self,
        params: Params,
        state: State,
        x: Float[AnyArray, "*batch D"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[State, Float[Array, "*batch H"]]:
        """One step in time: ``(state, y)``.

        ``key`` is the key of the whole sequence, the same at every step: masks that last a
        sequence are drawn from it alone, noise of a step from it and from a count in the state.
        Without it a noisy cell does what it does in evaluation.

        Raises ValueError or TypeError, naming the argument, for params or a state of another
        cell, for an ``x`` of another size or of integers, and for a layer without a step.
        """
        x = checking.float_array("x", x, "[*batch, D]", 1)
        cell = without_memory(self)
        checking.params(cell, params, "x", x.shape[-1])
        same_precision("x", x, params)
        checking.state(cell, params, state, x.shape[:-1])
        key = None if key is None else checking.random_key("key", key)
        params = with_memory(self, params)
        return self.advance(self.prepare(params, x.shape[:-1], key), state, x)


def without_memory(cell: Cell) -> Cell:
    """The cell that is compiled, the same for every memory."""
    return cell if cell.memory is None else cell._replace(memory=None)


def with_memory(cell: Cell, params: Params) -> Params:
    """What the cell's ``prepare`` takes: ``params``, bound to the cell's memory if it has one."""
    if cell.memory is None:
        return params
    return Bound(params, jax.tree.map(jnp.asarray, cell.memory.arrays))
