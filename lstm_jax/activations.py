"""Activation functions by name: one table for every cell."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lstm_jax.checking import choice

Activation = Callable[[jax.Array], jax.Array]

ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "hard_sigmoid": jax.nn.hard_sigmoid,  # relu6(x + 3) / 6
    "identity": lambda x: x,
    "positive": lambda x: jnp.where(x >= 0, x + 0.5, jax.nn.sigmoid(x)),  # Feng et al. 2024
}


def activation(argument: str, name: str) -> Activation:
    """The function called ``name``; ``argument`` is what an error calls it."""
    return ACTIVATIONS[choice(argument, name, ACTIVATIONS)]


def masked_softmax(scores: jax.Array, mask: jax.Array | None, axis: int = -1) -> jax.Array:
    """The softmax over the places where ``mask`` holds; exact zeros elsewhere, and everywhere in
    a row in which it holds nowhere. Gradients are finite, and zero where the weight is.

    mask: broadcasts against ``scores``; None where all places count.
    """
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    highest = jax.lax.stop_gradient(jnp.max(scores, axis, keepdims=True))
    e = jnp.exp(scores - jnp.where(jnp.isfinite(highest), highest, 0))
    total = jnp.sum(e, axis, keepdims=True)
    return e / jnp.where(total == 0, 1, total)
