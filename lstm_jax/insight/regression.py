"""Ridge regression with an intercept, by singular values."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def fit_ridge(
    inputs: jax.Array, targets: jax.Array, ridge: float | jax.Array
) -> Callable[[jax.Array], jax.Array]:
    """The linear function with the least mean squared error plus a penalty.

    Singular values are used instead of the normal equations, since squaring the inputs would lose
    half of the digits, and states are often nearly singular.

    Args:
        inputs: ``[N, S]``.
        targets: ``[N, K]``.
        ridge: The penalty on the squared weights, as a share of the inputs' largest variance in any
            direction.

    Returns:
        A function from inputs ``[..., S]`` to predictions ``[..., K]``.
    """
    mean, mean_target = jnp.mean(inputs, axis=0), jnp.mean(targets, axis=0)
    left, sizes, right = jnp.linalg.svd(inputs - mean, full_matrices=False)
    # Directions below rounding error hold no signal, also without a penalty.
    floor = sizes[0] * jnp.finfo(sizes.dtype).eps * max(inputs.shape)
    shrunk = sizes / (jnp.square(sizes) + ridge * jnp.square(sizes[0]))
    shrunk = jnp.where(sizes > floor, shrunk, 0.0)
    weights = right.T @ (shrunk[:, None] * (left.T @ (targets - mean_target)))
    return lambda x: (x - mean) @ weights + mean_target
