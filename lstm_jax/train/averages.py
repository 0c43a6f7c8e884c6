"""Averages over the targets that count: not over padding, and not over what is missing."""

from typing import Any

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


def fill(outputs: Any, batch: Any, axes: int) -> tuple[Any, Any]:
    """Outputs and targets in which one that counts stands in the place of each that does not.

    A loss may be infinite or without a derivative there, such as the logarithm of the outputs of
    padding, and zero times that is NaN.

    Args:
        axes: of ``[B]`` or ``[T, B]``, by which outputs and targets are numbered.
    """
    counts = jnp.asarray(batch.counts)
    targets = _rows(jnp.asarray(batch.targets), axes)
    at = jnp.argmax(_rows(counts, axes), axis=0)  # for each column of the targets
    found = jnp.take_along_axis(targets, at[None], axis=0)[0]
    rows = counts.any(axis=tuple(range(axes, counts.ndim)))
    one = jnp.take(_rows(outputs, axes), jnp.argmax(rows.ravel()), axis=0)
    rows = rows.reshape(rows.shape + (1,) * (outputs.ndim - axes))
    return jnp.where(rows, outputs, one), jnp.where(counts, batch.targets, found)


def _rows(values: jax.Array, axes: int) -> jax.Array:
    return values.reshape(-1, *values.shape[axes:])
