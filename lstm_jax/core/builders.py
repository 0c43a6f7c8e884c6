"""Cells from their equations: one builder for each form, and ``plain_cell`` for cells without one.

Each takes ``name``, ``size``, the gate ``axis``, and by name ``init``, ``state`` and the functions
of its form; the step is derived from these.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from lstm_jax._internal import checking
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core import promises
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import (
    AttentionState,
    Gated,
    Linear,
    MatrixMemory,
    Projected,
    Weights,
    Windowed,
)
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.steps import gated_advance, linear_advance, matrix_advance, windowed_advance
from lstm_jax.core.typing import AnyArray, BatchShape, Params, State


def packed_params(params: dict[str, jax.Array]) -> tuple[Weights, dict[str, jax.Array]]:
    """The usual split: ``w_x``, ``w_h``, ``b`` and ``w_p`` are weights, the rest vectors."""
    vectors = {name: leaf for name, leaf in params.items() if name not in Weights._fields}
    return Weights(params["w_x"], params["w_h"], params.get("b"), params.get("w_p")), vectors


def plain_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    advance: Callable[[Params, State, jax.Array], tuple[State, jax.Array]],
) -> Cell:
    """A cell of no particular form: ``advance`` holds its equations, and it is scanned."""

    def checked_init(key: PRNGKeyArray, input_size: int, dtype: Any = jnp.float32) -> Params:
        """Params for inputs of ``input_size``; see the factory for the entries and shapes."""
        key = checking.random_key("key", key)
        input_size = checking.positive_int("input_size", input_size)
        return init(key, input_size, checking.float_dtype("dtype", dtype))

    return Cell(name, size, axis, default_promotion(checked_init), state_of(state), advance)


def gated_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    pointwise: Callable[[Any, Any, jax.Array, jax.Array], tuple[Any, jax.Array, dict]],
    split: Callable[[Params], tuple[Weights, Any]] = packed_params,
    source: Callable[[Any, Any], jax.Array] = lambda vectors, state: state.h,
    additive: bool | int = False,
) -> Cell:
    """A cell of the gated form; its step is derived from ``pointwise``.

    Raises ValueError, naming ``additive``, where ``pointwise`` does not keep what it promises.
    """
    form = Gated(pointwise, split, source, promises.check_option(additive))
    promises.check_additive(name, form, size, init, state_of(state))
    cell = plain_cell(name, size, axis, init=init, state=state, advance=gated_advance(form))
    return cell._replace(form=form)


def linear_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    coefficients: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]],
    read: Callable[[State], jax.Array],
    write: Callable[[jax.Array], State],
    output: Callable[[Params, jax.Array, jax.Array], jax.Array],
) -> Cell:
    """A cell of the linear form; its step is derived from ``coefficients`` and ``output``."""
    form = Linear(coefficients, read, write, output)
    cell = plain_cell(name, size, axis, init=init, state=state, advance=linear_advance(form))
    return cell._replace(form=form)


def matrix_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    project: Callable[[Params, jax.Array], Projected],
    read: Callable[[State], tuple[jax.Array, jax.Array | None]],
    write: Callable[[jax.Array, jax.Array | None], State],
    output: Callable[[Params, jax.Array, jax.Array | None, jax.Array | None], jax.Array],
) -> Cell:
    """A cell of the form with a matrix memory; its step is derived from these functions.

    state: builds the initial state out of ``zeros(*shape)``, without the batch axes.
    """
    form = MatrixMemory(project, read, write, output)
    cell = plain_cell(name, size, axis, init=init, state=state, advance=matrix_advance(form))
    return cell._replace(form=form)


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
) -> Cell:
    """A cell of the windowed form, with heads of ``size / heads`` units; its step is derived from
    ``project``, ``place``, ``bias`` and ``output``. Its state is an ``AttentionState``."""
    form = Windowed(window, project, place, bias, output)

    def empty(zeros):
        place = (heads, window, size // heads)
        return AttentionState(zeros(*place), zeros(*place), zeros(dtype=jnp.int32))

    cell = plain_cell(name, size, axis, init=init, state=empty, advance=windowed_advance(form))
    return cell._replace(form=form)


def state_of(make: Callable[[Callable[..., jax.Array]], State]) -> Callable[..., State]:
    """An ``initial_state`` from a function that builds the state out of ``zeros(*widths)``, or
    ``zeros(*widths, dtype=...)`` for a leaf that is not of floats."""

    @default_promotion
    def initial_state(params: Params, batch_shape: BatchShape = (), dtype: Any = None) -> State:
        """Zeros ``[*batch, H]``: float32, or wider where the params are; else ``dtype``."""
        shape = checking.batch_shape("batch_shape", batch_shape)
        if dtype is None:
            checking.floating("params", params)
            floats = [leaf.dtype for leaf in jax.tree.leaves(params)]
            dtype = jnp.result_type(jnp.float32, *floats)
        dtype = checking.float_dtype("dtype", dtype)
        state = make(lambda *widths, dtype=dtype: jnp.zeros((*shape, *widths), dtype))
        return _apart(state)

    return initial_state


def _apart(state: State) -> State:
    """``state`` with an array of its own in each place, so that its buffers can be donated."""
    seen: set[int] = set()

    def apart(leaf: jax.Array) -> jax.Array:
        if id(leaf) in seen:
            return jnp.copy(leaf)
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(apart, state)
