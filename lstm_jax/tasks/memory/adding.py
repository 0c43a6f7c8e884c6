"""The adding problem: remember two numbers over a long stretch of noise, and add them."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.numerics import wide
from lstm_jax.tasks import classes
from lstm_jax.tasks.task import HELD_OUT, Batch, Score, Sequences, Success, Task, drawn_task

# Always answering 1, the mean of the sum of two uniform numbers, leaves their variance, 2/12.
CHANCE = 1 / 6


def adding(length: int = 100, *, variable: bool = False) -> Task:
    """The adding problem as in Arjovsky, Shah & Bengio 2016, "Unitary evolution recurrent neural
    networks"; first in Hochreiter & Schmidhuber 1997, experiment 4.

    A length of 6, the marks below the values::

        input    .3 .9 .1 .5 .7 .2
                  0  1  0  0  1  0
        target                   1.6

    Inputs ``[T, B, 2]``: a value in U[0, 1), and a mark that is 1 at one step of the first half (of
    ``T // 2`` steps), at one step of the second half, and 0 elsewhere. Target ``[B]``: the sum of
    the two marked values, asked for at the last step. Loss and score are the mean squared error;
    the task counts as solved below 0.01. ``test_at`` takes a length.

    Args:
        length: T, at least 2.
        variable: draw the length of each row anew from 2 to T, each length being as likely; the
            inputs are ``Sequences``, and the halves are those of the row.
    """
    length = checking.positive_int("length", length)
    variable = checking.flag("variable", variable)
    shortest = 2 if variable else length
    if length < 2:
        raise WrongValue(f"length: expected at least 2, one step for each mark, got {length}")

    def draw_lengths(key: jax.Array, batch_size: int, shortest: int, longest: int) -> Batch:
        """Values, then marks: ``[T, B, 2]``, and the sums ``[B]``."""
        # One call of the generator for all: each takes a third of a second to compile.
        uniform = jax.random.uniform(key, (longest + 2 + variable, batch_size))
        values, lengths = uniform[:longest], jnp.full(batch_size, longest)
        if variable:
            lengths = shortest + classes.classes_from_uniform(
                uniform[longest + 2], longest - shortest + 1
            )
        half = lengths // 2
        first = jnp.floor(half * uniform[longest])
        second = half + jnp.floor((lengths - half) * uniform[longest + 1])
        step = jnp.arange(longest)[:, None]
        marks = jnp.where((step == first) | (step == second), 1.0, 0.0)
        xs = jnp.stack([values, marks], axis=-1)
        return Batch(Sequences(xs, lengths) if variable else xs, (values * marks).sum(axis=0))

    def draw_at(key: jax.Array, batch_size: int, length: int) -> Batch:
        if length < 2:
            raise WrongValue(f"length: expected at least 2, one step for each mark, got {length}")
        return draw_lengths(key, batch_size, length, length)

    # A mark at the last step shows one of the two numbers.
    marked = [1 / (n - n // 2) for n in range(shortest, length + 1)]
    return drawn_task(
        f"adding(2 to {length})" if variable else f"adding({length})",
        lambda key, batch_size: draw_lengths(key, batch_size, shortest, length),
        input_size=2,
        output_size=1,
        loss=mean_squared_error,
        score=Score(
            "MSE",
            mean_squared_error,
            higher_is_better=False,
            chance=CHANCE,
            memoryless=CHANCE - sum(marked) / len(marked) / 12,
        ),
        success=Success(
            squared_error, limit=math.inf, mean_limit=0.01, rows=HELD_OUT, source="lstm_jax"
        ),
        draw_at=draw_at,
    )


def squared_error(outputs: Float[Array, "B 1"], batch: Batch) -> Float[Array, "B"]:
    return (wide(outputs[:, 0]) - batch.targets) ** 2


def mean_squared_error(outputs: Float[Array, "B 1"], batch: Batch) -> Float[Array, ""]:
    return jnp.mean(squared_error(outputs, batch))
