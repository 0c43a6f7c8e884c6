"""The driver: checks, lengths, resets, direction and recomputation, the same for every method."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from lstm_jax import checking
from lstm_jax.cell import AnyArray, Cell, Composite, Params, State, same_precision
from lstm_jax.unrolling import associative, deferred, scan
from lstm_jax.unrolling.masks import Masks, narrowed, widened, zero_where_not

# In the order in which "auto" tries them: the first that is eligible runs.
METHODS = {"deferred": deferred, "associative": associative, "scan": scan}


class Context(NamedTuple):
    """What stays the same for all cells of one call."""

    valid: jax.Array | None
    resets: jax.Array | None
    method: str
    checkpoint_every: int | None


def unroll(
    cell: Cell,
    params: Params,
    xs: Float[AnyArray, "T *batch D"],
    state: State | None = None,
    *,
    lengths: Integer[AnyArray, "*batch"] | None = None,
    resets: Bool[AnyArray, "T *batch"] | None = None,
    reverse: bool = False,
    method: str = "auto",
    checkpoint_every: int | None = None,
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
        "deferred" (gated cells) puts all weight gradients off to one large product after the
        loop; "associative" (linear cells) takes all products at once and the steps in parallel
        where that pays. Neither has a forward-mode derivative. "auto" takes the fastest that
        fits, and never changes the numbers beyond rounding.
    checkpoint_every: keep for the backward pass only the states between blocks of this many steps
        and compute the rest again; about the square root of T keeps least. None keeps all.
    key: draws the noise of noisy cells; the same key gives the same noise under every method,
        chunking and recomputation. None: no noise, as in evaluation.

    Raises ValueError or TypeError, naming the argument, at trace time.
    """
    checking.the_cell("cell", cell)
    inputs = checking.float_array("xs", xs, "[T, *batch, D]", 2)
    steps, batch = inputs.shape[0], inputs.shape[1:-1]
    checking.params(cell, params, "xs", inputs.shape[-1])
    same_precision("xs", inputs, params)
    params = jax.tree.map(jnp.asarray, params)
    if state is not None:
        checking.state(cell, params, state, batch)
        state = jax.tree.map(jnp.asarray, state)
    checking.flag("reverse", reverse)
    checking.choice("method", method, ("auto", *METHODS))
    if checkpoint_every is not None:
        checkpoint_every = checking.positive_int("checkpoint_every", checkpoint_every)
    key = None if key is None else checking.random_key("key", key)
    valid, starts = None, None
    if lengths is not None:
        bound = checking.lengths(lengths, steps, batch)
        valid = jnp.expand_dims(jnp.arange(steps), range(1, 1 + bound.ndim)) < bound
        inputs = zero_where_not(valid, inputs)  # before any product: 0 * NaN would be NaN
    if resets is not None:
        starts = checking.resets(resets, steps, batch)

    return _unrolled(
        cell, params, inputs, state, valid, starts, key, reverse, method, checkpoint_every
    )


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
    method: str,
    checkpoint_every: int | None,
) -> tuple[State, jax.Array]:
    """``unroll`` of checked arguments: where all starts, and on which devices."""
    batch = xs.shape[1:-1]
    params, state = _of_the_batch((params, state), xs)
    initial = cell.initial_state(params, batch)
    if state is not None:
        initial = jax.tree.map(lambda leaf, s: leaf.astype(s.dtype), initial, state)
    if xs.shape[0] > 0:
        zeros = jax.lax.stop_gradient(jnp.where(False, xs[..., 0], 0))  # spread as the batch is
        initial = _spread(initial, zeros[0])
        valid, resets = (None if m is None else m & (zeros == 0) for m in (valid, resets))
    initial = _of_the_batch(initial, xs)
    state = initial if state is None else state
    context = Context(valid, resets, method, checkpoint_every)
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
    traverse = _method(cell, context.method).traverse
    if context.checkpoint_every is None:
        return traverse(cell, params, xs, state, initial, masks, reverse)
    return _in_blocks(traverse, context.checkpoint_every)(
        cell, params, xs, state, initial, masks, reverse
    )


def _method(cell: Cell, method: str) -> Any:
    """The module that traverses time; a method that cannot is an error that says why."""
    if method == "auto":
        return next(module for module in METHODS.values() if module.ineligible(cell) is None)
    reason = METHODS[method].ineligible(cell)
    if reason is not None:
        raise ValueError(f"method: got {method!r}, but {reason}; takes 'auto' or 'scan'")
    return METHODS[method]


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
        count = xs.shape[0] // every
        whole = count * every
        inputs = (xs, masks)
        head = jax.tree.map(lambda a: a[:whole].reshape(count, every, *a.shape[1:]), inputs)
        rest = jax.tree.map(lambda a: a[whole:], inputs)
        parts = []

        def run_head(state):
            state, ys = jax.lax.scan(
                lambda s, inputs: block(wide, initial, s, inputs), state, head, reverse=reverse
            )
            parts.append(ys.reshape(whole, *ys.shape[2:]))
            return state

        def run_rest(state):
            if whole < xs.shape[0]:
                state, ys = block(wide, initial, state, rest)
                parts.append(ys)
            return state

        for run in (run_rest, run_head) if reverse else (run_head, run_rest):
            state = run(state)
        return state, jnp.concatenate(parts[::-1] if reverse else parts)

    return blocks


def _of_the_batch(tree: Any, xs: jax.Array) -> Any:
    """Inside ``shard_map``: ``tree`` varies over the same mesh axes as ``xs``, from here on.

    The gradient's sum over devices then stands here, outside the loop over time.
    """
    axes = jax.typeof(xs).mat.varying

    def cast(leaf: jax.Array) -> jax.Array:
        missing = tuple(sorted(axes - jax.typeof(leaf).mat.varying))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(cast, tree) if axes else tree


def _spread(state: State, zeros: jax.Array) -> State:
    """``state`` spread over devices as ``zeros [*batch]`` are, which it adds."""

    def spread(leaf: jax.Array) -> jax.Array:
        return leaf + jnp.expand_dims(zeros, range(zeros.ndim, leaf.ndim)).astype(leaf.dtype)

    return jax.tree.map(spread, state)
