"""``lj.unroll`` and ``lj.explain``: the same driver for every method."""

import functools
from collections.abc import Callable

import jax
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import AnyArray, Params, State
from lstm_jax.unrolling import plan
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.blocks import over_blocks
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.masks import narrow_floats, widen_floats
from lstm_jax.unrolling.methods.deferred_options import Deferred
from lstm_jax.unrolling.methods.traversal import Traversal
from lstm_jax.unrolling.parts import over_parts, start_traversal


@default_promotion
def unroll(
    cell: Cell,
    params: Params,
    xs: Float[AnyArray, "T *batch D"],
    state: State | None = None,
    *,
    lengths: Integer[AnyArray, "*batch"] | None = None,
    resets: Bool[AnyArray, "T *batch"] | None = None,
    reverse: bool = False,
    method: str | Deferred = "auto",
    checkpoint_every: int | str | None = None,
    key: PRNGKeyArray | None = None,
) -> tuple[State, Float[Array, "T *batch H"]]:
    """Runs ``cell`` over the sequence ``xs``: ``(state, ys)``, the last state and all outputs.

    params: as ``cell.init(key, D)`` gives them.
    state: where to start; None for ``cell.initial_state``. Chunks of a sequence, each started
        with the state of the one before, equal the whole. (In reverse, chunks must not be cut
        where a reset stands: it is the earlier chunk's last step that would have to know of it.)
    lengths: steps that count in each row. Past them the state is frozen, outputs are zero,
        gradients are exactly zero, and the values of ``xs`` (NaN included) change nothing.
        Values outside [0, T] are an error where they are known, clipped where they are traced.
    resets: where True, the row's state is the initial one before ``xs[t]`` is consumed, so that
        sequences can stand end to end in a row (``lj.pack``).
    reverse: from the last step that counts to the first, in each row; outputs stay at the time
        of their inputs, and resets keep their segments.
    method: "scan" is ``jax.lax.scan`` with JAX's own derivatives and runs every cell;
        "deferred" (gated cells) puts weight gradients off to large products over many steps, and
        ``lj.Deferred(...)`` does so in a way of your own; "associative" (linear cells) takes all
        products at once and the steps in parallel where that pays; neither has a forward-mode
        derivative. "parallel" (attention cells) takes long blocks of steps in a few products.
        "auto" takes the fastest that fits, and never changes the numbers beyond rounding;
        ``lj.explain`` says what it takes, and why.
    checkpoint_every: keep for the backward pass only the states between blocks of this many steps
        and compute the rest again. "auto" takes the number that keeps least, about the square
        root of T. A bound such as "64 MiB" takes the longest blocks with which the backward pass,
        outputs and cotangents included, fits in that much (by the shapes at trace time: under
        vmap those of one example). None keeps all.
    key: draws the noise of noisy cells; the same key gives the same noise under every method,
        chunking and recomputation. None: no noise, as in evaluation. It may be a key of any of
        JAX's generators; the noise itself is drawn by threefry, from a key made of all its words.

    Raises ValueError or TypeError, naming the argument, at trace time.
    """
    options = (reverse, method, checkpoint_every)
    return _unrolled(check_call(cell, params, xs, state, lengths, resets, key, *options))


@default_promotion
def explain(
    cell: Cell,
    params: Params,
    xs: Float[AnyArray, "T *batch D"],
    state: State | None = None,
    *,
    lengths: Integer[AnyArray, "*batch"] | None = None,
    resets: Bool[AnyArray, "T *batch"] | None = None,
    reverse: bool = False,
    method: str | Deferred = "auto",
    checkpoint_every: int | str | None = None,
    key: PRNGKeyArray | None = None,
) -> str:
    """How ``lj.unroll`` with these arguments goes through time, and why; nothing is run.

    A paragraph for each cell that is unrolled, with its method, what that method decided, and
    about how much memory its backward pass takes. Raises what ``lj.unroll`` raises.
    """
    options = (reverse, method, checkpoint_every)
    call = check_call(cell, params, xs, state, lengths, resets, key, *options)
    parts, every = plan.plan(call)
    lines = []
    for p in parts:
        lines += [f"{p.cell}: {p.method}", *(f"  {reason}" for reason in p.why)]
    if parts:
        blocks = "all steps kept" if every is None else f"recomputed in blocks of {every} steps"
        size = plan.format_bytes(plan.bytes_needed(parts, every))
        lines.append(f"backward pass: {blocks}, about {size}")
    return "\n".join(lines)


# Compiled by itself where the caller does not compile: a call outside jit then costs one dispatch.
@functools.partial(jax.jit, inline=True)
def _unrolled(call: Call) -> tuple[State, jax.Array]:
    """``unroll`` of checked arguments."""
    every = plan.block_of(call)

    def over_time(traversal: Traversal, method: str | Deferred) -> tuple[State, jax.Array]:
        traverse = plan.choose_method(traversal.cell, method).traverse
        return traverse(traversal) if every is None else _in_blocks(traverse, traversal, every)

    return over_parts(start_traversal(call), call.method, over_time)


def _in_blocks(
    traverse: Callable[[Traversal], tuple[State, jax.Array]], traversal: Traversal, every: int
) -> tuple[State, jax.Array]:
    """``traverse`` one block of steps at a time, keeping for the backward pass only the states
    between blocks and recomputing the rest."""
    _, params, xs, state, initial, masks, reverse = traversal

    @jax.checkpoint
    def block(wide, initial, state, inputs):
        xs, masks = inputs
        given = {"params": narrow_floats(wide, params), "xs": xs, "masks": masks}
        return traverse(traversal._replace(state=state, initial=initial, **given))

    wide = widen_floats(params)  # gradients of all blocks are summed in this
    return over_blocks(
        lambda state, inputs: block(wide, initial, state, inputs),
        state,
        (xs, masks),
        every,
        reverse=reverse,
    )
