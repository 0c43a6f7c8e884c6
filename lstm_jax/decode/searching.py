"""Beam search: several hypotheses per row, the best of which are followed at each step.

Live and ended hypotheses are kept apart: an ended one takes no place from a live one. The tokens
of a hypothesis are kept as back-pointers, which are followed once the search is over.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer

from lstm_jax._internal import checking, varying
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray
from lstm_jax.decode.penalties import penalties
from lstm_jax.decode.stepping import Decoded, Plan, Step, buffers, make_plan, write
from lstm_jax.decode.stepping import log_probabilities as log_probabilities
from lstm_jax.unrolling.masks import zero_where_not


class Beams(NamedTuple):
    """The ``width`` K best hypotheses of each row, best first. T is ``max_steps``.

    tokens: padded past a hypothesis' length.
    lengths: the number of tokens that count, the end token included; 0 if there is no such
        hypothesis.
    scores: what they are sorted by, with the penalties; -inf if there is no such hypothesis. NaN
        in a row in which the step gave NaN to a live hypothesis: nothing is known of its
        hypotheses then, and it has none.
    log_probabilities: the sums without the penalties, in nats; NaN where scores are.
    ended: False if ``max_steps`` came before the end token.
    seen: what the step returned as ``seen`` with each token; zero in the padding.
    """

    tokens: Int[Array, "T B K"]
    lengths: Int[Array, "B K"]
    scores: Float[Array, "B K"]
    log_probabilities: Float[Array, "B K"]
    ended: Bool[Array, "B K"]
    seen: Any

    def best(self) -> Decoded:
        """The first hypothesis of each row, in the form of the other decoders."""
        return Decoded(
            self.tokens[:, :, 0],
            self.lengths[:, 0],
            self.log_probabilities[:, 0],
            self.ended[:, 0],
            jax.tree.map(lambda leaf: leaf[:, :, 0], self.seen),
        )


class _Complete(NamedTuple):
    """Hypotheses that will not grow, ``[B, n]``.

    slot: its place in the beam, before the last token of one that ended, after it if cut off.
    """

    scores: jax.Array
    sums: jax.Array
    lengths: jax.Array
    slot: jax.Array
    ended: jax.Array


class _Search(NamedTuple):
    """What a search carries from step to step.

    sums: log-probabilities of the live hypotheses ``[B, K]``, best first except for the greedy one;
        -inf if there is none.
    greedy: rows ``[B]`` whose greedy hypothesis lives; it stands in slot 0.
    done: rows ``[B]`` that take no more hypotheses.
    spoiled: rows ``[B]`` in which the step gave NaN to a live hypothesis.
    covered: weights summed over steps ``[B, K, S]``; None without a coverage penalty.
    complete: the best ended ones, sorted.
    parents, tokens, seen: of each step ``[T, B, K]``; ``parents`` are slots of the step before,
        in which ``seen`` stands too.
    """

    t: jax.Array
    state: Any
    sums: jax.Array
    greedy: jax.Array
    done: jax.Array
    spoiled: jax.Array
    covered: jax.Array | None
    complete: _Complete
    last: jax.Array
    parents: jax.Array
    tokens: jax.Array
    seen: Any


@default_promotion
def beam(
    step: Step,
    state: Any,
    *,
    start: int | Integer[AnyArray, "B"],
    end: int | None,
    max_steps: int,
    width: int,
    length_penalty: float = 0.0,
    coverage_penalty: float = 0.0,
    weights: Callable[[Any], jax.Array] | None = None,
    memory_mask: Bool[AnyArray, "S B"] | None = None,
    pad: int | None = None,
) -> Beams:
    """The best hypotheses that a beam of ``width`` K finds.

    Of the K best continuations of a step, those that end are set apart; the K best of those that
    do not are followed. A row stops when it has K ended hypotheses and no live one can still
    beat the worst of them, whatever follows. Hypotheses alive at ``max_steps`` are ranked with
    the ended ones, and are not ``ended``. A step is called with its rows ``[B]`` under
    ``jax.vmap`` over K, so that what it reads besides the state (a memory) is not copied.

    The greedy hypothesis cannot be pruned: it keeps a slot of the beam until it ends, and is then
    ranked as one of the K best. So the first hypothesis never scores below ``greedy``'s, as it
    may in beam search without such a slot. If it is among the K best by itself, which is the usual
    case, this changes nothing.

    Args:
        width: K, the number of hypotheses that are followed.
        length_penalty: alpha; scores are divided by ``((5 + length) / 6) ** alpha``, with the end
            token in the length (Wu et al. 2016, section 7, eq. 14).
        coverage_penalty: beta >= 0; ``beta * sum_i log min(sum_t p_ti, 1)`` is added to scores,
            p_ti being the attention weight of place i of the memory at step t (the same equation).
        weights: a function that finds those weights ``[B, S]`` in ``seen``; None if ``seen`` is
            nothing else.
        memory_mask: the places that count in the coverage; None for all. A place that has no
            weight at all counts with the logarithm of the smallest normal number, not with -inf.
        step, state, start, end, max_steps, pad: as in ``greedy``.

    Raises:
        ValueError or TypeError: naming the argument, at trace time.
    """
    plan = make_plan(step, state, start, end, pad, max_steps)
    width = checking.positive_int("width", width)
    ranks = penalties(plan, length_penalty, coverage_penalty, weights, memory_mask)

    def body(search: _Search) -> _Search:
        t, length = search.t, search.t + 1
        state, logits, seen = jax.vmap(step, 1, 1)(search.state, search.last)
        covered = search.covered
        if covered is not None:
            given = seen if weights is None else jax.vmap(weights, 1, 1)(seen)
            covered = covered + given.astype(covered.dtype)
        spoiled = search.spoiled | _gives_nan(search, logits, covered)
        new = _continuations(search, logits, plan)
        ends = new.tokens == plan.end

        among_best = ends & (jnp.arange(ends.shape[1]) < width) & ~search.done[:, None]
        of_parent = None if covered is None else _at(covered, new.parents)
        ended = _Complete(
            jnp.where(among_best, ranks.score(new.sums, length, of_parent), -jnp.inf),
            new.sums,
            jnp.full_like(new.tokens, length),
            new.parents,
            among_best,
        )
        complete = _best(search.complete, ended, width)

        # Those that live on, in order. If there are too few, ended ones fill up, with sums of -inf.
        order = jnp.argsort(ends, axis=1, stable=True)[:, :width]
        sums = _at(jnp.where(ends, -jnp.inf, new.sums), order)
        parents, tokens = _at(new.parents, order), _at(new.tokens, order)
        bound = ranks.bound(sums, length, plan.max_steps)
        return _Search(
            t=length,
            state=jax.tree.map(lambda leaf: _at(leaf, parents), state),
            sums=sums,
            greedy=search.greedy & ~ends[:, 0] & (new.sums[:, 0] > -jnp.inf),
            done=search.done | spoiled | (bound <= complete.scores[:, -1]),
            spoiled=spoiled,
            covered=None if covered is None else _at(covered, parents),
            complete=complete,
            last=tokens,
            parents=search.parents.at[t].set(parents),
            tokens=search.tokens.at[t].set(tokens),
            seen=write(search.seen, t, seen),
        )

    def goes_on(search: _Search) -> jax.Array:
        return (search.t < plan.max_steps) & ~jnp.all(search.done)

    axes = plan.axes | varying.axes_of(ranks.places)
    first = _start(plan, width, ranks.places)
    first = varying.cast(axes, first)._replace(t=first.t)
    search = jax.lax.while_loop(goes_on, body, first)
    cut = jnp.isfinite(search.sums) & ~search.done[:, None]
    scores = ranks.score(search.sums, plan.max_steps, search.covered)
    shape = search.sums.shape
    alive = _Complete(
        jnp.where(cut, scores, -jnp.inf),
        search.sums,
        jnp.full(shape, plan.max_steps, jnp.int32),
        jnp.broadcast_to(jnp.arange(width), shape),
        jnp.zeros(shape, bool),
    )
    return _backtrack(search, _best(search.complete, alive, width), plan)


class _Continuations(NamedTuple):
    """Hypotheses one token longer ``[B, m]``, best first."""

    sums: jax.Array
    parents: jax.Array
    tokens: jax.Array


def _continuations(search: _Search, logits: jax.Array, plan: Plan) -> _Continuations:
    """The best continuations of the live hypotheses; at least K of them do not end, if there are
    that many. The greedy hypothesis' continuation comes first, whatever its rank."""
    batch, width, vocabulary = logits.shape
    each = min(vocabulary, width + 1)
    # By logits: sums of log-probabilities may round two of them to one.
    _, tokens = jax.lax.top_k(logits, each)
    gains = jnp.take_along_axis(log_probabilities(logits), tokens, axis=-1)
    gains = jnp.where(jnp.isnan(gains), -jnp.inf, gains)  # in an empty slot, or in a spoiled row
    sums = (search.sums[..., None] + gains).reshape(batch, width * each)
    first = search.greedy & (sums[:, 0] > -jnp.inf)
    rank = sums.at[:, 0].set(jnp.where(first, jnp.inf, sums[:, 0]))
    _, index = jax.lax.top_k(rank, min(2 * width, width * each))
    tokens = tokens.reshape(batch, width * each).astype(jnp.int32)
    return _Continuations(_at(sums, index), index // each, _at(tokens, index))


def _gives_nan(search: _Search, logits: jax.Array, covered: jax.Array | None) -> jax.Array:
    """The rows ``[B]``, of those still searching, with NaN for a live hypothesis. (One NaN or plus
    infinity among its logits makes all its log-probabilities NaN.)"""
    nan = jnp.isnan(log_probabilities(logits)).any(axis=-1)
    if covered is not None:
        nan |= jnp.isnan(covered).any(axis=-1)
    return jnp.any(nan & (search.sums > -jnp.inf), axis=1) & ~search.done


def _start(plan: Plan, width: int, places: jax.Array | None) -> _Search:
    """One hypothesis per row: only the start token."""
    batch, steps, dtype = plan.batch, plan.max_steps, plan.score_dtype

    def repeat(leaf: Any) -> jax.Array:
        return jnp.repeat(leaf[:, None], width, axis=1)

    def in_slots(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((batch, width, *leaf.shape[1:]), leaf.dtype)

    none = jnp.zeros((batch, width), jnp.int32)
    nothing = jnp.full((batch, width), -jnp.inf, dtype)
    return _Search(
        t=jnp.zeros((), jnp.int32),
        state=jax.tree.map(repeat, plan.state),
        sums=nothing.at[:, 0].set(0.0),
        greedy=jnp.ones(batch, bool),
        done=jnp.zeros(batch, bool),
        spoiled=jnp.zeros(batch, bool),
        covered=None if places is None else jnp.zeros((batch, width, places.shape[1]), dtype),
        complete=_Complete(nothing, nothing, none, none, jnp.zeros((batch, width), bool)),
        last=repeat(plan.start),
        parents=jnp.zeros((steps, batch, width), jnp.int32),
        tokens=jnp.zeros((steps, batch, width), jnp.int32),
        seen=buffers(jax.tree.map(in_slots, plan.seen), steps),
    )


def _backtrack(search: _Search, found: _Complete, plan: Plan) -> Beams:
    """The tokens of ``found`` and what was seen with them, from the last step to the first."""
    spoiled = search.spoiled[:, None]
    exists = (found.scores > -jnp.inf) & ~spoiled
    lengths = jnp.where(exists, found.lengths, 0)
    ended = exists & found.ended

    def back(slot: jax.Array, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        t, parents, tokens, seen = inputs
        ends, counts = ended & (t == lengths - 1), t < lengths
        parent = jnp.where(ends, slot, _at(parents, slot))
        token = jnp.where(ends, plan.end, _at(tokens, slot))
        seen = zero_where_not(counts, jax.tree.map(lambda leaf: _at(leaf, parent), seen))
        return jnp.where(counts, parent, slot), (jnp.where(counts, token, plan.pad), seen)

    steps = (jnp.arange(plan.max_steps), search.parents, search.tokens, search.seen)
    tokens: jax.Array
    seen: Any
    _, (tokens, seen) = jax.lax.scan(back, found.slot, steps, reverse=True)
    sums = jnp.where(exists, found.sums, -jnp.inf)
    scores, sums = (jnp.where(spoiled, jnp.nan, values) for values in (found.scores, sums))
    return Beams(tokens, lengths, scores, sums, ended, seen)


def _best(one: _Complete, other: _Complete, width: int) -> _Complete:
    """The ``width`` best of both, sorted; of equal ones those of ``one`` first."""
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), one, other)
    _, index = jax.lax.top_k(both.scores, width)
    return jax.tree.map(lambda leaf: _at(leaf, index), both)


def _at(values: jax.Array, index: jax.Array) -> jax.Array:
    """``values [B, n, ...]`` at ``index [B, m]`` of each row."""
    return jax.vmap(lambda row, at: row[at])(values, index)
