"""Support for callers who set ``jax.numpy_rank_promotion`` or ``jax.numpy_dtype_promotion``.

With "raise" and "strict" JAX refuses implicit promotion of ranks and dtypes. Callers set these for
their own code. The library broadcasts on purpose, and its tests check its dtypes, so its functions
run under JAX's default modes. Functions that JAX traces later, such as derivative rules, have to be
decorated too.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def default_promotion(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function to run under JAX's default promotion of ranks and dtypes."""

    if getattr(function, "is_standard", False):
        return function

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        config: Any = jax.config
        if (
            config.jax_numpy_rank_promotion == "allow"
            and config.jax_numpy_dtype_promotion == "standard"
        ):
            return function(*args, **kwargs)
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            return function(*args, **kwargs)

    run.is_standard = True  # type: ignore[attr-defined]
    return run
