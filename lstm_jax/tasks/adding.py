"""The adding problem: remember two numbers over a long stretch of noise, and add them."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import checking
from lstm_jax.tasks.task import HELD_OUT, Batch, Score, Success, Task, drawn_task

# Always answering 1, the mean of the sum of two uniform numbers, leaves their variance, 2/12.
CHANCE = 1 / 6


def adding(length: int) -> Task:
    """The adding problem as in Arjovsky, Shah & Bengio 2016, "Unitary evolution recurrent neural
    networks"; first in Hochreiter & Schmidhuber 1997, experiment 4.

    length: T, at least 2. Inputs ``[T, B, 2]``: a value in U[0, 1), and a mark that is 1 at one
    step of the first half (of ``T // 2`` steps), at one of the second, and 0 elsewhere. Target
    ``[B]``: the sum of the two marked values, asked for at the last step. Loss and score are the
    mean squared error; it counts as solved below 0.01.
    """
    length = checking.positive_int("length", length)
    if length < 2:
        raise ValueError(f"length: got {length}; takes at least 2, one step for each mark")

    def draw(key: jax.Array, batch_size: int) -> Batch:
        """Values, then marks: ``[T, B, 2]``, and the sums ``[B]``."""
        # One call of the generator for all: each takes a third of a second to compile.
        uniform = jax.random.uniform(key, (length + 2, batch_size))
        values, half = uniform[:length], length // 2
        first = jnp.floor(half * uniform[length])
        second = half + jnp.floor((length - half) * uniform[length + 1])
        step = jnp.arange(length)[:, None]
        marks = jnp.where((step == first) | (step == second), 1.0, 0.0)
        return Batch(jnp.stack([values, marks], axis=-1), (values * marks).sum(axis=0))

    # Who sees a mark at the last step knows one of the two numbers.
    marked = 1 / (length - length // 2)
    return drawn_task(
        f"adding({length})",
        draw,
        input_size=2,
        output_size=1,
        loss=mean_squared_error,
        score=Score(
            "MSE",
            mean_squared_error,
            higher_is_better=False,
            chance=CHANCE,
            memoryless=CHANCE - marked / 12,
        ),
        success=Success(
            squared_error, limit=math.inf, mean_limit=0.01, rows=HELD_OUT, source="lstm_jax"
        ),
    )


def squared_error(outputs: Float[Array, "B 1"], batch: Batch) -> Float[Array, "B"]:
    return (outputs[:, 0] - batch.targets) ** 2


def mean_squared_error(outputs: Float[Array, "B 1"], batch: Batch) -> Float[Array, ""]:
    return jnp.mean(squared_error(outputs, batch))
