"""The associative method, for linear cells: large products before and after the recurrence.

Padding and resets are expressed by the coefficients: ``a = 1, b = 0`` keeps the state past the end
of a row, and at a reset ``a = 0``, with the contribution of the initial state in ``b``.

Milliseconds of whole cells, forward and backward, with H inputs and H units; see ``recurrence.py``
for the machine:

                  min_gru             lru
      T   B    H    scan associative    scan associative
     64  32  128     7.0         4.9    13.5         8.2
    512  32  128    68.4        55.1   126.3        97.3
    784  64  128   199.4       159.3   310.0       302.6
  10000   4   64   125.9        52.6   234.7        99.3
 100000   1   64   375.4       143.9   533.6       248.3
"""

import jax
import jax.numpy as jnp

from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Linear
from lstm_jax.core.numerics import like
from lstm_jax.core.typing import State
from lstm_jax.unrolling.masks import where, zero_where_not
from lstm_jax.unrolling.methods.recurrence import linear_recurrence
from lstm_jax.unrolling.methods.traversal import Traversal


def ineligible(cell: Cell) -> str | None:
    """The reason why this method cannot run ``cell``; None if it can."""
    if isinstance(cell.form, Linear):
        return None
    return f"{cell.name} is not of the linear form"


def why(traversal: Traversal) -> tuple[str, ...]:
    """The decisions of this method, and the reasons for them."""
    steps = "one after the other" if jax.default_backend() == "cpu" else "in parallel"
    return (
        "the linear form: all products at once, before and after the recurrence",
        f"steps {steps}: see linear_recurrence",
    )


def traverse(traversal: Traversal) -> tuple[State, jax.Array]:
    """``(state, ys)``. It has a custom VJP, and so no forward-mode derivative."""
    cell, params, xs, state, initial, masks, reverse = traversal
    form = cell.form
    assert isinstance(form, Linear)
    h0, restart = form.read(state), form.read(initial)
    a, b = form.coefficients(params, xs)
    dtype = jnp.result_type(a, b, h0)
    b = b.astype(dtype)
    a = jnp.expand_dims(a.astype(dtype), range(b.ndim - a.ndim))
    if any(mask is not None for mask in masks):
        a = a + jnp.zeros_like(b)  # broadcast_to would lose the sharding
    if masks.resets is not None:
        b = where(masks.resets, a * restart + b, b)
        a = zero_where_not(~masks.resets, a)
    a = where(masks.valid, a, jnp.ones_like(a))
    b = zero_where_not(masks.valid, b)
    h = linear_recurrence(a, b, h0.astype(dtype), reverse, masks.resets is not None)
    ys = zero_where_not(masks.valid, form.output(params, h, xs))
    if xs.shape[0] == 0:
        return state, ys
    return like(state, form.write(h[0 if reverse else -1])), ys
