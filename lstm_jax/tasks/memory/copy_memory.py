"""The copy problem: keep symbols over a long stretch of blanks, and write them out in order."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import classes
from lstm_jax.tasks.task import HELD_OUT, Batch, Score, Sequences, Success, Task, drawn_task


def copy_memory(
    length: int = 100, *, symbols: int = 8, width: int = 10, variable: bool = False
) -> Task:
    """The copying memory problem as in Arjovsky, Shah & Bengio 2016, "Unitary evolution recurrent
    neural networks", after Hochreiter & Schmidhuber 1997.

    A width of 3 and a lag of 4; blank is ``.``, the marker ``:``::

        input    c a b . . . : . . .
        target   . . . . . . . c a b

    Inputs ``[T + 2 width, B, symbols + 2]``, one-hot: the symbols, the blank, the marker. With
    variable lags they are ``Sequences`` of so many steps, and a row has its own lag + 2 width.
    Targets ``[T + 2 width, B]``: the symbol, or blank, which is class ``symbols``; -1 past a
    row's end. Loss and score are the cross-entropy in nats, the mean over all steps.

    The memoryless score, as published: blanks until the marker, and from there on every symbol with
    the same probability, ``width ln(symbols) / (T + 2 width)``. This answer remembers the marker,
    and no symbol. Chance is the entropy of a target. With variable lags both have the mean lag for
    T.

    The task counts as solved if on average fewer than one step is wrong for each hundred symbols
    to be kept; blanks in the wrong place count (``wrong_steps``). ``recall`` is the share of the
    symbols that are right. ``test_at`` takes a lag.

    Args:
        length: the lag T: ``T - 1`` blanks stand between the symbols and the marker.
        symbols: the kinds of symbols, at least 2.
        width: the number of symbols to be kept.
        variable: draw the lag of each sequence anew from 1 to T, each as likely, so that rows
            differ in length; otherwise it is T in all of them. (From Tallec & Ollivier 2018, "Can
            recurrent neural networks warp time?", as remembered, not checked against the paper.)
    """
    length = checking.positive_int("length", length)
    symbols = checking.positive_int("symbols", symbols)
    width = checking.positive_int("width", width)
    variable = checking.flag("variable", variable)
    if symbols < 2:
        raise WrongValue(f"symbols: expected at least 2, got {symbols}")

    def draw_lags(key: jax.Array, batch_size: int, shortest: int, longest: int) -> Batch:
        uniform = jax.random.uniform(key, (width + 1, batch_size))
        kept = classes.classes_from_uniform(uniform[:width], symbols)
        lags = shortest + classes.classes_from_uniform(uniform[width], longest - shortest + 1)
        inputs, targets = write_out(kept, lags, longest, symbols)
        xs = classes.one_hot(inputs, symbols + 2)
        return Batch(Sequences(xs, lags + 2 * width) if variable else xs, targets)

    def draw(key: jax.Array, batch_size: int) -> Batch:
        return draw_lags(key, batch_size, 1 if variable else length, length)

    def draw_at(key: jax.Array, batch_size: int, length: int) -> Batch:
        return draw_lags(key, batch_size, length, length)

    steps = (1 + length if variable else 2 * length) / 2 + 2 * width
    share = width / steps  # of the steps that ask for a symbol
    baseline = share * math.log(symbols)
    lags = f"1 to {length}" if variable else f"{length}"
    return drawn_task(
        f"copy_memory({lags}, symbols={symbols}, width={width})",
        draw,
        input_size=symbols + 2,
        output_size=symbols + 1,
        loss=classes.cross_entropy,
        score=Score(
            "nats a step",
            classes.cross_entropy,
            higher_is_better=False,
            chance=baseline - share * math.log(share) - (1 - share) * math.log(1 - share),
            memoryless=baseline,
        ),
        reads="every",
        success=Success(
            wrong_steps, limit=math.inf, mean_limit=0.01, rows=HELD_OUT, source="lstm_jax"
        ),
        draw_at=draw_at,
    )


def write_out(
    kept: Int[Array, "K B"], lags: Int[Array, "B"], longest: int, symbols: int
) -> tuple[Int[Array, "T B"], Int[Array, "T B"]]:
    """Inputs and targets, for as many steps as the longest lag has; -1 past a row's end."""
    width, blank, marker = kept.shape[0], symbols, symbols + 1
    step = jnp.arange(longest + 2 * width)[:, None]
    first = lags + width  # the step of the first answer
    here = jnp.where(step == first - 1, marker, blank).at[:width].set(kept)
    answer = jnp.take_along_axis(kept, jnp.clip(step - first, 0, width - 1), axis=0)
    within = step < first + width
    targets = jnp.where(step < first, blank, answer)
    return jnp.where(within, here, -1), jnp.where(within, targets, -1)


def without_blanks(outputs: Float[Array, "T B K"], batch: Batch) -> Batch:
    """``batch`` with nothing asked for where the answer is blank, which is the last class."""
    blank = outputs.shape[-1] - 1
    return batch._replace(targets=jnp.where(batch.targets == blank, -1, batch.targets))


def recall(outputs: Float[Array, "T B K"], batch: Batch) -> Float[Array, ""]:
    """The share of the symbols that are right, blanks left out."""
    return classes.accuracy(outputs, without_blanks(outputs, batch))


def wrong_steps(outputs: Float[Array, "T B K"], batch: Batch) -> Float[Array, "B"]:
    """A row's wrong steps, blanks included, divided by the number of its symbols."""
    wrong = classes.answer_mask(batch) & ~classes.is_correct(outputs, batch)
    kept = classes.answer_mask(without_blanks(outputs, batch))
    return wrong.sum(axis=0).astype(jnp.float32) / kept.sum(axis=0).astype(jnp.float32)
