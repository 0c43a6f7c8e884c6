"""``lj.unroll`` and ``lj.explain``: one driver for all methods."""

import functools
from collections.abc import Callable

import jax

from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Inputs, Key, Lengths, Outputs, Params, Resets, State, StateT
from lstm_jax.unrolling import plan
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.blocks import over_blocks
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.masks import Masks, narrow_floats, widen_floats
from lstm_jax.unrolling.methods.deferred_options import Deferred
from lstm_jax.unrolling.methods.traversal import Traversal
from lstm_jax.unrolling.parts import over_parts, start_traversal


@default_promotion
def unroll(
    cell: Cell[StateT],
    params: Params,
    xs: Inputs,
    state: StateT | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    method: str | Deferred = "auto",
    checkpoint_every: int | str | None = None,
    key: Key | None = None,
) -> tuple[StateT, Outputs]:
    """Runs ``cell`` over the sequence ``xs``.

        cell = lj.lstm(128)
        params = cell.init(jax.random.key(0), input_size)
        state, ys = lj.unroll(cell, params, xs)

    Args:
        cell: The cell, or a layer such as ``lj.bidirectional``.
        params: As ``cell.init(key, D)`` gives them.
        xs: The inputs, ``[T, *batch, D]``.
        state: The state before the first step; by default ``cell.initial_state``. Chunks of a
            sequence, each started with the state of the one before, equal the whole. (In reverse,
            do not cut chunks at a reset: the reset would have to be known in the earlier chunk.)
        lengths: The number of steps that count in each row, ``[*batch]``; by default all. Past
            them the state is frozen, outputs are zero, gradients are exactly zero, and the values
            of ``xs`` (NaN included) change nothing. Values outside [0, T] are an error if they are
            known, and clipped if they are traced.
        resets: ``[T, *batch]``. Where True, the row returns to the initial state before ``xs[t]``
            is consumed, so that a row can hold several sequences end to end (``lj.pack``).
        reverse: Whether each row runs from its last step that counts to its first. Outputs stay at
            the time of their inputs, and resets keep their segments.
        method: How time is traversed. "scan" is ``jax.lax.scan`` with JAX's own derivatives, and
            runs every cell. "deferred" (gated cells) computes weight gradients as large products
            over many steps; ``lj.Deferred(...)`` sets its options. "associative" (linear cells)
            takes all products at once, and the steps in parallel where that is faster. These two
            have no forward-mode derivative. "parallel" (attention cells) takes long blocks of steps
            in a few products. "auto" picks the fastest that fits, and never changes the numbers
            beyond rounding; ``lj.explain`` says what it picks, and why.
        checkpoint_every: Keep for the backward pass only the states between blocks of this many
            steps, and recompute the rest. "auto" picks the number that keeps least, about the
            square root of T. A bound such as "64 MiB" picks the longest blocks with which the
            backward pass, outputs and cotangents included, fits (by the shapes at trace time, which
            under vmap are those of one example). By default everything is kept.
        key: The random key of noisy cells; by default there is no noise, as in evaluation. The same
            key gives the same noise under every method, chunking and recomputation. Keys of all of
            JAX's generators are accepted; the noise is drawn by threefry, from a key made of all
            their words.

    Returns:
        ``(state, ys)``: the last state, and all outputs ``[T, *batch, H]``.

    Raises:
        ValueError, TypeError: At trace time, for a wrong argument.
    """
    options = (reverse, method, checkpoint_every)
    return run_call(check_call(cell, params, xs, state, lengths, resets, key, *options))


@default_promotion
def explain(
    cell: Cell[StateT],
    params: Params,
    xs: Inputs,
    state: StateT | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    method: str | Deferred = "auto",
    checkpoint_every: int | str | None = None,
    key: Key | None = None,
) -> str:
    """Explains how ``lj.unroll`` with these arguments traverses time; nothing is run.

    The arguments are those of ``lj.unroll``.

    Returns:
        A paragraph per cell that is unrolled, with its method and what that method decided, and
        about how many bytes the backward pass takes.

    Raises:
        ValueError, TypeError: As ``lj.unroll`` does.
    """
    options = (reverse, method, checkpoint_every)
    call = check_call(cell, params, xs, state, lengths, resets, key, *options)
    parts, every = plan.plan(call)
    lines = []
    for part in parts:
        lines += [f"{part.cell}: {part.method}", *(f"  {reason}" for reason in part.why)]
    if parts:
        blocks = "all steps kept" if every is None else f"recomputed in blocks of {every} steps"
        size = plan.format_bytes(plan.bytes_needed(parts, every))
        lines.append(f"backward pass: {blocks}, about {size}")
    return "\n".join(lines)


# Jitted so that a call outside of the caller's jit costs one dispatch.
@functools.partial(jax.jit, inline=True)
def run_call(call: Call) -> tuple[State, jax.Array]:
    """``unroll`` of checked arguments."""
    every = plan.block_of(call)

    def over_time(traversal: Traversal, method: str | Deferred) -> tuple[State, jax.Array]:
        traverse = plan.choose_method(traversal.cell, method).traverse
        if every is None:
            return traverse(traversal)
        return _traverse_in_blocks(traverse, traversal, every)

    return over_parts(start_traversal(call), call.method, over_time)


def _traverse_in_blocks(
    traverse: Callable[[Traversal], tuple[State, jax.Array]], traversal: Traversal, every: int
) -> tuple[State, jax.Array]:
    """Runs ``traverse`` on one block of steps at a time.

    The backward pass keeps only the states between blocks, and recomputes the rest.
    """
    _, params, xs, state, initial, masks, reverse = traversal

    @jax.checkpoint
    def block(
        wide: Params, initial: State, state: State, inputs: tuple[jax.Array, Masks]
    ) -> tuple[State, jax.Array]:
        xs, masks = inputs
        params_of_block = narrow_floats(wide, params)
        return traverse(
            traversal._replace(
                params=params_of_block, xs=xs, state=state, initial=initial, masks=masks
            )
        )

    wide = widen_floats(params)  # so that gradients are summed over blocks in float32
    return over_blocks(
        lambda state, inputs: block(wide, initial, state, inputs),
        state,
        (xs, masks),
        every,
        reverse=reverse,
    )
