"""A call as the cells that it is made of: where each starts, and composites by their parts."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lstm_jax._internal import varying
from lstm_jax.core.forms import Composite
from lstm_jax.core.typing import State
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.masks import Masks, zero_where_not
from lstm_jax.unrolling.methods.deferred_options import Deferred
from lstm_jax.unrolling.methods.traversal import Traversal

# Takes one cell that is not a composite, and the method that was asked for.
OverTime = Callable[[Traversal, str | Deferred], tuple[State, jax.Array]]


def start_traversal(call: Call) -> Traversal:
    """The call's cell over time: params prepared, and states on the devices of the inputs."""
    cell, xs, valid, resets, state = call.cell, call.xs, call.valid, call.resets, call.state
    batch = xs.shape[1:-1]
    axes = varying.axes_of(call.params, xs, state, valid, resets, call.key)
    params, state = varying.cast(axes, (call.params, state))
    initial = cell.initial_state(params, batch)
    if state is not None:
        initial = jax.tree.map(lambda leaf, s: leaf.astype(s.dtype), initial, state)
    if xs.shape[0] > 0:
        zeros = jax.lax.stop_gradient(jnp.where(False, xs[..., 0], 0))  # spread as the batch is
        initial = spread_like(initial, zeros[0])
        valid, resets = (None if m is None else m & (zeros == 0) for m in (valid, resets))
    initial = varying.cast(axes, initial)
    state = initial if state is None else state
    params = cell.prepare(params, batch, call.key)
    return Traversal(cell, params, xs, state, initial, Masks(valid, resets), call.reverse)


def over_parts(
    traversal: Traversal, method: str | Deferred, over_time: OverTime
) -> tuple[State, jax.Array]:
    """A composite by its parts, any other cell by ``over_time``: ``(state, ys)``.

    The resets of ``traversal`` are those of the call, whatever its direction.
    """
    (valid, resets), reverse = traversal.masks, traversal.reverse
    if not isinstance(traversal.cell.form, Composite):
        masks = Masks(valid, _segment_starts(resets, valid, reverse))
        return over_time(traversal._replace(masks=masks), method)
    asked = method

    def run(cell, params, xs, state, initial, *, reverse=False, method=None):
        turned = reverse != traversal.reverse
        part = Traversal(cell, params, xs, state, initial, traversal.masks, turned)
        return over_parts(part, asked if method is None else method, over_time)

    _, params, xs, state, initial, _, _ = traversal
    state, ys = traversal.cell.form.over_time(run, params, xs, state, initial)
    return state, zero_where_not(valid, ys)


def spread_like(state: State, zeros: jax.Array) -> State:
    """``state`` spread over devices as ``zeros [*batch]`` are, which it adds."""

    def spread(leaf: jax.Array) -> jax.Array:
        return leaf + jnp.expand_dims(zeros, range(zeros.ndim, leaf.ndim)).astype(leaf.dtype)

    return jax.tree.map(spread, state)


def _segment_starts(
    resets: jax.Array | None, valid: jax.Array | None, reverse: bool
) -> jax.Array | None:
    """Where segments begin in the direction of travel. Backwards a segment begins at its last
    step, one before the next one's start; a start in the padding is none."""
    if resets is None or not reverse:
        return resets
    starts = resets if valid is None else resets & valid
    return jnp.concatenate([starts[1:], jnp.zeros_like(starts[:1])])
