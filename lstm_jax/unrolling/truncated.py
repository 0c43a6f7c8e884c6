"""Truncated backpropagation through time: the state goes on from chunk to chunk, the gradient
does not."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from lstm_jax._internal import checking, varying
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell, without_memory
from lstm_jax.core.typing import AnyArray, Params, State
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.driver import unroll
from lstm_jax.unrolling.masks import narrow_floats, where, widen_floats
from lstm_jax.unrolling.methods.deferred_options import Deferred
from lstm_jax.unrolling.parts import spread_like


@default_promotion
def unroll_truncated(
    cell: Cell,
    params: Params,
    xs: Float[AnyArray, "T *batch D"],
    state: State | None = None,
    *,
    every: int,
    offset: Any = 0,
    lengths: Integer[AnyArray, "*batch"] | None = None,
    resets: Bool[AnyArray, "T *batch"] | None = None,
    method: str | Deferred = "auto",
    checkpoint_every: int | str | None = None,
    key: PRNGKeyArray | None = None,
) -> tuple[State, Float[Array, "T *batch H"]]:
    """``lj.unroll`` with the same values, and a gradient that stays within chunks of time.

    every: steps of a chunk. No gradient passes from step ``t`` to step ``t - 1``, t > 0, where
        ``t - offset`` is a multiple of ``every``: truncated backpropagation in chunks, which
        looks back ``every - 1`` steps at most. ``state`` and a learned first state keep theirs.
    offset: in [0, every), the steps of a shorter first chunk; 0 for none. It may be traced, and is
        then taken modulo ``every``: drawn anew for each batch, every step is a boundary as often as
        any other, and no dependency shorter than a chunk is cut always. The gradient stays biased
        towards short ones; Tallec & Ollivier 2017, "Unbiasing truncated backpropagation through
        time", draw lengths too, and weigh the gradient by how often it is cut, which this does not.

    The other arguments are those of ``lj.unroll``, with all that it promises of padding, resets and
    noise; ``checkpoint_every`` divides a chunk. Padding has no boundaries: a row's last state has
    the gradient of the chunk that the row ends in. Raises what ``lj.unroll`` raises, and
    ValueError for a cell that reads a sequence from both ends.
    """
    every = checking.positive_int("every", every)
    offset = _offset(offset, every)
    key = check_call(cell, params, xs, state, lengths, resets, key).key
    xs = jnp.asarray(xs)
    steps, batch = xs.shape[0], xs.shape[1:-1]
    if lengths is not None:
        lengths = checking.lengths(lengths, steps, batch)
    if steps == 0:
        return unroll(cell, params, xs, state, method=method, key=key)
    _check_steps("cell", cell, params, xs)
    return _unrolled(
        without_memory(cell), cell.memory, params, xs, state, lengths, resets, key,
        offset if isinstance(offset, int) else None, None if isinstance(offset, int) else offset,
        every, method, checkpoint_every,
    )  # fmt: skip


# Compiled by itself outside of jit, as lj.unroll is, and for one offset that is known.
@functools.partial(jax.jit, inline=True, static_argnums=(0, 8, 10, 11, 12))
def _unrolled(
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
    """All chunks have one shape, and one body in one scan: chunk 0 holds the first ``first`` steps
    and each other one the ``size`` that follow. What a chunk lacks is padding at its end, which
    ``lengths`` makes inert in any cell (padding in front would not be, nor a second compiled body
    be cheap), and noise is drawn by counts in the state, which padding does not advance."""
    steps, batch = xs.shape[0], xs.shape[1:-1]
    size = min(every, steps)
    first: Any = None
    if traced is not None:
        first = jnp.minimum(jnp.where(traced == 0, every, traced), size)
        count = 1 + math.ceil((steps - 1) / size)  # enough for a first chunk of one step
    else:
        first = min(known or every, size)  # a chunk of none is a whole one
        count = 1 + math.ceil((steps - first) / size)
    padded = lengths is not None or traced is not None or first != size or steps % size != 0
    ends = steps if lengths is None else lengths

    def cut(a: jax.Array) -> jax.Array:
        """``[T, ...]`` as chunks ``[count, size, ...]``."""
        a = jnp.pad(a, [(0, count * size - steps)] + [(0, 0)] * (a.ndim - 1))
        rest = jax.lax.dynamic_slice_in_dim(a, first, (count - 1) * size)
        return jnp.concatenate([a[:size], rest]).reshape(count, size, *a.shape[1:])

    def put_together(chunks: jax.Array) -> jax.Array:
        """What ``cut`` cut; each chunk's padding lies under the next one, or behind the end."""
        flat = chunks.reshape(count * size, *chunks.shape[2:])
        return jax.lax.dynamic_update_slice_in_dim(flat, flat[size:], first, 0)[:steps]

    cell = cell._replace(memory=memory)
    wide = widen_floats(params)  # gradients of all chunks are summed in this

    def chunk(state: State, inputs: tuple) -> tuple[State, jax.Array]:
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
        state = spread_like(initial, jax.lax.stop_gradient(jnp.where(False, xs[0, ..., 0], 0)))
    state = varying.cast(axes, state)
    inputs = (jnp.arange(count), cut(xs), None if resets is None else cut(resets))
    state, chunks = jax.lax.scan(chunk, state, inputs)
    return state, put_together(chunks)


def _offset(offset: Any, every: int) -> Any:
    """A known offset as an int, a traced one in its range."""
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
    """Refuses a layer that cannot be stepped: its chunks would not be its whole."""

    def step(params: Params, x: jax.Array) -> Any:
        return cell.step(params, cell.initial_state(params, x.shape[:-1]), x)

    try:
        jax.eval_shape(step, params, xs[0])
    except ArgumentError as error:
        name = cell.name
        raise WrongValue(f"{argument}: got {name}, which has no chunks ({error})") from None
