"""The windowed form: attention of a step to the last W steps, and the step derived from it.

Axes: P places of keys, Q of queries, heads, d the size of a head.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.activations import masked_softmax
from lstm_jax.cell import Cell, Params, State, like, plain_cell
from lstm_jax.forms import Window, Windowed
from lstm_jax.gates import GateAxis


def attended(
    q: jax.Array, keys: jax.Array, values: jax.Array, bias: jax.Array | None, visible: Any
) -> jax.Array:
    """``softmax(q keys^T / sqrt(d) + bias) values`` over the visible places (Vaswani et al. 2017,
    eq. 1): ``[*batch, heads, Q, d]``.

    q ``[*batch, heads, Q, d]``; keys, values ``[*batch, heads, P, d]``; bias ``[heads, Q, P]``;
    visible ``[Q, P]`` or ``[*batch, 1, Q, P]``.
    """
    scores = jnp.einsum("...qd,...pd->...qp", q / math.sqrt(q.shape[-1]), keys)
    if bias is not None:
        scores = scores + bias
    return jnp.einsum("...qp,...pd->...qd", masked_softmax(scores, jnp.asarray(visible)), values)


def taken(count: jax.Array, window: int) -> jax.Array:
    """Which places of a window are taken: ``[*batch, W]``."""
    return jnp.arange(window) >= window - count[..., None]


def pushed(old: jax.Array, new: jax.Array) -> jax.Array:
    """``old [..., W, n]`` moved on by one place, with ``new [..., n]`` in the last."""
    return jnp.concatenate([old[..., 1:, :], new[..., None, :].astype(old.dtype)], axis=-2)


def windowed_cell(
    name: str,
    size: int,
    axis: GateAxis,
    form: Windowed,
    *,
    heads: int,
    init: Callable[[jax.Array, int, Any], Params],
) -> Cell:
    """A cell of the windowed form, whose heads are ``size / heads`` wide."""

    def empty(zeros):
        place = (heads, form.window, size // heads)
        return Window(zeros(*place), zeros(*place), zeros(dtype=jnp.int32))

    cell = plain_cell(name, size, axis, init=init, state=empty, advance=windowed_advance(form))
    return cell._replace(form=form)


def windowed_advance(
    form: Windowed,
) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The step of a windowed form: the window moves on by one place."""
    positions = np.arange(form.window)

    def advance(params: Params, state: Window, x: jax.Array) -> tuple[Window, jax.Array]:
        q, k, v = form.project(params, x)
        count = jnp.minimum(state.filled + 1, form.window)
        visible = taken(count, form.window)

        def moved(old: jax.Array, new: jax.Array) -> jax.Array:
            return jnp.where(visible[..., None, :, None], pushed(old, new), 0)

        new = Window(moved(state.keys, k), moved(state.values, v), count)
        o = attended(
            form.place(q[..., None, :], positions[-1:]),
            form.place(new.keys.astype(k.dtype), positions),
            new.values.astype(v.dtype),
            form.bias(params, positions[::-1][None]),
            visible[..., None, None, :],
        )
        return like(state, new), form.output(params, o[..., 0, :], x)

    return advance
