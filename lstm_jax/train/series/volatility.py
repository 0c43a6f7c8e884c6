"""Volatility from daily prices."""

from typing import Any

import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.train.series import values as series


def parkinson(high: Any, low: Any) -> np.ndarray:
    """The variance of a day's return from its range, ``ln(high / low)² / (4 ln 2)`` (Parkinson
    1980): about five times as precise as the squared return.

    Args:
        high, low: positive prices ``[T]``. Where they are equal, the variance is 0, of which QLIKE
            is infinite.
    """
    high, low = series.numbers("high", high), series.numbers("low", low)
    if high.ndim != 1 or high.shape != low.shape:
        raise WrongValue(f"low: expected the shape of high, [T], got {low.shape} and {high.shape}")
    wrong = ~((low > 0) & (high >= low) & np.isfinite(high))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise WrongValue(f"high: expected finite prices, high at or above low, low above 0, got "
                         f"{high[row]} and {low[row]} in row {row}")  # fmt: skip
    return np.log(high / low) ** 2 / (4 * np.log(2))
