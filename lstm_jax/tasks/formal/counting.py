"""Counting: strings of a number of a and as many b."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.tasks.classes import cross_entropy, error_rate
from lstm_jax.tasks.ranges import (
    Choices,
    format_range,
    length_choices,
    lengths_from_uniform,
    one_hot_sequences,
    range_task,
    share_of_length,
    single_length,
    step_mask,
)
from lstm_jax.tasks.task import HELD_OUT, Batch, Score, Success, Task

A_OR_B, B, END = range(3)  # the classes


def counting(min_n: int = 1, max_n: int = 10) -> Task:
    """The language a^n b^n of Gers & Schmidhuber 2001, "LSTM recurrent networks learn simple
    context-free and context-sensitive languages": predict all that may come next::

        inputs   a   a   a   b  b  b
        targets  ab  ab  ab  b  b  end

    Inputs ``Sequences`` of the symbols a and b, one-hot, with T = 2 max_n. Targets ``[T, B]``,
    asked at every step of a row: 0 after an a (a or b may come), 1 after a b if more must come, 2
    after the last b (the string ends). (The paper shows a start symbol too, and has an output for
    each symbol that may come; its sets of symbols are the three classes.) Loss is the
    cross-entropy. Score is the share of strings that are right at every step, the paper's
    acceptance of a string; the task counts as solved when all are, and every n of the range is
    almost certainly among them.

    Validation and test hold the strings that training holds, for there are no others of these n;
    what was learnt shows in ``test_at(2 * n, rows)`` for a larger n, all of whose rows are the
    one string. The paper trains on n to 10 and reports the largest n up to which every string is
    right, 1000 in its best run (from memory).

    A constant answer gets no string right. The current symbol alone gets those of n = 1 right, and
    no other: after their b's, "b" and "end" are both asked for.

    Args:
        min_n, max_n: of the training strings; each n is as likely.
    """
    choices = length_choices(min_n, max_n, names=("min_n", "max_n"))

    def draw(key: jax.Array, batch_size: int, choices: Choices) -> Batch:
        n = lengths_from_uniform(jax.random.uniform(key, (batch_size,)), choices)
        steps = 2 * int(choices[-1])
        step, lengths = jnp.arange(steps)[:, None], 2 * n
        targets = jnp.where(step < n, A_OR_B, jnp.where(step < lengths - 1, B, END))
        targets = jnp.where(step_mask(lengths, steps), targets, -1)
        return Batch(one_hot_sequences((step >= n).astype(jnp.int32), lengths, 2), targets)

    return range_task(
        f"counting({format_range(choices)})",
        draw,
        choices,
        choices_at=lambda length: single_length(length, remainder=0) // 2,
        input_size=2,
        output_size=3,
        loss=cross_entropy,
        score=Score(
            "strings right",
            strings_right,
            higher_is_better=True,
            chance=0.0,
            memoryless=share_of_length(1, choices),
        ),
        reads="every",
        success=Success(
            _has_errors, limit=0.5, mean_limit=0.5, rows=HELD_OUT, source="Gers & Schmidhuber 2001"
        ),
    )


def strings_right(outputs: Float[Array, "T B K"], batch: Batch) -> Float[Array, ""]:
    """The share of rows in which every answer is right."""
    return 1.0 - jnp.mean(_has_errors(outputs, batch))


def _has_errors(outputs: Float[Array, "T B K"], batch: Batch) -> Float[Array, "B"]:
    return (error_rate(outputs, batch) > 0).astype(jnp.float32)
