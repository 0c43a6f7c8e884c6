"""The driver: checks, lengths, resets, direction and recomputation, the same for every method."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from lstm_jax import varying
from lstm_jax.cell import AnyArray, Cell, Composite, Params, State
from lstm_jax.errors import WrongValue
from lstm_jax.promotion import standard
from lstm_jax.unrolling import associative, deferred, memory, parallel, scan
from lstm_jax.unrolling.arguments import check_ways, checked
from lstm_jax.unrolling.blocks import over_blocks
from lstm_jax.unrolling.choice import Deferred
from lstm_jax.unrolling.masks import Masks, narrowed, widened, zero_where_not

# In the order in which "auto" tries them: the first that is eligible runs.
METHODS: dict[str, Any] = {
    "deferred": deferred,
    "associative": associative,
    "parallel": parallel,
    "scan": scan,
}


class Context(NamedTuple):
    """What stays the same for all cells of one call."""

    valid: jax.Array | None
    resets: jax.Array | None
    method: str | Deferred
    checkpoint_every: int | None
    parts: list[memory.Part] | None = None  # where the call is looked into and not run


@standard
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
    arguments = checked(cell, params, xs, state, lengths, resets, key)
    check_ways(METHODS, reverse, method, checkpoint_every)
    return _unrolled(*arguments, reverse, method, checkpoint_every)


@standard
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
    arguments = checked(cell, params, xs, state, lengths, resets, key)
    check_ways(METHODS, reverse, method, checkpoint_every)
    parts = _parts(*arguments, reverse, method)
    every = _every(checkpoint_every, parts)
    lines = []
    for p in parts:
        lines += [f"{p.cell}: {p.method}", *(f"  {reason}" for reason in p.why)]
    if parts:
        blocks = "all steps kept" if every is None else f"recomputed in blocks of {every} steps"
        size = memory.readable(memory.needed(parts, every))
        lines.append(f"backward pass: {blocks}, about {size}")
    return "\n".join(lines)


# Compiled by itself where the caller does not compile: a call outside jit then costs one dispatch.
@functools.partial(jax.jit, inline=True, static_argnums=(0, 7, 8, 9))
def _unrolled(
    cell: Cell,
    params: Params,
    xs: jax.Array,
    state: State | None,
    valid: jax.Array | None,
    resets: jax.Array | None,
    key: Any,
    reverse: bool,
    method: str | Deferred,
    checkpoint_every: int | str | None,
) -> tuple[State, jax.Array]:
    """``unroll`` of checked arguments."""
    parts = []
    if isinstance(checkpoint_every, str):
        parts = _parts(cell, params, xs, state, valid, resets, key, reverse, method)
    context = Context(valid, resets, method, _every(checkpoint_every, parts))
    return _started(context, cell, params, xs, state, key, reverse)


def _parts(
    cell: Cell,
    params: Params,
    xs: jax.Array,
    state: State | None,
    valid: jax.Array | None,
    resets: jax.Array | None,
    key: Any,
    reverse: bool,
    method: str | Deferred,
) -> list[memory.Part]:
    """What a call is made of: its cells, each with its method; only shapes are computed."""
    parts: list[memory.Part] = []

    def run(params, xs, state, valid, resets, key):
        context = Context(valid, resets, method, None, parts)
        return _started(context, cell, params, xs, state, key, reverse)

    jax.eval_shape(run, params, xs, state, valid, resets, key)
    return parts


def _every(checkpoint_every: int | str | None, parts: list[memory.Part]) -> int | None:
    if isinstance(checkpoint_every, str):
        return memory.block_for("checkpoint_every", checkpoint_every, parts)
    return checkpoint_every


def _started(
    context: Context,
    cell: Cell,
    params: Params,
    xs: jax.Array,
    state: State | None,
    key: Any,
    reverse: bool,
) -> tuple[State, jax.Array]:
    """A call from where all starts, and on the devices that its inputs are on."""
    valid, resets = context.valid, context.resets
    batch = xs.shape[1:-1]
    axes = varying.axes_of(params, xs, state, valid, resets, key)
    params, state = varying.over(axes, (params, state))
    initial = cell.initial_state(params, batch)
    if state is not None:
        initial = jax.tree.map(lambda leaf, s: leaf.astype(s.dtype), initial, state)
    if xs.shape[0] > 0:
        zeros = jax.lax.stop_gradient(jnp.where(False, xs[..., 0], 0))  # spread as the batch is
        initial = spread(initial, zeros[0])
        valid, resets = (None if m is None else m & (zeros == 0) for m in (valid, resets))
    initial = varying.over(axes, initial)
    state = initial if state is None else state
    context = context._replace(valid=valid, resets=resets)
    return _run(context, cell, cell.prepare(params, batch, key), xs, state, initial, reverse)


def _run(
    context: Context,
    cell: Cell,
    params: Params,
    xs: jax.Array,
    state: State,
    initial: State,
    reverse: bool,
) -> tuple[State, jax.Array]:
    """One cell over the whole sequence: composites by their parts, leaves by a method."""
    if isinstance(cell.form, Composite):

        def run(cell, params, xs, state, initial, *, reverse=False, method=None):
            inner = context if method is None else context._replace(method=method)
            return _run(inner, cell, params, xs, state, initial, reverse != outer_reverse)

        outer_reverse = reverse
        state, ys = cell.form.over_time(run, params, xs, state, initial)
        return state, zero_where_not(context.valid, ys)
    masks = Masks(context.valid, _starts(context.resets, context.valid, reverse))
    name, traverse, why = _method(cell, context.method)
    if context.parts is not None:
        reasons = why(cell, params, xs.shape)

        def over_time(params, xs, state, masks):
            return traverse(cell, params, xs, state, initial, masks, reverse)

        context.parts.append(
            memory.part(cell.name, name, reasons, over_time, params, xs, state, masks)
        )
    if context.checkpoint_every is None:
        return traverse(cell, params, xs, state, initial, masks, reverse)
    return _in_blocks(traverse, context.checkpoint_every)(
        cell, params, xs, state, initial, masks, reverse
    )


def _method(cell: Cell, method: str | Deferred) -> tuple[str, Callable, Callable]:
    """The method's name, its ``traverse`` and its ``why``; one that cannot run the cell is an
    error that says so."""
    if method == "auto":
        name = next(name for name, m in METHODS.items() if m.ineligible(cell) is None)
        return name, METHODS[name].traverse, METHODS[name].why
    if isinstance(method, Deferred):
        name, options = "deferred", {"options": method}
    else:
        name, options = method, {}
    module = METHODS[name]
    reason = module.ineligible(cell)
    if reason is not None:
        raise WrongValue(f"method: got {method!r}, but {reason}; takes 'auto' or 'scan'")
    partial = functools.partial
    return name, partial(module.traverse, **options), partial(module.why, **options)


def _starts(resets: jax.Array | None, valid: jax.Array | None, reverse: bool) -> jax.Array | None:
    """Where segments begin in the direction of travel. Backwards a segment begins at its last
    step, one before the next one's start; a start in the padding is none."""
    if resets is None or not reverse:
        return resets
    starts = resets if valid is None else resets & valid
    return jnp.concatenate([starts[1:], jnp.zeros_like(starts[:1])])


def _in_blocks(traverse: Callable, every: int) -> Callable:
    """``traverse`` a block of steps at a time, keeping for the backward pass only the states
    between blocks and recomputing the rest."""

    def blocks(cell, params, xs, state, initial, masks, reverse):
        def block(wide, initial, state, inputs):
            xs, masks = inputs
            return traverse(cell, narrowed(wide, params), xs, state, initial, masks, reverse)

        block = jax.checkpoint(block)
        wide = widened(params)  # gradients of all blocks are summed in this
        return over_blocks(
            lambda state, inputs: block(wide, initial, state, inputs),
            state,
            (xs, masks),
            every,
            reverse=reverse,
        )

    return blocks


def spread(state: State, zeros: jax.Array) -> State:
    """``state`` spread over devices as ``zeros [*batch]`` are, which it adds."""

    def spread(leaf: jax.Array) -> jax.Array:
        return leaf + jnp.expand_dims(zeros, range(zeros.ndim, leaf.ndim)).astype(leaf.dtype)

    return jax.tree.map(spread, state)
