"""Means over what a task asks for, of the tasks that ask for classes and for numbers alike."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool


def mean_where(
    mask: Bool[Array, "*batch"], values: jax.Array, axes: tuple[int, ...] | None = None
) -> jax.Array:
    """The mean of ``values`` where ``mask`` is True, over ``axes``; zero where nothing is.

    Args:
        mask: of the values' shape.
        values: floats; or Booleans, of which the share that is True is given in float32.
        axes: None for all.
    """
    floats = jnp.issubdtype(values.dtype, jnp.floating)
    dtype = values.dtype if floats else jnp.float32
    total = jnp.where(mask, values, jnp.zeros((), values.dtype)).sum(axis=axes)
    count = jnp.maximum(mask.sum(axis=axes), 1)
    # Cast first: integers would be divided in float64 if JAX has 64 bits on, and not at all if it
    # promotes nothing.
    return total.astype(dtype) / count.astype(dtype)
