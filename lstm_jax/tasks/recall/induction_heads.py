"""Induction heads: find what followed a special token, once that token comes again."""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import classes
from lstm_jax.tasks.task import HELD_OUT, Batch, Task, drawn_task


def induction_heads(length: int = 256, *, symbols: int = 16) -> Task:
    """The induction heads task as in Gu & Dao 2023, "Mamba: linear-time sequence modeling with
    selective state spaces", section 4.1.2; the ability is of Olsson et al. 2022, "In-context
    learning and induction heads".

    A length of 8; the special token is ``!``::

        input    c a a ! b d a !
        target                 b

    Inputs ``[T, B, symbols]``, one-hot, the special token's place last. Target ``[B]``: what
    followed the first special token, asked for at the last step. Loss is the cross-entropy;
    score is the accuracy. The last step is always the same, so chance and memoryless are both
    ``1 / (symbols - 1)``. The task counts as solved above 99 % (our criterion). ``test_at`` takes
    a length; the paper tests at 64 to 2^20.

    Args:
        length: T, at least 3. The special token stands last, and once before, at a place from the
            first to the last but two, each as likely.
        symbols: the kinds of tokens, including the special one; the others are drawn independently,
            each as likely. (Whether the paper's 16 include the special one is our reading.)
    """
    length = _length(length)
    symbols = checking.positive_int("symbols", symbols)
    special = symbols - 1
    if special < 2:
        raise WrongValue(f"symbols: expected at least 3: the special and two others, got {symbols}")

    def draw_at(key: jax.Array, batch_size: int, length: int) -> Batch:
        uniform = jax.random.uniform(key, (_length(length) + 1, batch_size))
        place = classes.classes_from_uniform(uniform[length], length - 2)
        others = classes.classes_from_uniform(uniform[:length], special)
        step = jnp.arange(length)[:, None]
        inputs = jnp.where((step == place) | (step == length - 1), special, others)
        answers = jnp.take_along_axis(others, place[None] + 1, axis=0)[0]
        return Batch(classes.one_hot(inputs, symbols), answers)

    return drawn_task(
        f"induction_heads({length}, symbols={symbols})",
        lambda key, batch_size: draw_at(key, batch_size, length),
        input_size=symbols,
        output_size=special,
        loss=classes.cross_entropy,
        score=classes.accuracy_score(1 / special, 1 / special),
        success=classes.accuracy_success(0.99, HELD_OUT, "lstm_jax"),
        draw_at=draw_at,
    )


def _length(length: int) -> int:
    length = checking.positive_int("length", length)
    if length < 3:
        raise WrongValue(f"length: expected at least 3: special, answer, special, got {length}")
    return length
