"""The settings of JAX under which a task's data are drawn, whatever the caller's are."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax


@contextlib.contextmanager
def default_settings() -> Iterator[None]:
    """JAX's defaults for all that decides what is drawn, and in which dtype.

    A program may hold JAX at 64 bits, at another way of drawing (``jax_threefry_partitionable``),
    or at strict promotion. A task's data stay float32 and int32, and are the same numbers, inside
    a function that the caller compiles too. (How many random bits make a number depends on its
    dtype: float64 would not be finer data but other ones.)
    """
    with (
        jax.enable_x64(False),
        jax.threefry_partitionable(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield


def under_default_settings(function: Callable) -> Callable:
    """``function``, which is always called under ``default_settings``."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        with default_settings():
            return function(*arguments, **options)

    return call
