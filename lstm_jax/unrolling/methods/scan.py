"""The reference method: ``jax.lax.scan`` over the cell's own step, with JAX's own derivatives."""

from typing import Any

import jax

from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import State
from lstm_jax.unrolling.masks import narrow_floats, where, widen_floats, zero_where_not
from lstm_jax.unrolling.methods.traversal import Traversal


def ineligible(cell: Cell) -> str | None:
    """None, since this method runs every cell with a step."""
    return None


def why(traversal: Traversal) -> tuple[str, ...]:
    """The decisions of this method, and the reasons for them."""
    return ("step by step, with JAX's own derivatives: runs every cell",)


def traverse(traversal: Traversal) -> tuple[State, jax.Array]:
    """Runs one step after the other: ``(state, ys)``.

    The loop receives the params in float32 and narrows them in each step, so that the gradients of
    bfloat16 weights are summed over time in float32.
    """
    cell, params, xs, state, initial, masks, reverse = traversal
    wide = widen_floats(params)

    def body(state: State, inputs: tuple[Any, ...]) -> tuple[State, jax.Array]:
        x, valid, reset = inputs
        read = state if reset is None else where(reset, initial, state)
        new, y = cell.advance(narrow_floats(wide, params), read, x)
        return where(valid, new, state), zero_where_not(valid, y)

    return jax.lax.scan(body, state, (xs, masks.valid, masks.resets), reverse=reverse)
