"""Windows of a series, each with what comes after it."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.train.series import values as series


class Windows(NamedTuple):
    """The arrays behind ``windows``; views of the series where they can be."""

    inputs: np.ndarray  # [N, length, D]
    targets: np.ndarray  # [N] or [N, K], or with an axis of steps [N, length] or [N, length, K]


def origins(steps: int, *, length: int, horizon: Any = 1, stride: int = 1) -> np.ndarray:
    """The step at which each row of ``windows`` ends ``[N]``, of a series of ``steps`` steps: the
    origin of its forecasts. What it forecasts is at ``origins(...) + horizon``."""
    steps = checking.positive_int("steps", steps)
    length = checking.positive_int("length", length)
    stride = checking.positive_int("stride", stride)
    farthest = horizons("horizon", horizon)[-1]
    if length + farthest > steps:
        raise WrongValue(
            f"length: expected windows and horizons within {steps} steps, got length {length} and "
            f"horizon {farthest}, which take {length + farthest}"
        )
    return np.arange(length - 1, steps - farthest, stride)


def cut(
    values: Any, *, length: int, horizon: Any = 1, stride: int = 1, targets: Any = None,
    per: str = "sequence",
) -> Windows:  # fmt: skip
    """The arrays of ``windows``."""
    array = series.numbers("values", values)
    table = array.reshape(len(array), -1)
    ends = origins(len(table), length=length, horizon=horizon, stride=stride)
    checking.choice("per", per, ("sequence", "step"))
    views = np.lib.stride_tricks.sliding_window_view(table, length, axis=0)  # [.., D, length]
    inputs = views[ends - length + 1].swapaxes(1, 2)
    wanted, one_column = _targets(array, targets)
    ahead = horizons("horizon", horizon)
    at = ends[:, None] + ahead  # [N, horizons]
    if per == "step":
        at = at[:, None] + np.arange(1 - length, 1)[:, None]
    found = wanted[at]  # [.., horizons, columns]
    one_horizon = not isinstance(horizon, Sequence | np.ndarray | range)
    if one_column and one_horizon:
        return Windows(inputs, found[..., 0, 0])
    return Windows(inputs, found.reshape(*found.shape[:-2], -1))


def horizons(argument: str, value: Any) -> np.ndarray:
    """``value`` as an array of rising positive integers, checked."""
    several = isinstance(value, Sequence | np.ndarray | range) and not isinstance(value, str)
    if several and (np.ndim(value) != 1 or len(value) == 0):
        raise WrongValue(f"{argument}: expected an integer or several, got {value!r}")
    ahead = [checking.positive_int(argument, item) for item in (value if several else [value])]
    if any(after <= before for before, after in itertools.pairwise(ahead)):
        raise WrongValue(f"{argument}: expected rising integers, got {value!r}")
    return np.array(ahead)


def _targets(values: np.ndarray, targets: Any) -> tuple[np.ndarray, bool]:
    """The series ``[T, K]`` that is forecast, and whether K is 1 without an axis of its own."""
    columns = 1 if values.ndim == 1 else values.shape[1]
    table = values.reshape(len(values), columns)
    if targets is None:
        if columns > 1:
            raise WrongValue(f"targets: expected which of {columns} columns to forecast, got None")
        return table, True
    if isinstance(targets, np.ndarray):
        wanted = series.numbers("targets", targets)
        if len(wanted) != len(values):
            raise WrongValue(f"targets: expected {len(values)} steps, as values has, "
                             f"got {len(wanted)}")  # fmt: skip
        return wanted.reshape(len(wanted), -1), wanted.ndim == 1
    if isinstance(targets, list | tuple) and targets:
        chosen = [series.column_of("targets", column, columns) for column in targets]
        return table[:, chosen], False
    if isinstance(targets, int | np.integer) and not isinstance(targets, bool):
        return table[:, [series.column_of("targets", targets, columns)]], True
    raise WrongType(f"targets: expected a column, several, or an array, got {targets!r}")
