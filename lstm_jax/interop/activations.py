"""The activation functions of other frameworks, by our names."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.activations import ACTIVATIONS

JAX_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tanh": jax.numpy.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "identity": ACTIVATIONS["identity"],
    "positive": ACTIVATIONS["positive"],
}


def activation_name(
    option: str, function: Any, more: Mapping[str, tuple[Any, ...]] | None = None
) -> str:
    """Our name of an activation function.

    Args:
        option: What the framework calls the option, for the error.
        function: The function.
        more: The framework's own functions by our names, beside JAX's.

    Raises:
        ValueError: For a function that our cells do not have.
    """
    for name, ours in JAX_FUNCTIONS.items():
        if function is ours or any(function is other for other in (more or {}).get(name, ())):
            return name
    text = getattr(function, "__name__", repr(function))
    raise WrongValue(
        f"{option}: expected one of {', '.join(JAX_FUNCTIONS)}, which our cells have, got {text}; "
        "add it to a cell of your own and copy the weights by hand"
    )
