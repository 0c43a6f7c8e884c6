"""Cells whose steps can be taken together, by what their form says: all steps, or a chunk, at once.

The solvers go forward in time. In reverse, each row's steps that count are turned round before,
and its outputs after.
"""

import jax
import jax.numpy as jnp

from lstm_jax.cell import BatchShape, Cell, Params, State
from lstm_jax.forms import MatrixMemory
from lstm_jax.unrolling import over_matrices
from lstm_jax.unrolling.masks import Masks, zero_where_not


def ineligible(cell: Cell) -> str | None:
    """Why this method cannot run ``cell``; None where it can."""
    if isinstance(cell.form, MatrixMemory):
        return None
    return f"{cell.name} is not of a form whose steps can be taken together in products"


def why(cell: Cell, params: Params, shape: BatchShape) -> tuple[str, ...]:
    """What is to be said of a run."""
    return ("a matrix memory: large products within chunks, a loop over chunks",)


def traverse(
    cell: Cell,
    params: Params,
    xs: jax.Array,
    state: State,
    initial: State,
    masks: Masks,
    reverse: bool,
) -> tuple[State, jax.Array]:
    """``(state, ys)`` of prepared ``params``."""
    form = cell.form
    assert isinstance(form, MatrixMemory)
    lengths = None
    if masks.valid is not None:
        lengths = jnp.sum(masks.valid, axis=0, dtype=jnp.int32)
    starts = masks.resets

    def turned(values: jax.Array) -> jax.Array:
        if not reverse:
            return values
        if lengths is None:
            return jnp.flip(values, 0)
        steps = values.shape[0]
        times = jnp.expand_dims(jnp.arange(steps), range(1, 1 + lengths.ndim))
        times = jnp.where(times < lengths, lengths - 1 - times, times)
        times = jnp.expand_dims(times, range(times.ndim, values.ndim))
        return jnp.take_along_axis(values, times, axis=0)

    starts = None if starts is None else turned(starts)
    state, ys = over_matrices.over_sequence(
        form, params, turned(xs), state, initial, lengths, starts
    )
    return state, zero_where_not(masks.valid, turned(ys))
