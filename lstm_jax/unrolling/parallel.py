"""Cells that can take a whole sequence, or long blocks of one, in a few large products.

One file a form holds the products. They travel forward over rows whose padding is at the end:
what is left of reverse and lengths stands here, and that NaN in one sequence of a row does not
reach the next: zero times NaN is NaN in a product, where steps would never meet.
"""

from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lstm_jax.cell import BatchShape, Cell, Params, State
from lstm_jax.forms import MatrixMemory, Windowed
from lstm_jax.unrolling import over_matrices, over_windows, scan
from lstm_jax.unrolling.masks import Masks, differentiable, where, zero_where_not

# over_sequence(form, params, xs, state, initial, lengths, starts) -> (state, ys): forward, the
# first ``lengths [*batch]`` steps of each row (None: all), with the state ``initial`` before a
# step where ``starts [T, *batch]`` (None: nowhere). Outputs past a row's length are not used.
SOLVERS: dict[type, Any] = {MatrixMemory: over_matrices, Windowed: over_windows}


def ineligible(cell: Cell) -> str | None:
    """Why this method cannot run ``cell``; None where it can."""
    if type(cell.form) in SOLVERS:
        return None
    return f"{cell.name} is not of a form whose steps can be taken together in large products"


def why(cell: Cell, params: Params, shape: BatchShape) -> tuple[str, ...]:
    """What is to be said of a run."""
    if _any_steps(shape[0]):
        return ("step by step, as the number of steps is not known", *scan.why(cell, params, shape))
    return SOLVERS[type(cell.form)].why(cell.form, shape)


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
    if _any_steps(xs.shape[0]) or xs.shape[0] == 0:
        return scan.traverse(cell, params, xs, state, initial, masks, reverse)
    valid, starts = masks
    lengths = None if valid is None else jnp.sum(valid, axis=0, dtype=jnp.int32)
    xs = zero_where_not(valid, xs)
    if reverse:
        xs, starts = turned(xs, lengths), None if starts is None else turned(starts, lengths)
    form: Any = cell.form
    if starts is None:
        solver = SOLVERS[type(form)]
        new, ys = solver.over_sequence(form, params, xs, state, initial, lengths, None)
    else:
        new, ys = _over_sequences(form, params, xs, state, initial, lengths, starts)
    if lengths is not None:
        new = where(lengths > 0, new, state)
    return new, zero_where_not(valid, turned(ys, lengths) if reverse else ys)


def _over_sequences(
    form: Windowed | MatrixMemory,
    params: Params,
    xs: jax.Array,
    state: State,
    initial: State,
    lengths: jax.Array | None,
    starts: jax.Array,
) -> tuple[State, jax.Array]:
    """``over_sequence`` of rows in which several sequences stand: the products see no NaN, which
    is put where step after step would take it."""
    bad = ~jnp.all(jnp.isfinite(xs), axis=-1)
    bad_before, before = jnp.zeros_like(bad[0]), state
    if state is not initial:
        bad_before = _not_finite(state, bad_before)
        before = _filled(bad_before, 0.0, state)
    xs = zero_where_not(~bad, xs)
    solver = SOLVERS[type(form)]
    new, ys = solver.over_sequence(form, params, xs, before, initial, lengths, starts)
    reach = form.window if isinstance(form, Windowed) else None
    reached, at_end = _reached(bad, bad_before, starts, lengths, reach)
    return _filled(at_end, jnp.nan, new), _filled(reached, jnp.nan, ys)


def _any_steps(steps: Any) -> bool:
    """Whether the number of steps is a symbol of an exported program: blocks need a number."""
    return jax.export.is_symbolic_dim(steps)


def _not_finite(state: State, rows: jax.Array) -> jax.Array:
    """The ``rows [*batch]`` in whose state there is NaN or infinity."""
    for leaf in jax.tree.leaves(state):
        if differentiable(leaf):
            rows = rows | ~jnp.all(jnp.isfinite(leaf), axis=tuple(range(rows.ndim, leaf.ndim)))
    return rows


def _filled(rows: jax.Array, value: float, tree: Any) -> Any:
    """``tree`` with ``value`` in all numbers of these rows; counts stay as they are."""

    def fill(leaf: jax.Array) -> jax.Array:
        return where(rows, jnp.full_like(leaf, value), leaf) if differentiable(leaf) else leaf

    return jax.tree.map(fill, tree)


def _reached(
    bad: jax.Array,
    bad_before: jax.Array,
    starts: jax.Array,
    lengths: jax.Array | None,
    reach: int | None,
) -> tuple[jax.Array, jax.Array]:
    """Which steps ``[T, *batch]``, and which rows' last states, have read from bad inputs.

    Those that follow in the same sequence, or, of a window, as many of them as it is long.
    """
    steps = bad.shape[0]
    step = jnp.arange(steps).reshape(-1, *[1] * bad_before.ndim)
    if lengths is not None:
        starts = starts & (step < lengths)  # a start in the padding is none
    start = jax.lax.cummax(jnp.where(starts, step, -1))
    last = jax.lax.cummax(jnp.where(bad, step, jnp.where(bad_before, -1, -2)))
    reached = last >= start
    if reach is not None:
        reached &= step - last < reach
    at_end = last[-1] >= start[-1]  # nothing bad and no start stands in the padding
    if reach is not None:
        at_end &= (steps if lengths is None else lengths) - 1 - last[-1] < reach
    return reached, at_end


def turned(values: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """The first ``lengths`` steps of each row of ``values [T, *batch, ...]`` in reverse order."""
    if lengths is None:
        return jnp.flip(values, axis=0)
    step = jnp.arange(values.shape[0]).reshape(-1, *[1] * lengths.ndim)
    source = jnp.where(step < lengths, lengths - 1 - step, step)
    further = range(source.ndim, values.ndim)
    return jnp.take_along_axis(values, jnp.expand_dims(source, further), axis=0)
