"""What a series is: numbers ``[T]`` or ``[T, K]`` in order of time, checked."""

from typing import Any

import numpy as np

from lstm_jax._internal.errors import WrongType, WrongValue


def numbers(argument: str, values: Any) -> np.ndarray:
    """``values [T]`` or ``[T, K]`` as float64, checked to be numbers."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise WrongType(f"{argument}: expected numbers [T] or [T, K], got {values!r}") from None
    if array.ndim not in (1, 2):
        raise WrongValue(f"{argument}: expected [T] or [T, K], got shape {array.shape}")
    return array
