"""Long time lags: a symbol at the start returns at the end, after very many that tell nothing."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import classes
from lstm_jax.tasks.classes import accuracy_score, one_hot
from lstm_jax.tasks.logistic import largest_error, squared_error
from lstm_jax.tasks.task import HELD_OUT, Batch, Score, Sequences, Success, Task, drawn_task

END = 0.1  # the probability that a sequence of 2c ends, at each step from the shortest length on
LONGEST_TAIL = 87  # larger k are cut to it: one sequence in 10,000 (0.9 ** 88)


def lags_2a(p: int = 100) -> Task:
    """Experiment 2a of Hochreiter & Schmidhuber 1997, section 5.2: a lag of p steps, no noise.

    ::

        step       1    2    3  ...    p
        x          y   a1   a2  ...   a99      or  x  a1  a2 ... a99
        target    a1   a2   a3  ...    y       or a1  a2  a3 ...  x

    There are two sequences, each drawn half of the time. Inputs ``[p, B, p + 1]``: one-hot
    symbols, a1 to a(p-1), then x, then y. Targets ``[p, B]``: the next symbol, at every step.
    Loss: half the squared error of the logistic outputs, summed over outputs and steps.

    Score: the accuracy of the last answer, which is the one to remember for; all others follow
    from the current symbol. Chance is to answer always x, or always y; a memoryless answer is no
    better.
    Success: in 10,000 successive sequences no output was off by 0.25 or more at any step. The
    paper counts the sequences before them.

    Args:
        p: the lag, at least 3.
    """
    p = _at_least_3("p", p)

    def draw(key: jax.Array, batch_size: int) -> Batch:
        first = p - 1 + jnp.floor(2 * jax.random.uniform(key, (1, batch_size))).astype(jnp.int32)
        middle = jnp.broadcast_to(jnp.arange(p - 1)[:, None], (p - 1, batch_size))
        return _predict_next(first, middle, p)

    return drawn_task(
        f"lags_2a(p={p})",
        draw,
        input_size=p + 1,
        output_size=p + 1,
        loss=squared_error,
        score=_last_accuracy(),
        reads="every",
        success=_success(largest_error, 0.25, "2a"),
        held_out=_held_out(p, p + 1),
    )


def lags_2b(p: int = 100) -> Task:
    """Experiment 2b of Hochreiter & Schmidhuber 1997, section 5.2: 2a without regularities.

    ::

        step       1    2    3  ...    p
        x          y   a7  a42  ...   a3
        target    a7  a42   a9  ...    y

    As 2a, except for the p - 1 symbols between: each is drawn from a1 to a(p-1), so that x and y
    at the end are the only ones that can be predicted.
    Success: in 10,000 successive sequences no output was off by 0.25 or more at the last step.
    The paper counts the sequences before them. ``test_at(length, n)``: the same symbols, with
    ``length`` steps to read instead of p.

    Args:
        p: the lag, at least 3.
    """
    p = _at_least_3("p", p)

    def draw(key: jax.Array, batch_size: int, length: int) -> Batch:
        uniform = jax.random.uniform(key, (length, batch_size))
        first = p - 1 + jnp.floor(2 * uniform[:1]).astype(jnp.int32)
        return _predict_next(first, jnp.floor((p - 1) * uniform[1:]).astype(jnp.int32), p)

    return drawn_task(
        f"lags_2b(p={p})",
        lambda key, batch_size: draw(key, batch_size, p),
        input_size=p + 1,
        output_size=p + 1,
        loss=squared_error,
        score=_last_accuracy(),
        reads="every",
        success=_success(_largest_last_error, 0.25, "2b"),
        draw_at=lambda key, n, length: draw(key, n, _at_least_3("length", length)),
        held_out=_held_out(p, p + 1),
    )


def lags_2c(q: int = 50, p: int | None = None) -> Task:
    """Experiment 2c of Hochreiter & Schmidhuber 1997, section 5.2: a very long lag, all noise.

    ::

        step     1    2    3    4  ...       last
        x        b    y   a7  a42  ...  a3    e
        target                                y

    A sequence is b, x or y, then q + k distractors, then e, and the net is to say x or y. k is
    geometric, each further distractor having a probability of 0.9. It is cut at 87, which shortens
    one sequence in 10,000 and saves most of the padding. (The mean of k is 9, so the mean length
    with the last symbol is q + 13; the paper prints q + 14.)
    Inputs ``Sequences`` of one-hot symbols ``[q + 90, B, p + 4]``, a1 to ap, e, b, x, y; classes
    ``[B]``, 0 for x and 1 for y, at the last step. Loss: half the squared error of the two logistic
    outputs. Score: accuracy; the last symbol is always e, so chance is the best memoryless answer.
    Success: in 1,000 successive training sequences no output was off by 0.2 or more, and the
    sequences before them count. (The paper asks it of 10,000 sequences.)
    ``test_at(length, n)``: exactly ``length`` symbols to read, at least 4.

    Args:
        q: the shortest lag is q + 1.
        p: the number of distractor symbols; q if it is not given.
    """
    q = checking.positive_int("q", q)
    p = q if p is None else checking.positive_int("p", p)
    e, b, x = p, p + 1, p + 2

    def draw(key: jax.Array, batch_size: int, shortest: int, tail: int) -> Batch:
        """``shortest`` symbols and a tail of up to ``tail`` more."""
        uniform = jax.random.uniform(key, (shortest + tail, batch_size))
        answers = jnp.floor(2 * uniform[1]).astype(jnp.int32)
        k = jnp.floor(jnp.log1p(-uniform[0]) / math.log(1 - END))  # P(k) = 0.9 ** k / 10
        lengths = shortest + jnp.minimum(k, tail).astype(jnp.int32)
        symbols = jnp.floor(p * uniform).astype(jnp.int32)
        symbols = symbols.at[0].set(b).at[1].set(x + answers)
        step = jnp.arange(shortest + tail)[:, None]
        symbols = jnp.where(step == lengths - 1, e, symbols)
        return Batch(Sequences(one_hot(symbols, p + 4), lengths), answers)

    def draw_at(key: jax.Array, batch_size: int, length: int) -> Batch:
        if length < 4:
            raise WrongValue(f"length: expected at least 4: b, x or y, one more, e, got {length}")
        return draw(key, batch_size, length, 0)

    return drawn_task(
        f"lags_2c(q={q}, p={p})",
        lambda key, batch_size: draw(key, batch_size, q + 3, LONGEST_TAIL),
        input_size=p + 4,
        output_size=2,
        loss=squared_error,
        score=accuracy_score(0.5, 0.5),
        success=_success(largest_error, 0.2, "2c, which asks it of 10,000", rows=1000),
        draw_at=draw_at,
        held_out=_held_out(q + 3 + LONGEST_TAIL, p + 4),
    )


def _predict_next(first: jax.Array, middle: jax.Array, p: int) -> Batch:
    """Each next symbol of ``first [1, B]``, ``middle``, and ``first`` once more, is asked for."""
    symbols = jnp.concatenate([first, middle, first])
    return Batch(one_hot(symbols[:-1], p + 1), symbols[1:])


def _last(outputs: jax.Array, batch: Batch) -> tuple[jax.Array, Batch]:
    return outputs[-1], Batch(batch.xs, batch.targets[-1])


def _last_accuracy() -> Score:
    """Always x, or always y, is right half of the time."""
    return Score(
        "accuracy of the last symbol",
        lambda outputs, batch: classes.accuracy(*_last(outputs, batch)),
        higher_is_better=True,
        chance=0.5,
        memoryless=0.5,
    )


def _largest_last_error(outputs: jax.Array, batch: Batch) -> jax.Array:
    return largest_error(*_last(outputs, batch))


def _success(
    error: Callable[[jax.Array, Any], jax.Array], limit: float, experiment: str, rows: int = 10_000
) -> Success:
    return Success(
        error,
        limit=limit,
        mean_limit=math.inf,
        rows=rows,
        source=f"Hochreiter & Schmidhuber 1997, experiment {experiment}",
        on="training",
        window_counts=False,
    )


def _held_out(steps: int, symbols: int) -> int:
    """As many sequences as fit into 16 MB, but at least 16: the longest of 2c take 4 MB each."""
    return min(HELD_OUT, max(16, 4_000_000 // (steps * symbols)))


def _at_least_3(argument: str, value: int) -> int:
    if checking.positive_int(argument, value) < 3:
        raise WrongValue(f"{argument}: expected at least 3, got {value}")
    return value
