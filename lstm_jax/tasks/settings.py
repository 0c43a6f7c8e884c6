"""The settings of JAX under which a task's data are drawn, whatever the caller's settings are."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax


@contextlib.contextmanager
def default_settings() -> Iterator[None]:
    """JAX's defaults for everything that decides what is drawn, and in which dtype.

    A program may set JAX to 64 bits, to another way of drawing (``jax_threefry_partitionable``),
    or to strict promotion. A task's data stay float32 and int32, and are the same numbers, inside
    a function that the caller compiles too. (How many random bits make a number depends on its
    dtype: float64 would give not finer data, but other data.)
    """
    with (
        jax.enable_x64(False),
        jax.threefry_partitionable(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield


def under_default_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, made to run under ``default_settings`` always."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        with default_settings():
            return function(*arguments, **options)

    return call
