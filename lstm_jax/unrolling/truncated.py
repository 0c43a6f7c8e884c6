"""Truncated backpropagation through time: chunks pass on their state, but no gradient."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking, varying
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell, without_memory
from lstm_jax.core.typing import Inputs, Key, Lengths, Outputs, Params, Resets, State, StateT
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.driver import unroll
from lstm_jax.unrolling.masks import narrow_floats, where, widen_floats
from lstm_jax.unrolling.methods.deferred_options import Deferred
from lstm_jax.unrolling.parts import first_feature, spread_like


@default_promotion
def unroll_truncated(
    cell: Cell[StateT],
    params: Params,
    xs: Inputs,
    state: StateT | None = None,
    *,
    every: int,
    offset: Any = 0,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    method: str | Deferred = "auto",
    checkpoint_every: int | str | None = None,
    key: Key | None = None,
) -> tuple[StateT, Outputs]:
    """``lj.unroll`` with the same values, and a gradient that stays within chunks of time.

    No gradient passes from step ``t`` to step ``t - 1``, t > 0, if ``t - offset`` is a multiple of
    ``every``. So truncated backpropagation looks back at most ``every - 1`` steps. ``state`` and a
    learned initial state keep their gradients. Padding has no boundaries: the last state of a row
    has the gradient of the chunk in which the row ends.

    Args:
        cell: The cell. It and the following arguments are those of ``lj.unroll``, with the same
            meaning of padding, resets and noise.
        params: As ``cell.init(key, D)`` gives them.
        xs: The inputs, ``[T, *batch, D]``.
        state: The state before the first step.
        every: The steps of a chunk.
        offset: The steps of a shorter first chunk, in [0, every); 0 for none. If it is traced, it
            is taken modulo ``every``. If it is drawn anew for each batch, all steps are boundaries
            equally often, and no dependency shorter than a chunk is always cut. The gradient is
            still biased towards short dependencies; Tallec & Ollivier 2017, "Unbiasing truncated
            backpropagation through time", also draw the lengths, and weight the gradient by how
            often it is cut, which is not done here.
        lengths: The number of steps that count in each row, ``[*batch]``.
        resets: The steps before which a row returns to the initial state, ``[T, *batch]``.
        method: How time is traversed within a chunk.
        checkpoint_every: As in ``lj.unroll``, for blocks within a chunk.
        key: The random key of noisy cells.

    Returns:
        ``(state, ys)``, as ``lj.unroll``.

    Raises:
        ValueError, TypeError: As ``lj.unroll`` does, and for a layer that reads a sequence from
            both ends.
    """
    every = checking.positive_int("every", every)
    offset = _offset(offset, every)
    key = check_call(cell, params, xs, state, lengths, resets, key).key
    xs = jnp.asarray(xs)
    steps, batch = xs.shape[0], cell.batch_shape(xs.shape[1:])
    if lengths is not None:
        lengths = checking.lengths(lengths, steps, batch)
    if steps == 0:
        return unroll(cell, params, xs, state, method=method, key=key)
    _check_steps("cell", cell, params, xs)
    return _run(
        without_memory(cell), cell.memory, params, xs, state, lengths, resets, key,
        offset if isinstance(offset, int) else None, None if isinstance(offset, int) else offset,
        every, method, checkpoint_every,
    )  # fmt: skip


# Jitted as in lj.unroll; a known offset is static.
@functools.partial(jax.jit, inline=True, static_argnums=(0, 8, 10, 11, 12))
def _run(
    cell: Cell,
    memory: Any,
    params: Params,
    xs: jax.Array,
    state: State | None,
    lengths: jax.Array | None,
    resets: jax.Array | None,
    key: Any,
    known: int | None,
    traced: jax.Array | None,
    every: int,
    method: str | Deferred,
    checkpoint_every: int | str | None,
) -> tuple[State, jax.Array]:
    """Runs all chunks in one scan.

    Chunk 0 has the first ``first`` steps, and each other one the next ``size``. All have one shape:
    shorter ones are padded at their end, where ``lengths`` makes padding inert in any cell. Padding
    in front would not be inert, and chunks of two shapes would need a second compiled body. Noise
    is drawn by counts in the state, which padding does not advance.
    """
    steps, batch = xs.shape[0], cell.batch_shape(xs.shape[1:])
    size = min(every, steps)
    first: Any = None
    if traced is not None:
        first = jnp.minimum(jnp.where(traced == 0, every, traced), size)
        count = 1 + math.ceil((steps - 1) / size)  # enough for a first chunk of one step
    else:
        first = min(known or every, size)  # offset 0: the first chunk is a whole one
        count = 1 + math.ceil((steps - first) / size)
    padded = lengths is not None or traced is not None or first != size or steps % size != 0
    ends = steps if lengths is None else lengths

    def cut(a: jax.Array) -> jax.Array:
        """Cuts ``[T, ...]`` into chunks ``[count, size, ...]``."""
        a = jnp.pad(a, [(0, count * size - steps)] + [(0, 0)] * (a.ndim - 1))
        rest = jax.lax.dynamic_slice_in_dim(a, first, (count - 1) * size)
        return jnp.concatenate([a[:size], rest]).reshape(count, size, *a.shape[1:])

    def join(chunks: jax.Array) -> jax.Array:
        """The inverse of ``cut``; the padding of a chunk is overwritten or dropped."""
        flat = chunks.reshape(count * size, *chunks.shape[2:])
        return jax.lax.dynamic_update_slice_in_dim(flat, flat[size:], first, 0)[:steps]

    cell = cell._replace(memory=memory)
    wide = widen_floats(params)  # so that gradients are summed over chunks in float32

    def chunk(state: State, inputs: tuple[Any, ...]) -> tuple[State, jax.Array]:
        number, xs, resets = inputs
        start = jnp.where(number == 0, 0, first + (number - 1) * size)
        stop = (number > 0) & (start < ends)
        state = where(stop, jax.lax.stop_gradient(state), state)
        local = None
        if padded:
            whole = jnp.where(number == 0, first, size)
            local = jnp.broadcast_to(jnp.clip(ends - start, 0, whole), batch)
        return unroll(
            cell, narrow_floats(wide, params), xs, state,
            lengths=local, resets=resets, method=method, checkpoint_every=checkpoint_every, key=key,
        )  # fmt: skip

    axes = varying.axes_of(params, xs, state, lengths, resets, key)
    if state is None:
        initial = cell.initial_state(varying.cast(axes, params), batch)
        state = spread_like(
            initial, jax.lax.stop_gradient(jnp.where(False, xs[0][first_feature(cell)], 0))
        )
    state = varying.cast(axes, state)
    inputs = (jnp.arange(count), cut(xs), None if resets is None else cut(resets))
    state, chunks = jax.lax.scan(chunk, state, inputs)
    return state, join(chunks)


def _offset(offset: Any, every: int) -> Any:
    """Returns a known offset as an int, and a traced one modulo ``every``."""
    if isinstance(offset, jax.core.Tracer):
        if offset.shape != () or not jnp.issubdtype(offset.dtype, jnp.integer):
            got = f"{offset.dtype} of shape {offset.shape}"
            raise WrongValue(f"offset: expected one integer, got {got}")
        return offset % every
    if jnp.shape(offset) != () or not jnp.issubdtype(jnp.result_type(offset), jnp.integer):
        raise WrongType(f"offset: expected an integer, got {offset!r}")
    if not 0 <= int(offset) < every:
        raise WrongValue(f"offset: expected 0 to {every - 1}, below every, got {offset}")
    return int(offset)


def _check_steps(argument: str, cell: Cell, params: Params, xs: jax.Array) -> None:
    """Refuses a layer that cannot be stepped, whose chunks would not equal the whole."""

    def step(params: Params, x: jax.Array) -> Any:
        return cell.step(params, cell.initial_state(params, cell.batch_shape(x.shape)), x)

    try:
        jax.eval_shape(step, params, xs[0])
    except ArgumentError as error:
        raise WrongValue(
            f"{argument}: expected a cell that can run in chunks, got {cell.name} ({error})"
        ) from None
