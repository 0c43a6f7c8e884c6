"""Baselines: what a forecast is, and how one is made and compared."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.train import losses
from lstm_jax.train.series import values as series


class Part(NamedTuple):
    """A series, as a baseline sees it.

    values: ``[T, D]``, without NaN.
    column: the one that is forecast.
    horizon: how many steps ahead.
    """

    values: np.ndarray
    column: int
    horizon: int

    @property
    def column_values(self) -> np.ndarray:
        return self.values[:, self.column]


class Baseline(NamedTuple):
    """A forecaster by a simple rule: pure functions, in NumPy.

    name: what tables call it.
    fit: ``(part, targets) -> fitted``, from the training part alone, whose targets ``[T]`` are NaN
        where nobody knows them.
    apply: ``(fitted, part, origins) -> forecasts [N]`` of the steps ``origins + horizon``, from the
        values up to each origin.
    first_origin: ``(horizon) -> step``, the first origin with enough values before it.
    """

    name: str
    fit: Callable[[Part, np.ndarray], Any]
    apply: Callable[[Any, Part, np.ndarray], np.ndarray]
    first_origin: Callable[[int], int]


def forecasts(
    baseline: Baseline,
    values: Any,
    *,
    train: int,
    rows: Any,
    horizon: int = 1,
    column: int = 0,
    targets: Any = None,
) -> np.ndarray:
    """Forecasts ``[N]`` of the steps ``rows`` of a series, each made ``horizon`` steps before, in
    the form of a model's outputs (``[N, Q]`` of a baseline with quantiles).

        rows = np.arange(len(values) - 730, len(values))
        outputs = series.forecasts(series.linear(30), values, train=rows[0], rows=rows)
        rmse = math.sqrt(losses.mse(outputs, values[rows]).mean())

    Args:
        baseline: such as ``last_value()``.
        values: ``[T]`` or ``[T, D]``, in order of time; no NaN, which ``fill_last`` fills.
        train: how many steps, from the first on, the baseline is fitted to.
        rows: ``[N]`` steps.
        column: the column that is forecast.
        targets: ``[T]`` what it is fitted to: by default the column. Steps that are NaN do not
            count: give the series before it was filled.

    Raises:
        ValueError or TypeError: naming the argument.
    """
    if not isinstance(baseline, Baseline):
        raise WrongType(f"baseline: expected one such as last_value(), got {baseline!r}")
    array = series.numbers("values", values)
    series.require_finite("values", array)
    table = array.reshape(len(array), -1)
    horizon = checking.positive_int("horizon", horizon)
    column = series.column_of("column", column, table.shape[1])
    if checking.positive_int("train", train) > len(table):
        raise WrongValue(f"train: expected at most the {len(table)} steps of values, got {train}")
    aims = table[:, column] if targets is None else series.numbers("targets", targets)
    if aims.shape != (len(table),):
        raise WrongValue(f"targets: expected [T] of {len(table)} steps, got shape {aims.shape}")
    first = baseline.first_origin(horizon) + horizon
    if train <= first:
        raise WrongValue(f"train: expected more than {first} steps, which {baseline.name} takes "
                         f"at horizon {horizon}, got {train}")  # fmt: skip
    steps = _steps("rows", rows, first, len(table), baseline.name)
    fitted = baseline.fit(Part(table[:train], column, horizon), aims[:train])
    return baseline.apply(fitted, Part(table, column, horizon), steps - horizon)


def _steps(argument: str, rows: Any, first: int, count: int, name: str) -> np.ndarray:
    steps = np.asarray(rows)
    if steps.ndim != 1 or not np.issubdtype(steps.dtype, np.integer) or steps.size == 0:
        raise WrongValue(f"{argument}: expected an array [N] of steps, got {rows!r}")
    if steps.min() < first or steps.max() >= count:
        raise WrongValue(f"{argument}: expected steps from {first}, the first that {name} can "
                         f"forecast, to {count - 1}, got {steps.min()} to {steps.max()}"
                         )  # fmt: skip
    return steps


def training_pairs(
    baseline_first: int, part: Part, targets: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """The origins whose targets lie in the training part and are known, and these targets."""
    origins = np.arange(baseline_first, len(part.values) - part.horizon)
    found = targets[origins + part.horizon]
    known = np.isfinite(found)
    if not known.any():
        raise WrongValue(f"targets: expected numbers to fit {name} to, got none")
    return origins[known], found[known]


def with_quantiles(baseline: Baseline, levels: Sequence[float]) -> Baseline:
    """``baseline`` with quantile forecasts ``[N, Q]``: each forecast plus the quantiles of the
    errors that the baseline makes on its training part."""
    q = losses.quantile_levels("levels", levels)

    def fit(part: Part, targets: np.ndarray) -> Any:
        fitted = baseline.fit(part, targets)
        first = baseline.first_origin(part.horizon)
        origins, found = training_pairs(first, part, targets, baseline.name)
        errors = found - baseline.apply(fitted, part, origins)
        return fitted, np.quantile(errors, q)

    def apply(fitted: Any, part: Part, origins: np.ndarray) -> np.ndarray:
        inner, errors = fitted
        return baseline.apply(inner, part, origins)[:, None] + errors

    return Baseline(f"{baseline.name} with quantiles", fit, apply, baseline.first_origin)
