"""The n-bit flip-flop: a few bits that are set by pulses and held in between."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.tasks.regression import mean_squared_error, mse_score
from lstm_jax.tasks.task import HELD_OUT, Batch, Score, Success, Task, drawn_task


def n_bit_flip_flop(length: int = 64, *, bits: int = 3, probability: float = 0.1) -> Task:
    """The flip-flop of Sussillo & Barak 2013, "Opening the black box: low-dimensional dynamics in
    high-dimensional recurrent neural networks", drawn as by Golub & Sussillo 2018,
    "FixedPointFinder". Of one of its bits::

        input    1  0  0 -1  0  1  1  0
        target   1  1  1 -1 -1  1  1  1

    Inputs ``[T, B, bits]``: at each step and in each channel a pulse with the given probability, 1
    or -1 as likely, and 0 elsewhere; the first step has a pulse in every channel. Targets
    ``[T, B, bits]``: the last pulse of each channel. A net that holds them without an end has a
    stable fixed point for each of the ``2^bits`` states, with saddles between them, at an input of
    zeros (``lj.insight.fixed_points``). Golub & Sussillo have pulses with probability 0.5; the
    rarer they are, the longer a bit has to be held, and the less will a slow drift do.

    Loss is the mean squared error. Score is the accuracy, of the outputs' signs; the mean squared
    error is reported too. The task counts as solved above 99 % (our criterion).

    Chance is 1/2. The best memoryless answer is right where there is a pulse, and else half of the
    time.

    Args:
        length: T.
        bits: The number of channels.
        probability: That of a pulse, above 0 and at most 1.
    """
    length = checking.positive_int("length", length)
    bits = checking.positive_int("bits", bits)
    if not 0 < checking.real("probability", probability) <= 1:
        raise WrongValue(f"probability: expected a number in (0, 1], got {probability!r}")

    def draw(key: jax.Array, batch_size: int, length: int) -> Batch:
        uniform = jax.random.uniform(key, (length, batch_size, bits))
        first = jnp.arange(length)[:, None, None] == 0
        likely = jnp.where(first, 1.0, probability)
        pulses = jnp.where(uniform < likely, jnp.where(uniform < likely / 2, -1.0, 1.0), 0.0)

        def hold(held: jax.Array, pulse: jax.Array) -> tuple[jax.Array, jax.Array]:
            held = jnp.where(pulse == 0, held, pulse)
            return held, held

        _, targets = jax.lax.scan(hold, pulses[0], pulses)
        return Batch(pulses, targets)

    without_pulse = (1 - probability) * (length - 1) / length  # the share of steps
    return drawn_task(
        f"n_bit_flip_flop({length}, bits={bits}, probability {probability!r})",
        lambda key, batch_size: draw(key, batch_size, length),
        input_size=bits,
        output_size=bits,
        loss=mean_squared_error,
        score=Score("accuracy", accuracy, True, chance=0.5, memoryless=1 - without_pulse / 2),
        scores=(mse_score(chance=1.0, memoryless=without_pulse),),
        reads="every",
        success=Success(error_rate, math.inf, mean_limit=0.01, rows=HELD_OUT, source="lstm_jax"),
        draw_at=draw,
    )


@default_promotion
def accuracy(outputs: Float[Array, "T B O"], batch: Batch) -> Float[Array, ""]:
    return 1 - jnp.mean(error_rate(outputs, batch))


@default_promotion
def error_rate(outputs: Float[Array, "T B O"], batch: Batch) -> Float[Array, "B"]:
    """Each row's share of outputs with the wrong sign."""
    wrong = (outputs > 0) != (batch.targets > 0)
    return jnp.mean(wrong, axis=(0, 2), dtype=jnp.float32)
