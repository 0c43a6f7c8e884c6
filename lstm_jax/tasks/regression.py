"""Losses, scores and the errors of rows, of the tasks that ask for numbers.

Targets are numbers of the outputs' shape, ``[B, O]`` or ``[T, B, O]``; with one output
they may lack its axis, ``[B]`` or ``[T, B]``. NaN asks for nothing there, such as past a row's end.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import wide
from lstm_jax.tasks.means import mean_where
from lstm_jax.tasks.task import Batch, Score


@default_promotion
def differences(outputs: Float[Array, "*batch O"], batch: Batch) -> Float[Array, "*batch O"]:
    """Outputs minus targets, zero where nothing is asked for.

    Raises ValueError for targets of another shape, which JAX might broadcast silently.
    """
    outputs = wide(outputs)
    targets = batch.targets.astype(outputs.dtype)
    if targets.ndim == outputs.ndim - 1 and outputs.shape[-1] == 1:
        targets = targets[..., None]
    if targets.shape != outputs.shape:
        raise WrongValue(
            f"batch.targets: expected the outputs' shape {outputs.shape}, got {batch.targets.shape}"
        )
    asked = ~jnp.isnan(targets)
    return jnp.where(asked, outputs - jnp.where(asked, targets, 0.0), 0.0)


@default_promotion
def squared_error(outputs: Float[Array, "*batch O"], batch: Batch) -> Float[Array, "B"]:
    """Each row's mean squared error, over all numbers that are asked for."""
    return _mean_of_row(jnp.square(differences(outputs, batch)), batch)


@default_promotion
def absolute_error(outputs: Float[Array, "*batch O"], batch: Batch) -> Float[Array, "B"]:
    """Each row's mean absolute error, over all numbers that are asked for."""
    return _mean_of_row(jnp.abs(differences(outputs, batch)), batch)


@default_promotion
def largest_error(outputs: Float[Array, "*batch O"], batch: Batch) -> Float[Array, "B"]:
    """Each row's largest absolute error."""
    errors = jnp.abs(differences(outputs, batch))
    return errors.max(axis=_axes_of_row(errors))


@default_promotion
def mean_squared_error(outputs: Float[Array, "*batch O"], batch: Batch) -> Float[Array, ""]:
    """The mean squared error of all numbers that are asked for."""
    return _mean(jnp.square(differences(outputs, batch)), batch)


@default_promotion
def mean_absolute_error(outputs: Float[Array, "*batch O"], batch: Batch) -> Float[Array, ""]:
    """The mean absolute error of all numbers that are asked for."""
    return _mean(jnp.abs(differences(outputs, batch)), batch)


def mse_score(chance: float, memoryless: float | None = None) -> Score:
    """The mean squared error as a task's score; chance is the targets' variance."""
    return Score("MSE", mean_squared_error, False, chance, memoryless)


def mae_score(chance: float, memoryless: float | None = None) -> Score:
    """The mean absolute error as a task's score; chance is that of answering the median."""
    return Score("MAE", mean_absolute_error, False, chance, memoryless)


def _mean(errors: jax.Array, batch: Batch) -> jax.Array:
    return mean_where(_answer_mask(errors, batch), errors)


def _mean_of_row(errors: jax.Array, batch: Batch) -> jax.Array:
    return mean_where(_answer_mask(errors, batch), errors, _axes_of_row(errors))


def _answer_mask(errors: jax.Array, batch: Batch) -> jax.Array:
    """Where a number is asked for, in the outputs' shape."""
    return ~jnp.isnan(batch.targets.reshape(errors.shape))


def _axes_of_row(errors: jax.Array) -> tuple[int, ...]:
    """All axes but the batch's: of ``[B, O]``, or ``[T, B, O]``."""
    return (-1,) if errors.ndim == 2 else (0, -1)
