"""The windowed form over a whole sequence: blocks of queries, and the places that they read."""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.core.forms import AttentionState, Windowed
from lstm_jax.core.numerics import like
from lstm_jax.core.steps import filled_places, windowed_attention
from lstm_jax.core.typing import BatchShape, Params
from lstm_jax.unrolling.blocks import over_blocks
from lstm_jax.unrolling.masks import nan_where, not_finite, zero_where_not

SHORT = 1024  # up to this many steps the loop over blocks is unrolled in the program


def why(form: Windowed, shape: BatchShape) -> tuple[str, ...]:
    """The decisions of this solver, in words."""
    return (f"softmax over a window of {form.window}, {block_of(form.window)} queries at a time",)


def block_of(window: int) -> int:
    """The number of queries per block.

    The window is kept between blocks, and the scores within one. Neither should be much larger than
    the other.
    """
    return min(max(window // 4, 128), 1024)


T = TypeVar("T")


class Places(NamedTuple):
    """Keys and values along axis -2.

    Attributes:
        keys: With their position encoding, ``[*batch, heads, P, d]``.
        values: ``[*batch, heads, P, d]``.
        segment: The sequence that a place belongs to, counted in its row; -1 for an empty place,
            ``[*batch, 1, P, 1]``. None if every row is one sequence and no place is empty.
        bad: Whether the key or the value is not finite, and replaced by zeros,
            ``[*batch, heads, P, 1]``.
    """

    keys: jax.Array  # [*batch, heads, P, d]
    values: jax.Array  # [*batch, heads, P, d]
    segment: jax.Array | None  # [*batch, 1, P, 1]
    bad: jax.Array  # [*batch, heads, P, 1]


def over_sequence(
    form: Windowed,
    params: Params,
    xs: jax.Array,
    state: AttentionState,
    initial: AttentionState,
    lengths: jax.Array | None,
    starts: jax.Array | None,
) -> tuple[AttentionState, jax.Array]:
    """The solver of the windowed form; see ``parallel.SOLVERS``.

    It computes ``T (window + block)`` scores. If T is long, it keeps only those of one block at a
    time, and recomputes them in the backward pass.
    """
    steps, window, every = xs.shape[0], form.window, block_of(form.window)
    q, k, v = (jnp.moveaxis(a, 0, -2) for a in form.project(params, xs))
    after = next_window(state, k, v, lengths, starts, window)
    short, fresh = steps <= SHORT, state is initial  # fresh: the window is empty
    positions = np.arange(steps)
    q, segment = form.place(q, positions), None
    if not (short and fresh and starts is None):
        count = jnp.zeros(xs.shape[:-1], jnp.int32) if starts is None else jnp.cumsum(starts, 0)
        segment = jnp.moveaxis(count, 0, -1)[..., None, :, None]
    here = finite_places(form, k, v, positions, segment)

    def block(before: Places, q: jax.Array, here: Places) -> jax.Array:
        """What the queries q, at the places ``here``, read from these places and those before."""
        places = concatenate_places(before, here)
        total, queries = places.keys.shape[-2], q.shape[-2]
        distances = np.arange(total - queries, total)[:, None] - np.arange(total)
        visible = (distances >= 0) & (distances < window)
        if places.segment is not None:
            visible = visible & (here.segment == jnp.swapaxes(places.segment, -1, -2))
        bad = not_finite(q)
        finite = zero_where_not(~bad, q)
        bias = form.bias(params, distances)
        o = windowed_attention(finite, places.keys, places.values, bias, visible)
        return nan_where(sees_bad(places, queries, window) | bad, o, q)

    if short and fresh:
        before = slice_places(here, 0, 0)
    else:
        held = jnp.where(filled_places(state.filled, window), 0, -1)[..., None, :, None]
        keys, values = state.keys.astype(k.dtype), state.values.astype(v.dtype)
        before = finite_places(form, keys, values, np.arange(-window, 0), held)
    if short:
        places, ahead = concatenate_places(before, here), before.keys.shape[-2]
        outs = []
        for start in range(0, steps, every):
            first, end = ahead + start, min(ahead + start + every, ahead + steps)
            seen = slice_places(places, max(0, first - window + 1), first)
            queries = slice_places(q, start, end - ahead)
            outs.append(block(seen, queries, slice_places(places, first, end)))
        o = jnp.moveaxis(jnp.concatenate(outs, axis=-2), -2, 0)
    else:

        def body(before: Places, inputs: tuple[jax.Array, Places]) -> tuple[Places, jax.Array]:
            q, here = jax.tree.map(lambda a: jnp.moveaxis(a, 0, -2), inputs)
            o = jax.checkpoint(block)(before, q, here)
            places, queries = concatenate_places(before, here), q.shape[-2]
            return slice_places(places, queries, window + queries), jnp.moveaxis(o, -2, 0)

        by_time = jax.tree.map(lambda a: jnp.moveaxis(a, -2, 0), (q, here))
        _, o = over_blocks(body, before, by_time, every, reverse=False)
    return like(state, after), form.output(params, o, xs)


def finite_places(
    form: Windowed, k: jax.Array, v: jax.Array, positions: np.ndarray, segment: jax.Array | None
) -> Places:
    """The places of keys ``k`` and values ``v``, ``[*batch, heads, P, d]``, at ``positions``."""
    bad = not_finite(k) | not_finite(v)
    k, v = zero_where_not(~bad, (k, v))
    return Places(form.place(k, positions), v, segment, bad[..., None])


def sees_bad(places: Places, queries: int, window: int) -> jax.Array:
    """Which of the last ``queries`` places read a bad one: ``[*batch, heads, queries]``."""
    bad = places.bad[..., 0]
    place = jnp.arange(bad.shape[-1])
    last_bad = jax.lax.cummax(jnp.where(bad, place, -window), bad.ndim - 1)
    sees = place - last_bad < window
    if places.segment is not None:
        segment = places.segment[..., 0]
        begins = jnp.diff(segment, axis=-1, prepend=segment[..., :1]) != 0
        sees &= last_bad >= jax.lax.cummax(jnp.where(begins, place, 0), segment.ndim - 1)
    return sees[..., -queries:]


def concatenate_places(before: Places, here: Places) -> Places:
    """The places ``before``, followed by those ``here``."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=-2), before, here)


def slice_places(places: T, first: int, end: int) -> T:
    """The places from ``first`` up to ``end``."""
    return jax.tree.map(lambda a: a[..., first:end, :], places)


def next_window(
    state: AttentionState,
    k: jax.Array,
    v: jax.Array,
    lengths: jax.Array | None,
    starts: jax.Array | None,
    window: int,
) -> AttentionState:
    """The window after the last step that counts, with new k and v ``[*batch, heads, T, d]``."""
    steps = k.shape[-2]
    ends = steps if lengths is None else lengths
    count = state.filled + ends
    if starts is not None:
        step = jnp.arange(steps).reshape(-1, *[1] * state.filled.ndim)
        last = jnp.max(jnp.where(starts & (step < ends), step, -1), axis=0)
        count = jnp.where(last >= 0, ends - last, count)
    count = jnp.minimum(count, window)

    def last_of(old: jax.Array, new: jax.Array) -> jax.Array:
        every = jnp.concatenate([old.astype(new.dtype), new], axis=-2)
        if lengths is None:
            kept = every[..., steps:, :]
        else:
            place = lengths[..., None, None, None] + jnp.arange(window)[:, None]
            kept = jnp.take_along_axis(every, place, axis=-2)
        return jnp.where(filled_places(count, window)[..., None, :, None], kept, 0)

    return AttentionState(last_of(state.keys, k), last_of(state.values, v), count)
