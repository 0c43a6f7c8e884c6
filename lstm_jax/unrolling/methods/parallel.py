"""The parallel method, for attention cells: long blocks of steps in a few large products.

Each form has a solver in its own file. Solvers run forward over rows whose padding is at the end;
reverse and lengths are handled here.
"""

from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import MatrixMemory, Windowed
from lstm_jax.core.typing import State
from lstm_jax.unrolling.masks import where, zero_where_not
from lstm_jax.unrolling.methods import over_matrices, over_windows, scan
from lstm_jax.unrolling.methods.traversal import Traversal

# over_sequence(form, params, xs, state, initial, lengths, starts) -> (state, ys) runs the first
# ``lengths [*batch]`` steps of each row (None: all). Before a step where ``starts [T, *batch]`` is
# True, the row returns to the state ``initial`` (None: no row does). Outputs past a row's length
# are not used. Numbers that are not finite must reach only later steps, although in a product zero
# times NaN is NaN.
SOLVERS: dict[type, Any] = {MatrixMemory: over_matrices, Windowed: over_windows}


def ineligible(cell: Cell) -> str | None:
    """The reason why this method cannot run ``cell``; None if it can."""
    if type(cell.form) in SOLVERS:
        return None
    return f"{cell.name} is not of a form with a parallel solver"


def why(traversal: Traversal) -> tuple[str, ...]:
    """The decisions of this method, and the reasons for them."""
    form, shape = traversal.cell.form, traversal.xs.shape
    if _is_symbolic(shape[0]):
        return ("step by step, since the number of steps is not known", *scan.why(traversal))
    return SOLVERS[type(form)].why(form, shape)


def traverse(traversal: Traversal) -> tuple[State, jax.Array]:
    """Runs the solver of the cell's form: ``(state, ys)``."""
    cell, params, xs, state, initial, (valid, starts), reverse = traversal
    if _is_symbolic(xs.shape[0]) or xs.shape[0] == 0:
        return scan.traverse(traversal)
    lengths = None if valid is None else jnp.sum(valid, axis=0, dtype=jnp.int32)
    xs = zero_where_not(valid, xs)
    if reverse:
        xs, starts = (
            reverse_rows(xs, lengths),
            None if starts is None else reverse_rows(starts, lengths),
        )
    form: Any = cell.form
    solver = SOLVERS[type(form)]
    new, ys = solver.over_sequence(form, params, xs, state, initial, lengths, starts)
    if lengths is not None:
        new = where(lengths > 0, new, state)
    return new, zero_where_not(valid, reverse_rows(ys, lengths) if reverse else ys)


def _is_symbolic(steps: Any) -> bool:
    """Whether the number of steps is a symbol of an exported program, which blocks do not allow."""
    return jax.export.is_symbolic_dim(steps)


def reverse_rows(values: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """Reverses the first ``lengths`` steps of each row of ``values [T, *batch, ...]``."""
    if lengths is None:
        return jnp.flip(values, axis=0)
    step = jnp.arange(values.shape[0]).reshape(-1, *[1] * lengths.ndim)
    source = jnp.where(step < lengths, lengths - 1 - step, step)
    further = range(source.ndim, values.ndim)
    return jnp.take_along_axis(values, jnp.expand_dims(source, further), axis=0)
