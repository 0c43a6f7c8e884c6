"""Temporal order: which mark came first, long ago, and which came then."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.classes import accuracy_score, one_hot
from lstm_jax.tasks.logistic import largest_error, squared_error
from lstm_jax.tasks.task import Batch, Sequences, Success, Task, drawn_task

SYMBOLS = ("E", "B", "a", "b", "c", "d", "X", "Y")
# Where the windows of the marks start, in hundredths of the shortest length; each is a tenth wide.
STARTS = {2: (10, 50), 3: (10, 33, 66)}


def temporal_order(marks: int = 2, min_length: int = 100, max_length: int = 110) -> Task:
    """Experiments 6a (two marks) and 6b (three) of Hochreiter & Schmidhuber 1997, section 5.6.

    ::

        step     1    2 ...  t1 ...  t2 ... last
        x        E    c ...  X  ...  Y  ...  B        of the 8 symbols E B a b c d X Y
        target                               R        X,X: Q   X,Y: R   Y,X: S   Y,Y: U

    Inputs ``Sequences`` of one-hot symbols ``[T, B, 8]``, T = max_length; classes ``[B]``, asked
    for at the last step, whose symbol is always B. Loss: half the squared error of the logistic
    outputs, summed over classes. Score: accuracy; the last symbol tells nothing, so chance is the
    best memoryless answer too.
    Success: in the last 2000 training sequences no output was off by 0.3 or more, and the largest
    error of a row was below 0.1 on average ("average training error": the paper does not say of
    what). ``test_at(length, n)``: sequences of that length, with windows in proportion.

    Args:
        marks: 2, for 4 classes, or 3, for 8: the marks read as binary digits, X = 0 and Y = 1, the
            first mark first.
        min_length, max_length: of the sequences, uniform between them, both included; at least 20.
            Marks stand at random in windows in proportion to ``min_length``: at 100, t1 in 10 to
            20 and t2 in 50 to 60 with two marks; 10 to 20, 33 to 43 and 66 to 76 with three.
    """
    if checking.positive_int("marks", marks) not in STARTS:
        raise WrongValue(f"marks: expected 2 or 3, got {marks}")
    min_length = checking.positive_int("min_length", min_length)
    max_length = checking.positive_int("max_length", max_length)
    _at_least_20("min_length", min_length)
    if max_length < min_length:
        raise WrongValue(
            f"max_length: expected at least min_length, {min_length}, got {max_length}"
        )

    def draw(key: jax.Array, batch_size: int, shortest: int, longest: int) -> Batch:
        uniform = jax.random.uniform(key, (longest + 2 * marks + 1, batch_size))
        starts = np.array(STARTS[marks])[:, None] * shortest // 100
        places = starts + jnp.floor((shortest // 10 + 1) * uniform[:marks])  # counted from 1
        signs = jnp.floor(2 * uniform[marks : 2 * marks]).astype(jnp.int32)
        lengths = shortest + jnp.floor((longest - shortest + 1) * uniform[2 * marks])
        symbols = SYMBOLS.index("a") + jnp.floor(4 * uniform[2 * marks + 1 :]).astype(jnp.int32)

        step = jnp.arange(1, longest + 1)[:, None]
        for place, sign in zip(places, signs, strict=True):
            symbols = jnp.where(step == place, SYMBOLS.index("X") + sign, symbols)
        symbols = jnp.where(step == 1, SYMBOLS.index("E"), symbols)
        symbols = jnp.where(step == lengths, SYMBOLS.index("B"), symbols)
        classes = (signs * 2 ** np.arange(marks)[::-1, None]).sum(axis=0)
        xs = Sequences(one_hot(symbols, len(SYMBOLS)), lengths.astype(jnp.int32))
        return Batch(xs, classes)

    def draw_at(key: jax.Array, batch_size: int, length: int) -> Batch:
        return draw(key, batch_size, _at_least_20("length", length), length)

    classes = 2**marks
    return drawn_task(
        f"temporal_order(marks={marks}, T={min_length}-{max_length})",
        lambda key, batch_size: draw(key, batch_size, min_length, max_length),
        input_size=len(SYMBOLS),
        output_size=classes,
        loss=squared_error,
        score=accuracy_score(1 / classes, 1 / classes),
        success=Success(
            largest_error,
            limit=0.3,
            mean_limit=0.1,
            rows=2000,
            source="Hochreiter & Schmidhuber 1997, experiment 6",
            on="training",
        ),
        draw_at=draw_at,
    )


def _at_least_20(argument: str, length: int) -> int:
    if length < 20:
        raise WrongValue(f"{argument}: expected at least 20, room for the marks, got {length}")
    return length
