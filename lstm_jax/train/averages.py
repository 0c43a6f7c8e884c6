"""Averages over the targets that count: not over padding, and not over what is missing."""

import jax
import jax.numpy as jnp

from lstm_jax._internal.errors import WrongValue


def sum_and_count(
    values: jax.Array, counts: jax.Array, axes: int, argument: str = "loss"
) -> tuple[jax.Array, jax.Array]:
    """The sum of the values that count, and how many these are.

    Args:
        values: one for each target, in the shape of ``counts``; without its last axes, if a loss
            makes one value of several targets, which count if all of them do.
        axes: how many axes ``[B]`` or ``[T, B]`` values must have at least.
        argument: the name of the function that made them, for errors.
    """
    values = jnp.asarray(values)
    if values.ndim < axes or values.shape != counts.shape[: values.ndim]:
        raise WrongValue(
            f"{argument}: expected one value for each target, of shape {counts.shape} or "
            f"{counts.shape[:axes]}, got shape {values.shape}; the mean is taken by the caller"
        )
    counts = counts.all(axis=tuple(range(values.ndim, counts.ndim)))
    values = jnp.where(counts, values, 0)
    return values.sum(), counts.sum()
