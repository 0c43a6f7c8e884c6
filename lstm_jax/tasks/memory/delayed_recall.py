"""Delayed recall: keep the first symbol while others of its kind go by."""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import classes
from lstm_jax.tasks.task import HELD_OUT, Batch, Task, drawn_task


def delayed_recall(delay: int = 100, *, symbols: int = 8) -> Task:
    """Delayed recall: the latch problem of Bengio, Simard & Frasconi 1994, "Learning long-term
    dependencies with gradient descent is difficult", with symbols instead of signs.

    A delay of 6; the cue is ``?``::

        input    c a d a c b b ?
        target                 c

    Inputs ``[D + 2, B, symbols + 1]``, one-hot, the cue last. Target ``[B]``: the first symbol,
    asked for at the last step. Loss is the cross-entropy; score is the accuracy. The cue tells
    nothing, so chance and memoryless are both ``1 / symbols``. The task counts as solved above
    99 % (our criterion). ``test_at`` takes a delay.

    Args:
        delay: D, the number of distractors between the first symbol and the cue.
        symbols: the kinds of symbols, at least 2; each symbol is drawn independently, all kinds
            being as likely.
    """
    delay = checking.positive_int("delay", delay)
    symbols = checking.positive_int("symbols", symbols)
    if symbols < 2:
        raise WrongValue(f"symbols: expected at least 2, got {symbols}")

    def draw_at(key: jax.Array, batch_size: int, delay: int) -> Batch:
        drawn = classes.classes_from_uniform(
            jax.random.uniform(key, (delay + 1, batch_size)), symbols
        )
        inputs = jnp.pad(drawn, ((0, 1), (0, 0)), constant_values=symbols)
        return Batch(classes.one_hot(inputs, symbols + 1), drawn[0])

    return drawn_task(
        f"delayed_recall({delay}, symbols={symbols})",
        lambda key, batch_size: draw_at(key, batch_size, delay),
        input_size=symbols + 1,
        output_size=symbols,
        loss=classes.cross_entropy,
        score=classes.accuracy_score(1 / symbols, 1 / symbols),
        success=classes.accuracy_success(0.99, HELD_OUT, "lstm_jax"),
        draw_at=draw_at,
    )
