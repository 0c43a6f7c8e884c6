"""The start of a call, and the traversal of composites part by part."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import varying
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Composite, PartCall
from lstm_jax.core.typing import State
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.masks import Masks, zero_where_not
from lstm_jax.unrolling.methods.deferred_options import Deferred
from lstm_jax.unrolling.methods.traversal import Traversal

# A function of one cell that is not a composite, and of the requested method.
OverTime = Callable[[Traversal, str | Deferred], tuple[State, jax.Array]]


def start_traversal(call: Call) -> Traversal:
    """The traversal of the call's cell, with prepared params and states placed like the inputs."""
    cell, xs, valid, resets, state = call.cell, call.xs, call.valid, call.resets, call.state
    batch = cell.batch_shape(xs.shape[1:])
    axes = varying.axes_of(call.params, xs, state, valid, resets, call.key)
    params, state = varying.cast(axes, (call.params, state))
    initial = cell.initial_state(params, batch)
    if state is not None:
        initial = jax.tree.map(lambda leaf, s: leaf.astype(s.dtype), initial, state)
    if xs.shape[0] > 0:
        # Zeros that are sharded as the batch is.
        zeros = jax.lax.stop_gradient(jnp.where(False, xs[first_feature(cell)], 0))
        initial = spread_like(initial, zeros[0])
        valid, resets = (None if m is None else m & (zeros == 0) for m in (valid, resets))
    initial = varying.cast(axes, initial)
    state = initial if state is None else state
    params = cell.prepare(params, batch, call.key)
    return Traversal(cell, params, xs, state, initial, Masks(valid, resets), call.reverse)


def over_parts(
    traversal: Traversal, method: str | Deferred, over_time: OverTime
) -> tuple[State, jax.Array]:
    """Runs a composite by its parts, and any other cell by ``over_time``: ``(state, ys)``.

    The resets of ``traversal`` are those of the call, also in reverse.
    """
    (valid, resets), reverse = traversal.masks, traversal.reverse
    if not isinstance(traversal.cell.form, Composite):
        masks = Masks(valid, segment_starts(resets, valid, reverse))
        return over_time(traversal._replace(masks=masks), method)

    def run_part(part: PartCall) -> tuple[State, jax.Array]:
        of_part = method if part.method is None else part.method
        return over_parts(traversal.of_part(part), of_part, over_time)

    _, params, xs, state, initial, _, _ = traversal
    state, ys = traversal.cell.form.run_parts(run_part, params, xs, state, initial)
    return state, zero_where_not(valid, ys)


def first_feature(cell: Cell) -> tuple[Any, ...]:
    """The index of one number per input of a row, with which ``xs [T, ...]`` is ``[T, *batch]``."""
    return (..., *(0,) * cell.feature_axes)


def spread_like(state: State, zeros: jax.Array) -> State:
    """``state`` sharded over devices as ``zeros [*batch]`` are, by adding them."""

    def add_zeros(leaf: jax.Array) -> jax.Array:
        return leaf + jnp.expand_dims(zeros, range(zeros.ndim, leaf.ndim)).astype(leaf.dtype)

    return jax.tree.map(add_zeros, state)


def segment_starts(
    resets: jax.Array | None, valid: jax.Array | None, reverse: bool
) -> jax.Array | None:
    """The steps at which segments begin in the direction of travel.

    In reverse, a segment begins at its last step, which is one step before the start of the next
    segment. A start in the padding does not count.
    """
    if resets is None or not reverse:
        return resets
    starts = resets if valid is None else resets & valid
    return jnp.concatenate([starts[1:], jnp.zeros_like(starts[:1])])
