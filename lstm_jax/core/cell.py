"""The contract: what a cell is.

A cell is a tuple of pure functions, each of which has a Protocol here. Its equations are written
once: in ``Gated.pointwise``, ``Linear.coefficients``, ``MatrixMemory.project`` or
``Windowed.project``, or in ``Cell.advance`` for a cell of no form. The step, the scan over time and
the fast gradient are derived from them.
"""

import dataclasses
from typing import Any, Generic, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.dtypes import same_precision
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.forms import Form
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.recipes import FactoryMade
from lstm_jax.core.typing import (
    BatchShape,
    Input,
    Key,
    Output,
    Params,
    StateT,
    StateT_co,
    generic_tuple,
)


class Init(Protocol):
    """Draws the params of a cell for inputs of ``input_size``; the factory lists the entries."""

    def __call__(self, key: PRNGKeyArray, input_size: int, dtype: Any = jnp.float32) -> Params: ...


class InitialState(Protocol[StateT_co]):
    """The state before the first step, ``[*batch, H]`` in each field.

    Its dtype is ``dtype``; by default float32, or wider if the params are.
    """

    def __call__(
        self, params: Params, batch_shape: BatchShape = (), dtype: Any = None
    ) -> StateT_co: ...


class Advance(Protocol[StateT_co]):
    """One step with prepared params, without checks: ``x [*batch, D]`` to ``y [*batch, H]``.

    A cell with a ``Grid`` has its axes before D and H.
    """

    def __call__(
        self, params: Params, state: Any, x: jax.Array, /
    ) -> tuple[StateT_co, jax.Array]: ...


class Prepare(Protocol):
    """The work done once per sequence instead of at each step, such as drawing masks and casting.

    Without a key there is no randomness.
    """

    def __call__(self, params: Params, batch_shape: BatchShape, key: Any, /) -> Params: ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """Arrays that a cell reads beside its params, wrapped so that they hash by identity."""

    arrays: Any


class Grid(NamedTuple):
    """The spatial axes of a cell that reads images, between the batch axes and the features.

    An input of a step is ``[*batch, *inputs, D]`` and its output ``[*batch, *outputs, H]``. Both
    have the same number of axes: none in a cell of vectors, two in a cell of images.
    """

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()


NO_GRID = Grid()  # of cells of vectors


class Bound(NamedTuple):
    """Params together with the arrays of a cell's memory, as ``prepare`` receives them."""

    params: Params
    memory: Any


def _nothing_to_prepare(params: Params, batch_shape: BatchShape, key: Any) -> Params:
    return params


@generic_tuple
class _Fields(NamedTuple, Generic[StateT_co]):
    name: str
    size: int
    axis: GateAxis
    init: Init
    initial_state: InitialState[StateT_co]
    advance: Advance[StateT_co]
    form: Form | None = None
    prepare: Prepare = _nothing_to_prepare
    memory: Memory | None = None
    grid: Grid = NO_GRID


class Cell(FactoryMade, _Fields[StateT_co]):
    """A recurrent cell: a tuple of pure functions, like ``optax.GradientTransformation``.

    Cells built by equal calls of a factory (``lj.core.factory``) are equal, have one hash, and
    pickle as the call that built them. So a loop that builds its cell anew compiles once.

    To a type checker, ``Cell[LSTMState]`` is a cell with such states, and ``Cell`` one of any. The
    type is covariant, although ``step`` takes a state, so that a list may hold cells of several
    kinds.

    Attributes:
        name: What errors and tables call the cell.
        size: The size H of its output.
        axis: The packed gate axis of its weights.
        init: ``(key, input_size, dtype=float32) -> params``.
        initial_state: ``(params, batch_shape=(), dtype=None) -> state``.
        advance: ``(params, state, x) -> (state, y)``, the bare equations, with prepared params and
            without checks. That of a layer that cannot be stepped (bidirectional) raises an error.
        form: What the unroll may know of the recurrence; None for a cell that is only scanned.
        prepare: ``(params, batch_shape, key) -> params``, the work done once per sequence instead
            of at each step, such as drawing masks and casting. Without a key there is no
            randomness.
        memory: Arrays of one sequence that the cell reads beside its params (``lj.attentive``).
            They are not part of the compiled program: ``step``, ``lj.unroll`` and ``lj.explain``
            take them off the cell and pass them on with the params, as ``Bound``. So gradients
            reach them, and the memory of another sequence runs the same program.
        grid: The spatial axes of inputs and outputs; none in a cell of vectors.
    """

    outside_recipe = ("memory",)

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates, in the order of the packed axis."""
        return self.axis.names

    @property
    def feature_axes(self) -> int:
        """The number of last axes that belong to one input of one row: 1, and 3 for images."""
        return 1 + len(self.grid.inputs)

    def batch_shape(self, shape: BatchShape) -> BatchShape:
        """The leading axes of an array of inputs (or outputs) of this shape: all but the last."""
        return tuple(shape)[: len(shape) - self.feature_axes]

    @default_promotion
    def step(
        self,
        params: Params,
        state: StateT_co,  # type: ignore[misc]  # see the class
        x: Input,
        *,
        key: Key | None = None,
    ) -> tuple[StateT_co, Output]:
        """One step in time.

        Args:
            params: As ``init`` gives them.
            state: The state before the step.
            x: The input, ``[*batch, D]``, or ``[*batch, *grid.inputs, D]``.
            key: The key of the whole sequence, the same at every step. Masks that last a sequence
                are drawn from it alone, noise of a step from it and from a count in the state. If
                it is not given, there is no noise, as in evaluation.

        Returns:
            ``(state, y)``, with the output ``y [*batch, H]``, or ``[*batch, *grid.outputs, H]``.

        Raises:
            ValueError, TypeError: For params or a state of another cell, for an ``x`` of another
                size or of integers, and for a layer that cannot be stepped.
        """
        cell = without_memory(self)
        x = cell_checks.inputs(cell, "x", x)
        batch = cell.batch_shape(x.shape)
        cell_checks.params(cell, params, "x", x.shape[-1])
        same_precision("x", x, params)
        cell_checks.state(cell, params, state, batch)
        key = None if key is None else checking.random_key("key", key)
        params = with_memory(self, params)
        return self.advance(self.prepare(params, batch, key), state, x)


def without_memory(cell: Cell[StateT]) -> Cell[StateT]:
    """The cell as it is compiled, the same for every memory."""
    return cell if cell.memory is None else cell._replace(memory=None)


def with_memory(cell: Cell, params: Params) -> Params:
    """The argument of the cell's ``prepare``: ``params``, with the cell's memory if it has one."""
    if cell.memory is None:
        return params
    return Bound(params, jax.tree.map(jnp.asarray, cell.memory.arrays))
