"""What a series is: numbers ``[T]``, or ``[T, D]`` in D columns, in order of time; checked."""

from typing import Any

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue


def numbers(argument: str, values: Any) -> np.ndarray:
    """``values [T]`` or ``[T, D]`` as float64, at least one step of them; NaN may be among them."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise WrongType(f"{argument}: expected numbers [T] or [T, D], got {values!r}") from None
    if array.ndim not in (1, 2):
        raise WrongValue(f"{argument}: expected [T] or [T, D], got shape {array.shape}")
    if array.size == 0:
        raise WrongValue(f"{argument}: expected one step or more, got shape {array.shape}")
    return array


def require_finite(
    argument: str, values: np.ndarray, hint: str = "fill_last repeats the last known number"
) -> None:
    """Raises ValueError that names the row and the column of the first NaN or infinity; ``hint`` is
    what helps against NaN."""
    bad = ~np.isfinite(values)
    if bad.any():
        place = np.argwhere(bad)[0]
        column = f", column {place[1]}" if values.ndim == 2 else ""
        hint = f" ({hint})" if np.isnan(values[bad][0]) else ""
        raise WrongValue(
            f"{argument}: expected finite numbers{hint}, got {values[bad][0]} in row "
            f"{place[0]}{column}, and {int(bad.sum())} in all"
        )


def whole(argument: str, value: Any) -> int:
    """Returns ``value`` as an int of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise WrongType(f"{argument}: expected a whole number, got {value!r}")
    if value < 0:
        raise WrongValue(f"{argument}: expected a whole number from 0 up, got {value}")
    return int(value)


def column_of(argument: str, column: Any, count: int) -> int:
    """Returns ``column`` if it is one of ``count`` columns, counted from 0."""
    if whole(argument, column) >= count:
        raise WrongValue(f"{argument}: expected one of {count} columns, 0 to {count - 1}, "
                         f"got {column}")  # fmt: skip
    return int(column)


def fill_last(values: Any, *, first: float | None = None) -> np.ndarray:
    """``values`` with each NaN replaced by the last number before it in its column, as a forecaster
    at that time would know it.

    Args:
        values: ``[T]`` or ``[T, D]``.
        first: what stands before the first number of a column; by default NaN there is an error.
    """
    array = numbers("values", values)
    table = array.reshape(len(array), -1)
    known = ~np.isnan(table)
    last = np.maximum.accumulate(np.where(known, np.arange(len(table))[:, None], -1), axis=0)
    filled = np.take_along_axis(table, np.maximum(last, 0), axis=0)
    if first is not None:
        filled = np.where(last < 0, checking.real("first", first), filled)
    elif (last < 0).any():
        where = "" if array.ndim == 1 else f" in column {int(np.argmax(last[0] < 0))}"
        raise WrongValue(f"values: expected a number in row 0{where} to fill from, or the argument "
                         "first, got nan")  # fmt: skip
    return filled.reshape(array.shape)
