"""Strict callers: those of ``jax.numpy_rank_promotion`` and ``jax.numpy_dtype_promotion``.

"raise" and "strict" make errors of what JAX does in silence: to bring arrays to one rank, or to one
dtype. That is for the caller's own code. What stands in here broadcasts on purpose, and its tests
hold it to its dtypes; so it runs under JAX's default modes whatever the caller's are. What JAX
traces later, such as the rule of a derivative, is to be marked by itself.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def default_promotion(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, which always runs under JAX's default promotion of ranks and dtypes."""

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
