"""What all decoders share: the step's contract and its checks, log-probabilities, buffers."""

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lstm_jax._internal import checking, varying
from lstm_jax._internal.dtypes import jax_dtype
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.unrolling.masks import zero_where_not

Step = Callable[[Any, jax.Array], tuple[Any, jax.Array, Any]]


class Decoded(NamedTuple):
    """One sequence per row. T is ``max_steps``, whatever the sequences' lengths.

    tokens: padded past a row's length.
    lengths: the number of tokens that count, the end token included.
    scores: sums of the log-probabilities of the tokens that count, in nats.
    ended: False if ``max_steps`` came before the end token.
    seen: what the step returned as ``seen`` with each token; zero in the padding.
    """

    tokens: Int[Array, "T B"]
    lengths: Int[Array, "B"]
    scores: Float[Array, "B"]
    ended: Bool[Array, "B"]
    seen: Any


class Plan(NamedTuple):
    """The checked arguments of a decoder, apart from how it chooses tokens.

    start: the tokens ``[B]`` that the first step reads.
    end: -1, which is no token, for sequences that do not end.
    logits, seen: their shapes and dtypes, as the step gives them.
    axes: the mesh axes over which the step's results vary, and hence all that the loop carries.
    """

    state: Any
    start: jax.Array
    end: int
    pad: int
    max_steps: int
    logits: Any
    seen: Any
    axes: frozenset[Any]

    @property
    def batch(self) -> int:
        return self.start.shape[0]

    @property
    def score_dtype(self) -> Any:
        return jnp.promote_types(self.logits.dtype, jnp.float32)


def make_plan(
    step: Any, state: Any, start: Any, end: Any, pad: Any = None, max_steps: Any = 1
) -> Plan:
    """Checks the arguments of a decoder; nothing is run."""
    if not callable(step):
        raise WrongType(f"step: expected a function of (state, tokens), got {step!r}")
    max_steps = checking.positive_int("max_steps", max_steps)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        jax_dtype(f"state{jax.tree_util.keystr(path)}", leaf)
    state = jax.tree.map(jnp.asarray, state)
    tokens = _start(start, state)
    batch = tokens.shape[0]
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if leaf.shape[:1] != (batch,):
            name = jax.tree_util.keystr(path)
            raise WrongValue(
                f"state{name}: expected the batch, {batch}, as its first axis, got shape "
                f"{leaf.shape}"
            )
    logits, seen, axes = _step_shapes(step, state, tokens)
    vocabulary = logits.shape[1]
    if isinstance(start, numbers.Integral):
        token("start", start, vocabulary)
    end = -1 if end is None else token("end", end, vocabulary)
    pad = max(end, 0) if pad is None else integer("pad", pad)
    return Plan(state, tokens, end, pad, max_steps, logits, seen, axes)


def _start(start: Any, state: Any) -> jax.Array:
    """The first tokens ``[B]``: those given, or one for all rows of the state."""
    if isinstance(start, numbers.Integral) and not isinstance(start, bool):
        leaves = jax.tree.leaves(state)
        if not leaves or leaves[0].ndim == 0:
            raise WrongValue(
                "state: expected an array with a batch axis, or start as an array [B], got none"
            )
        return jnp.full(leaves[0].shape[:1], int(start), jnp.int32)
    tokens = checking.array("start", start)
    if not jnp.issubdtype(tokens.dtype, jnp.integer) or tokens.ndim != 1:
        raise WrongValue(
            f"start: expected a token, or one per row, got {tokens.dtype.name} of shape "
            f"{tokens.shape}"
        )
    return tokens.astype(jnp.int32)


