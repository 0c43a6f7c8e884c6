"""Activation functions by name, one table for every cell; and the softmax under a mask."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lstm_jax.checking import choice

Activation = Callable[[jax.Array], jax.Array]

ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jax.numpy.tanh,
    "relu": jax.nn.relu,
    "hard_sigmoid": jax.nn.hard_sigmoid,  # relu6(x + 3) / 6
    "identity": lambda x: x,
    "positive": lambda x: jax.numpy.where(x >= 0, x + 0.5, jax.nn.sigmoid(x)),  # Feng et al. 2024
}


def activation(argument: str, name: str) -> Activation:
    """The function called ``name``; ``argument`` is what an error calls it."""
    return ACTIVATIONS[choice(argument, name, ACTIVATIONS)]


def masked_softmax(
    scores: Float[Array, "..."], mask: Bool[Array, "..."] | None = None, axis: int = -1
) -> Float[Array, "..."]:
    """The softmax of ``scores`` along ``axis`` over the places where ``mask`` holds.

    mask: broadcasts against ``scores``; None: all places count. The result is float32, or wider
    where the scores are. A masked place has weight zero and gradient zero, whatever its score
    (NaN included), and where all places are masked, or all scores are minus infinity, all weights
    are zero.
    """
    scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    high = jnp.max(jax.lax.stop_gradient(scores), axis, keepdims=True, initial=-jnp.inf)
    powers = jnp.exp(scores - jnp.where(high == -jnp.inf, 0, high))
    total = jnp.sum(powers, axis, keepdims=True)
    return powers / jnp.where(total == 0, 1, total)
