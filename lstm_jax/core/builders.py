"""Builders of cells: one per form, and ``plain_cell`` for cells of no form.

They derive the step from the functions of the form.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core import promises
from lstm_jax.core.cell import NO_GRID, Cell, Grid, InitialState
from lstm_jax.core.forms import (
    AttentionState,
    Form,
    Gated,
    Linear,
    MatrixMemory,
    Observed,
    Plain,
    Pointwise,
    Product,
    Projected,
    Weights,
    Windowed,
    no_gates,
)
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.numerics import product
from lstm_jax.core.steps import advance_of
from lstm_jax.core.typing import AnyArray, BatchShape, Params, StateT, Zeros


def packed_params(params: dict[str, jax.Array]) -> tuple[Weights, dict[str, jax.Array]]:
    """The usual ``split`` of a gated cell: ``(weights, vectors)``.

    ``w_x``, ``w_h``, ``b`` and ``w_p`` are weights, all other entries vectors.
    """
    vectors = {name: leaf for name, leaf in params.items() if name not in Weights._fields}
    return Weights(params["w_x"], params["w_h"], params.get("b"), params.get("w_p")), vectors


def plain_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Zeros], StateT],
    advance: Callable[[Params, StateT, jax.Array], tuple[Any, ...]],
    grid: Grid = NO_GRID,
) -> Cell[StateT]:
    """A cell of no other form (``Plain``), which is unrolled by a plain scan.

    Args:
        name: What errors and tables call the cell.
        size: The size H of its output.
        axis: The packed gate axis of its weights.
        init: ``(key, input_size, dtype) -> params``; its arguments are already checked.
        state: ``zeros -> state``, the initial state made of ``zeros(*shape)``, without batch axes.
        advance: ``(params, state, x) -> (state, y)``, the equations of one step; or
            ``(state, y, gates)`` with the gates by name, or an ``Observed``, for ``lj.trace``.
        grid: The spatial axes of inputs and outputs, in a cell that reads images.
    """

    def observe(params: Params, state: StateT, x: jax.Array) -> tuple[StateT, jax.Array, Observed]:
        state, y, *more = advance(params, state, x)
        gates = more[0] if more else {}
        return state, y, gates if isinstance(gates, Observed) else Observed(gates)

    return cell_of_form(name, size, axis, init, state, Plain(observe), grid)


def cell_of_form(
    name: str,
    size: int,
    axis: GateAxis,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Zeros], StateT],
    form: Form,
    grid: Grid = NO_GRID,
) -> Cell[StateT]:
    """The cell of a form, whose step is derived from it; see ``plain_cell`` for the arguments."""

    def checked_init(key: PRNGKeyArray, input_size: int, dtype: Any = jnp.float32) -> Params:
        """Params for inputs of ``input_size``; see the factory for the entries and shapes."""
        key = checking.random_key("key", key)
        input_size = checking.positive_int("input_size", input_size)
        return init(key, input_size, checking.float_dtype("dtype", dtype))

    step = advance_of(form)
    draw, start = default_promotion(checked_init), state_of(state)
    return Cell(name, size, axis, draw, start, step, form, grid=grid)


def gated_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Zeros], StateT],
    pointwise: Pointwise[StateT],
    split: Callable[[Params], tuple[Weights, Any]] = packed_params,
    source: Callable[[Any, Any], jax.Array] = lambda vectors, state: state.h,
    additive: bool | int = False,
    product_x: Product = product,
    product_h: Product = product,
    grid: Grid = NO_GRID,
) -> Cell[StateT]:
    """A cell of the gated form (``Gated``).

    Args:
        name: What errors and tables call the cell.
        size: The size H of its output.
        axis: The packed gate axis of its weights.
        init: ``(key, input_size, dtype) -> params``; its arguments are already checked.
        state: ``zeros -> state``, the initial state made of ``zeros(*shape)``, without batch axes.
        pointwise: ``(vectors, state, z, r) -> (state, y, gates)``, elementwise, with the input's
            pre-activations z and the recurrent ones r, ``[..., G*H]``, and the gates by name.
        split: ``params -> (weights, vectors)``: the matrices of the two products, and what
            ``pointwise`` reads beside them.
        source: ``(vectors, state) -> [..., R]``, what ``w_h`` multiplies.
        additive: Whether ``pointwise`` reads only ``z + r``; or the number of leading columns of
            which it does so.
        product_x: ``(x, w_x) -> z``, linear in each, such as a ``lj.core.Convolution``.
        product_h: ``(source, w_h) -> r``, likewise.
        grid: The spatial axes of inputs and outputs, in a cell that reads images.

    Raises:
        ValueError: If ``pointwise`` does not do what ``additive`` says.
    """
    additive = promises.check_option(additive)
    form = Gated(pointwise, split, source, additive, product_x, product_h)
    promises.check_additive(name, form, size, init, state_of(state))
    return cell_of_form(name, size, axis, init, state, form, grid)


def linear_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Zeros], StateT],
    coefficients: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]],
    read: Callable[[StateT], jax.Array],
    write: Callable[[jax.Array], StateT],
    output: Callable[[Params, jax.Array, jax.Array], jax.Array],
    gates: Callable[[Params, jax.Array], dict[str, jax.Array]] = no_gates,
) -> Cell[StateT]:
    """A cell of the linear form (``Linear``), ``h_t = a_t h_{t-1} + b_t``.

    Args:
        name: What errors and tables call the cell.
        size: The size H of its output.
        axis: The packed gate axis of its weights.
        init: ``(key, input_size, dtype) -> params``; its arguments are already checked.
        state: ``zeros -> state``, the initial state made of ``zeros(*shape)``, without batch axes.
        coefficients: ``(params, x) -> (a, b)``.
        read: ``state -> h``, real or complex, in float32 or wider.
        write: ``h -> state``.
        output: ``(params, h, x) -> y``.
        gates: ``(params, x) -> gates``, by name, for ``lj.trace``.
    """
    form = Linear(coefficients, read, write, output, gates)
    return cell_of_form(name, size, axis, init, state, form)


def matrix_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Zeros], StateT],
    project: Callable[[Params, jax.Array], Projected],
    read: Callable[[StateT], tuple[jax.Array, jax.Array | None]],
    write: Callable[[jax.Array, jax.Array | None], StateT],
    output: Callable[[Params, jax.Array, jax.Array | None, jax.Array | None], jax.Array],
    gates: Callable[[Projected], dict[str, jax.Array]] = no_gates,
) -> Cell[StateT]:
    """A cell with a matrix memory (``MatrixMemory``).

    Args:
        name: What errors and tables call the cell.
        size: The size H of its output.
        axis: The packed gate axis of its weights.
        init: ``(key, input_size, dtype) -> params``; its arguments are already checked.
        state: ``zeros -> state``, the initial state made of ``zeros(*shape)``, without batch axes.
        project: ``(params, x) -> Projected``: queries, keys, values and gates.
        read: ``state -> (S, m)``, the memory and its stabiliser, which may be None.
        write: ``(S, m) -> state``.
        output: ``(params, o, m, aside) -> y``, where o is what the queries read.
        gates: ``Projected -> gates``, by name, for ``lj.trace``, which adds "forget" and "input",
            the factors of the memory and of the write.
    """
    form = MatrixMemory(project, read, write, output, gates)
    return cell_of_form(name, size, axis, init, state, form)


def windowed_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    heads: int,
    window: int,
    project: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array, jax.Array]],
    place: Callable[[jax.Array, AnyArray], jax.Array],
    bias: Callable[[Params, np.ndarray], jax.Array | None],
    output: Callable[[Params, jax.Array, jax.Array], jax.Array],
) -> Cell[AttentionState]:
    """A cell of the windowed form (``Windowed``), whose state is an ``AttentionState``.

    Args:
        name: What errors and tables call the cell.
        size: The size H of its output.
        axis: The packed gate axis of its weights.
        init: ``(key, input_size, dtype) -> params``; its arguments are already checked.
        heads: The number of heads, of ``size / heads`` units each.
        window: The number W of steps that the cell attends to, the current one included.
        project: ``(params, x) -> (q, k, v)``, each ``[..., heads, d]``.
        place: ``(vectors, positions) -> vectors``, the position encoding of queries and keys.
        bias: ``(params, distances) -> [heads, *distances]``, added to the scores; or None.
        output: ``(params, o, x) -> y``, where o are the weighted values ``[..., heads, d]``.
    """
    form = Windowed(window, project, place, bias, output)

    def empty(zeros: Zeros) -> AttentionState:
        place = (heads, window, size // heads)
        return AttentionState(zeros(*place), zeros(*place), zeros(dtype=jnp.int32))

    return cell_of_form(name, size, axis, init, empty, form)


def state_of(make: Callable[[Zeros], StateT]) -> InitialState[StateT]:
    """An ``initial_state`` from a function that makes the state of ``zeros(*widths)``.

    A leaf that does not hold floats is made by ``zeros(*widths, dtype=...)``.
    """

    @default_promotion
    def initial_state(params: Params, batch_shape: BatchShape = (), dtype: Any = None) -> StateT:
        """Zeros ``[*batch, H]`` of ``dtype``; by default float32, or wider if the params are."""
        shape = checking.batch_shape("batch_shape", batch_shape)
        if dtype is None:
            cell_checks.floating("params", params)
            floats = [leaf.dtype for leaf in jax.tree.leaves(params)]
            dtype = jnp.result_type(jnp.float32, *floats)
        dtype = checking.float_dtype("dtype", dtype)
        state = make(lambda *widths, dtype=dtype: jnp.zeros((*shape, *widths), dtype))
        return _copy_shared(state)

    return initial_state


def _copy_shared(state: StateT) -> StateT:
    """``state`` with an array of its own in each leaf, so that its buffers can be donated."""
    seen: set[int] = set()

    def copy_if_seen(leaf: jax.Array) -> jax.Array:
        if id(leaf) in seen:
            return jnp.copy(leaf)
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(copy_if_seen, state)
