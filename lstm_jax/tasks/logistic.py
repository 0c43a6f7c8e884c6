"""Logistic outputs, half the squared error and the largest error: the losses of 1997.

A model's outputs are raw: the logistic function is applied here. Targets are classes ``[B]`` or
``[T, B]``, -1 where nothing is asked for, of which one output each should be 1 and the others 0; or
numbers ``[B]`` in [0, 1] if there is one output.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import wide
from lstm_jax.tasks.classes import answer_mask, one_hot
from lstm_jax.tasks.task import Batch


@default_promotion
def logistic_errors(outputs: Float[Array, "*batch K"], batch: Batch) -> Float[Array, "*batch K"]:
    """Target minus logistic output, zero where nothing is asked for."""
    values = jax.nn.sigmoid(wide(outputs))
    if jnp.issubdtype(batch.targets.dtype, jnp.floating):
        return batch.targets[..., None].astype(values.dtype) - values
    goals = one_hot(batch.targets, outputs.shape[-1]).astype(values.dtype)
    return jnp.where(answer_mask(batch)[..., None], goals - values, 0.0)


@default_promotion
def squared_error(outputs: Float[Array, "*batch K"], batch: Batch) -> Float[Array, ""]:
    """Half the squared error, summed over outputs and steps, the mean over rows.

    With one row per training step, gradient descent on it is the paper's online learning, with the
    weight changes of a sequence made at its end.
    """
    squares = jnp.square(logistic_errors(outputs, batch)).sum(axis=-1)
    return 0.5 * squares.sum() / squares.shape[-1]


@default_promotion
def largest_error(outputs: Float[Array, "*batch K"], batch: Batch) -> Float[Array, "B"]:
    """Each row's largest absolute error, of all outputs at all steps that ask for something."""
    largest = jnp.abs(logistic_errors(outputs, batch)).max(axis=-1)
    return largest.max(axis=tuple(range(largest.ndim - 1)))
