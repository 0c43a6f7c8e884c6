"""Windows of a series, each with what comes after it."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.train.data.dataset import Dataset, Missing, Per
from lstm_jax.train.series import values as series


def windows(
    values: Any,
    *,
    length: int,
    horizon: int | Sequence[int] = 1,
    stride: int = 1,
    targets: Any = None,
    per: Per = "sequence",
    missing: Missing = "error",
) -> Dataset:
    """A data set of the windows of a series, in order of time, each with what comes after it.

    Row i sees ``length`` steps, to step ``origins(T, ...)[i]``, and its target is ``horizon`` steps
    later. Nothing is copied: the rows are views of one array.

        data = series.windows(values, length=24, horizon=6)
        for train, test in series.expanding_splits(len(data), first=800, step=100, gap=5):
            train.fit(model, data.take(train), ...)

    Args:
        values: ``[T]`` or ``[T, D]``.
        length: the steps of a window.
        horizon: how many steps after the window the target is; or several such numbers, each of
            which is a target.
        stride: the steps from one window to the next.
        targets: the column of ``values`` that is forecast, or a list of columns; or an array of
            numbers ``[T]`` or ``[T, K]``, such as those before they were filled or scaled. Of
            several horizons and several columns, the columns of the first horizon come first.
        per: whether a target follows each window, or each "step" of it, ``horizon`` steps later.
        missing: as in ``Dataset``: "error", or "mask" for targets that are NaN and do not count.

    Returns:
        Inputs ``[N, length, D]``, and targets ``[N]`` of one horizon and one column, or ``[N, K]``;
        of every step ``[N, length]`` or ``[N, length, K]``.

    Raises:
        ValueError or TypeError: naming the argument, and the row and column of a NaN in the series.
    """
    checking.choice("missing", missing, ("error", "mask"))
    array = series.numbers("values", values)
    found = cut(array, length=length, horizon=horizon, stride=stride, targets=targets, per=per)
    if missing == "error":
        series.require_finite("values", array)
        if isinstance(targets, np.ndarray):
            used = np.zeros(len(array), bool)
            used[found.steps] = True
            wanted = series.numbers("targets", targets)
            series.require_finite(
                "targets",
                np.where(used.reshape(-1, *[1] * (wanted.ndim - 1)), wanted, 0.0),
                hint="missing='mask' leaves them out",
            )
    return Dataset(found.inputs, found.targets, per=per, missing=missing, in_time_order=True)


def origins(
    steps: int, *, length: int, horizon: int | Sequence[int] = 1, stride: int = 1
) -> np.ndarray:
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


class Windows(NamedTuple):
    """The arrays of ``windows``.

    inputs: ``[N, length, D]``, a view.
    targets: ``[N]`` or ``[N, K]``, with an axis of ``length`` before K if every step has one.
    steps: the steps of the series that the targets are taken from, in any shape.
    """

    inputs: np.ndarray
    targets: np.ndarray
    steps: np.ndarray


def cut(
    values: Any,
    *,
    length: int,
    horizon: Any = 1,
    stride: int = 1,
    targets: Any = None,
    per: str = "sequence",
) -> Windows:
    """The arrays of ``windows``, whose NaN are not looked at."""
    array = series.numbers("values", values)
    table = array.reshape(len(array), -1)
    ends = origins(len(table), length=length, horizon=horizon, stride=stride)
    checking.choice("per", per, ("sequence", "step"))
    views = np.lib.stride_tricks.sliding_window_view(table, length, axis=0)  # [.., D, length]
    inputs = views[: ends[-1] - length + 2 : stride].swapaxes(1, 2)
    wanted, one_column = _targets(array, targets)
    at = ends[:, None] + horizons("horizon", horizon)  # [N, horizons]
    if per == "step":
        at = at[:, None] + np.arange(1 - length, 1)[:, None]
    found = wanted[at]  # [.., horizons, columns]
    if one_column and not _is_several(horizon):
        return Windows(inputs, found[..., 0, 0], at)
    return Windows(inputs, found.reshape(*found.shape[:-2], -1), at)


def horizons(argument: str, value: Any) -> np.ndarray:
    """``value`` as an array of rising positive integers, checked."""
    several = _is_several(value)
    if several and (np.ndim(value) != 1 or len(value) == 0):
        raise WrongValue(f"{argument}: expected an integer or several, got {value!r}")
    ahead = [checking.positive_int(argument, item) for item in (value if several else [value])]
    if any(after <= before for before, after in itertools.pairwise(ahead)):
        raise WrongValue(f"{argument}: expected rising integers, got {value!r}")
    return np.array(ahead)


def _is_several(horizon: Any) -> bool:
    return isinstance(horizon, Sequence | np.ndarray) and not isinstance(horizon, str)


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