def _step_shapes(step: Step, state: Any, tokens: jax.Array) -> tuple[Any, Any, frozenset[Any]]:
    """The shapes of the logits and of ``seen``, and the axes over which the step's results vary."""
    given = jax.eval_shape(step, state, tokens)
    if not isinstance(given, tuple) or len(given) != 3:
        raise WrongValue(
            "step: expected a function that gives (state, logits, seen), got "
            f"{type(given).__name__}"
        )
    new, logits, seen = given
    batch = tokens.shape
    if not hasattr(logits, "shape") or len(logits.shape) != 2 or logits.shape[:1] != batch:
        raise WrongValue(f"step: expected logits [B, V] with B = {batch[0]}, got {logits}")
    if not jnp.issubdtype(logits.dtype, jnp.floating) or logits.shape[1] == 0:
        raise WrongValue(f"step: expected logits of a floating dtype and V above 0, got {logits}")
    before = jax.eval_shape(lambda s: s, state)
    gives, got = str(jax.tree.structure(new)), str(jax.tree.structure(before))
    if gives != got:
        raise WrongValue(f"step: expected a state {got}, as it was given, got {gives}")
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(new), jax.tree.leaves(before), strict=True
    ):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            raise WrongValue(f"step: expected state{jax.tree_util.keystr(path)} as {b}, got {a}")
    for path, leaf in jax.tree_util.tree_leaves_with_path(seen):
        if leaf.shape[:1] != batch:
            name = jax.tree_util.keystr(path)
            raise WrongValue(
                f"step: expected seen{name} as [B, ...] with B = {batch[0]}, got {leaf}"
            )
    return logits, seen, varying.axes_of(given, state, tokens)


def integer(argument: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise WrongType(f"{argument}: expected an integer, got {value!r}")
    return int(value)


def token(argument: str, value: Any, vocabulary: int) -> int:
    value = integer(argument, value)
    if not 0 <= value < vocabulary:
        raise WrongValue(f"{argument}: expected a token, 0 to {vocabulary - 1}, got {value}")
    return value


def log_probabilities(logits: jax.Array) -> jax.Array:
    """The log-softmax over the last axis, in float32 or wider.

    Tokens with a logit of -inf are impossible; if all are, all log-probabilities are -inf.
    """
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    possible = jnp.any(wide != -jnp.inf, axis=-1, keepdims=True)
    safe = jnp.where(possible, wide, 0.0)  # its gradient too is finite
    return jnp.where(possible, jax.nn.log_softmax(safe), -jnp.inf)


def pick(values: jax.Array, index: jax.Array) -> jax.Array:
    """``values [*rows, V]`` at ``index [*rows]``; -inf for an index outside 0 to V - 1."""
    inside = (index >= 0) & (index < values.shape[-1])
    at = jnp.where(inside, index, 0)[..., None]
    return jnp.where(inside, jnp.take_along_axis(values, at, axis=-1)[..., 0], -jnp.inf)


def buffers(shapes: Any, steps: int) -> Any:
    """Zeros ``[T, ...]`` for each leaf, to be written one step at a time."""
    return jax.tree.map(lambda leaf: jnp.zeros((steps, *leaf.shape), leaf.dtype), shapes)


def write(buffer: Any, t: jax.Array, values: Any) -> Any:
    """``buffer`` with ``values`` at time ``t``."""
    return jax.tree.map(lambda old, new: old.at[t].set(new), buffer, values)


class _Carry(NamedTuple):
    t: jax.Array
    state: Any
    last: jax.Array
    decoded: Decoded


def decode_by(
    choose: Callable[[jax.Array, jax.Array], jax.Array], step: Step, plan: Plan
) -> Decoded:
    """One token per row and step, by ``choose(t, logits [B, V]) -> [B]``, until all rows end."""

    def goes_on(carry: _Carry) -> jax.Array:
        return (carry.t < plan.max_steps) & ~jnp.all(carry.decoded.ended)

    def body(carry: _Carry) -> _Carry:
        t, state, last, (tokens, lengths, scores, ended, kept) = carry
        state, logits, seen = step(state, last)
        chosen = choose(t, logits).astype(jnp.int32)
        gain = pick(log_probabilities(logits), chosen)
        decoded = Decoded(
            tokens.at[t].set(jnp.where(ended, plan.pad, chosen)),
            lengths + ~ended,
            jnp.where(ended, scores, scores + gain),
            ended | (chosen == plan.end),
            write(kept, t, zero_where_not(~ended, seen)),
        )
        return _Carry(t + 1, state, chosen, decoded)

    batch = plan.batch
    empty = Decoded(
        jnp.full((plan.max_steps, batch), plan.pad, jnp.int32),
        jnp.zeros(batch, jnp.int32),
        jnp.zeros(batch, plan.score_dtype),
        jnp.zeros(batch, bool),
        buffers(plan.seen, plan.max_steps),
    )
    first = varying.cast(plan.axes, (plan.state, plan.start, empty))
    start = _Carry(jnp.zeros((), jnp.int32), *first)
    return jax.lax.while_loop(goes_on, body, start).decoded
