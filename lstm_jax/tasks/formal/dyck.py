"""Dyck languages: balanced brackets of one kind or several, a counter or a stack."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lstm_jax._internal import checking
from lstm_jax.tasks.classes import (
    accuracy_score,
    accuracy_success,
    classes_from_uniform,
    cross_entropy,
)
from lstm_jax.tasks.ranges import (
    Choices,
    format_range,
    length_choices,
    lengths_from_uniform,
    one_hot_sequences,
    range_task,
    single_length,
    step_mask,
)
from lstm_jax.tasks.task import HELD_OUT, Batch, Task

Pair = tuple[jax.Array, jax.Array]


def dyck(
    kinds: int = 2, min_length: int = 2, max_length: int = 50, max_depth: int | None = None
) -> Task:
    """Balanced brackets: which bracket may be closed now::

        inputs   ( [ ] ( ) )
        targets  ) ] ) ) ) -     (-: none, all is closed)

    Suzgun et al. 2019, "LSTM networks can perform dynamic counting", ask after each step for the
    set of symbols that may come next; any bracket may be opened at any time, so the one closing
    bracket determines that set. Skachkova et al. 2018, "Closing brackets with recurrent neural
    networks", ask for the closing bracket too. With one kind, a counter is enough; with two, only
    the stack holds the answer after a closing bracket.

    Inputs ``Sequences`` of 2 K symbols, one-hot: the opening brackets, then the closing ones in
    the same order, with T = max_length. Targets ``[T, B]``, asked at every step of a row: 0 if
    nothing is open, k if the bracket to be closed is the k-th. Loss is the cross-entropy, score
    the accuracy; the task counts as solved above 0.99 at the trained lengths. (Suzgun et al.
    count words that are right at every step.)

    Chance is a constant answer's accuracy. Without memory the half of all steps that open is
    right, and after a closing bracket the best is one answer, whatever its kind.

    Args:
        kinds: K, 1 for Dyck-1, 2 for Dyck-2.
        min_length, max_length: of the training words; each even length is as likely (Suzgun et
            al.: 2 to 50, tested on 52 to 100). All words of one length and depth are as likely
            (the papers draw from grammars of other weights).
        max_depth: the largest number of open brackets; None for any number, as in Suzgun et al.;
            bounded as in Hewitt et al. 2020, "RNNs can generate bounded hierarchical languages
            with optimal memory".
    """
    kinds = checking.positive_int("kinds", kinds)
    choices = length_choices(min_length, max_length, remainder=0)
    if max_depth is not None:
        max_depth = checking.positive_int("max_depth", max_depth)

    def draw(key: jax.Array, batch_size: int, choices: Choices) -> Batch:
        # One call of the generator for all: each takes a third of a second to compile.
        longest = int(choices[-1])
        uniform = jax.random.uniform(key, (2 * longest + 1, batch_size))
        lengths = lengths_from_uniform(uniform[-1], choices)
        opens = jnp.asarray(_openings(longest, max_depth)[0])
        kind = 1 + classes_from_uniform(uniform[longest:-1], kinds)
        symbols, targets = _words(uniform[:longest], kind, lengths, opens, kinds)
        return Batch(
            one_hot_sequences(symbols, lengths, 2 * kinds),
            jnp.where(step_mask(lengths, longest), targets, -1),
        )

    chance, memoryless = _baselines(choices, kinds, max_depth)
    depth = "" if max_depth is None else f", depth {max_depth}"
    return range_task(
        f"dyck({kinds}, {format_range(choices)}{depth})",
        draw,
        choices,
        choices_at=lambda length: single_length(length, remainder=0),
        input_size=2 * kinds,
        output_size=kinds + 1,
        loss=cross_entropy,
        score=accuracy_score(chance, memoryless),
        reads="every",
        success=accuracy_success(0.99, HELD_OUT, "lstm_jax"),
    )


def _words(
    uniform: Float[Array, "T B"],
    kind: Int[Array, "T B"],
    lengths: Int[Array, "B"],
    opens: Float[Array, "R D"],
    kinds: int,
) -> Pair:
    """Symbols ``[T, B]``, and the kind to be closed after each, 0 for none ``[T, B]``.

    Args:
        kind: of the bracket, at the steps that open one.
        opens: the probability that a step opens one, see ``_openings``.
    """
    places = jnp.arange(opens.shape[1])[:, None]

    def step(state: Pair, now: tuple[jax.Array, ...]) -> tuple[Pair, Pair]:
        (stack, depth), (uniform, kind, left) = state, now
        opening = uniform < opens[jnp.maximum(left, 0), depth]
        closed = jnp.take_along_axis(stack, depth[None], axis=0)[0]
        depth = jnp.where(left > 0, jnp.where(opening, depth + 1, depth - 1), depth)
        stack = jnp.where((places == depth) & opening, kind, stack)
        symbol = jnp.where(opening, kind, kinds + closed) - 1
        return (stack, depth), (symbol, jnp.take_along_axis(stack, depth[None], axis=0)[0])

    batch = lengths.shape[0]
    # Place d holds the kind of the d-th open bracket; place 0 stays 0.
    state = jnp.zeros((opens.shape[1], batch), jnp.int32), jnp.zeros(batch, jnp.int32)
    left = lengths - jnp.arange(len(uniform))[:, None]
    _, words = jax.lax.scan(step, state, (uniform, kind, left))
    return words


@functools.lru_cache(maxsize=16)
def _openings(longest: int, max_depth: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The probability that the next bracket opens, by steps left ``[R]`` and brackets open ``[D]``,
    at which every word is as likely; and the logarithm of the number of words, by length ``[R]``.

    Kinds do not matter here. The probability is the share of those ways to end with nothing open
    that start by opening.
    """
    depths = longest // 2 if max_depth is None else min(max_depth, longest // 2)
    opens = np.zeros((longest + 1, depths + 1), np.float32)
    log_words = np.full(longest + 1, -np.inf)
    ways, scale = np.zeros(depths + 3), 0.0  # places for depths -1 to depths + 1
    ways[1], log_words[0] = 1.0, 0.0
    for left in range(1, longest + 1):
        by_opening, by_closing = ways[2:], ways[:-2]
        total = by_opening + by_closing
        opens[left] = np.divide(by_opening, total, out=np.zeros_like(total), where=total > 0)
        ways[1:-1] = total / total.max()
        scale += np.log(total.max())
        if left % 2 == 0:
            log_words[left] = np.log(ways[1]) + scale
    return opens, log_words


def _baselines(
    choices: Int[np.ndarray, "N"], kinds: int, max_depth: int | None
) -> tuple[float, float]:
    """The best accuracies of a constant answer, and by the current symbol alone."""
    log_words = _openings(int(choices[-1]), max_depth)[1]
    # A word splits into two words in as many ways as it returns to nothing open, after its start.
    returns = 0.0
    for length in choices:
        cuts = np.arange(2, length + 1, 2)
        shares = log_words[cuts] + log_words[length - cuts] - log_words[length]
        returns += float(np.exp(shares).sum())
    asked = float(choices.sum())
    chance = max(returns, (asked - returns) / kinds)
    after_closing = max(returns, (asked / 2 - returns) / kinds)
    return chance / asked, (asked / 2 + after_closing) / asked
