"""Activation functions by name, in one table for all cells."""

from collections.abc import Callable

import jax

from lstm_jax._internal.checking import choice

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
    """The activation function ``name``.

    Args:
        argument: The name of the caller's argument, for the error.
        name: A key of ``ACTIVATIONS``.

    Raises:
        ValueError: If there is no such function; the error lists them.
    """
    return ACTIVATIONS[choice(argument, name, ACTIVATIONS)]
