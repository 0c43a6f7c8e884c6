"""Named baselines, which a net has to beat before anything is claimed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.train.series.forecasting import Baseline, Part, training_pairs


def last_value() -> Baseline:
    """The value at the origin: the best there is for a random walk."""

    def apply(fitted: Any, part: Part, origins: np.ndarray) -> np.ndarray:
        return part.column_values[origins]

    return Baseline("last value", _nothing, apply, lambda horizon: 0)


def seasonal_naive(season: int) -> Baseline:
    """The last known value of the same phase: ``season`` steps before what is forecast, or twice as
    many and so on beyond one season."""
    season = checking.positive_int("season", season)

    def back(horizon: int) -> int:
        return season * -(-horizon // season) - horizon

    def apply(fitted: Any, part: Part, origins: np.ndarray) -> np.ndarray:
        return part.column_values[origins - back(part.horizon)]

    return Baseline(f"seasonal naive ({season})", _nothing, apply, back)


def moving_average(width: int) -> Baseline:
    """The mean of the last ``width`` values."""
    width = checking.positive_int("width", width)

    def apply(fitted: Any, part: Part, origins: np.ndarray) -> np.ndarray:
        return _means(part.column_values, width)[origins - width + 1]

    return Baseline(f"mean of {width}", _nothing, apply, lambda horizon: width - 1)


def ewma(decay: float = 0.94) -> Baseline:
    """The exponentially weighted mean ``m = decay m + (1 - decay) x``, from the first value on;
    0.94 is RiskMetrics' for daily variances (J. P. Morgan 1996)."""
    if not 0 < checking.real("decay", decay) < 1:
        raise WrongValue(f"decay: expected a number between 0 and 1, got {decay!r}")

    def apply(fitted: Any, part: Part, origins: np.ndarray) -> np.ndarray:
        means = part.column_values.copy()
        for step in range(1, len(means)):
            means[step] = decay * means[step - 1] + (1 - decay) * means[step]
        return means[origins]

    return Baseline(f"EWMA ({decay:g})", _nothing, apply, lambda horizon: 0)


def linear(lags: int, *, ridge: float = 0.0, logs: bool = False, changes: bool = False) -> Baseline:
    """Least squares on the last ``lags`` values of all columns, fitted for the horizon itself: an
    autoregression AR(lags) if there is one column.

    Args:
        ridge: how much the squared coefficients of the inputs count, each scaled to a standard
            deviation of 1 on the training part; 0 for ordinary least squares.
        logs: of the logarithms of a positive series of one column. The forecast is the exponential
            of that of the logarithm, and so nearer to the median than to the mean.
        changes: of the changes from step to step, of one column; what is fitted is the change from
            the origin to the horizon.
    """
    lags = checking.positive_int("lags", lags)
    if checking.real("ridge", ridge) < 0:
        raise WrongValue(f"ridge: expected 0 or more, got {ridge!r}")
    logs, changes = checking.flag("logs", logs), checking.flag("changes", changes)
    needs = lags if changes else lags - 1
    name = f"linear ({lags} lags{', logs' * logs}{', changes' * changes})"

    def transformed(part: Part) -> np.ndarray:
        if (logs or changes) and part.values.shape[1] > 1:
            raise WrongValue(f"values: expected one column for {name}, got {part.values.shape[1]}")
        return _log("values", part.values, name) if logs else part.values

    def inputs(table: np.ndarray, origins: np.ndarray) -> np.ndarray:
        if changes:  # change t is that from step t - 1 to step t
            table = np.concatenate([np.zeros((1, 1)), np.diff(table, axis=0)])
        return np.concatenate([table[origins - lag] for lag in range(lags)], axis=1)

    def fit(part: Part, targets: np.ndarray) -> Any:
        table = transformed(part)
        origins, found = training_pairs(needs, part, targets, name)
        found = _log("targets", found, name) if logs else found
        base = table[origins, 0] if changes else 0.0
        return least_squares(inputs(table, origins), found - base, ridge)

    def apply(fitted: Any, part: Part, origins: np.ndarray) -> np.ndarray:
        table = transformed(part)
        bias, weights = fitted
        found = bias + inputs(table, origins) @ weights + (table[origins, 0] if changes else 0.0)
        return np.exp(found) if logs else found

    return Baseline(name, fit, apply, lambda horizon: needs)


def log_har(widths: Sequence[int] = (1, 5, 22), *, mean_of_logs: bool = False) -> Baseline:
    """The heterogeneous autoregression of a variance, in logarithms: least squares of the next one
    on the means over a day, a week and a month (Corsi 2009; Andersen, Bollerslev & Diebold 2007,
    section 2, in logarithms).

    The forecast is the exponential times the mean of the training part's exponential errors, so
    that it is one of the mean (Duan 1983).

    Args:
        widths: the days that the means are taken over.
        mean_of_logs: whether means are taken of logarithms; as published, logarithms are taken of
            means.
    """
    days = [checking.positive_int("widths", width) for width in widths]
    if not days:
        raise WrongValue(f"widths: expected numbers of days, got {widths!r}")
    mean_of_logs = checking.flag("mean_of_logs", mean_of_logs)
    needs, name = max(days) - 1, "log-HAR"

    def inputs(part: Part, origins: np.ndarray) -> np.ndarray:
        values = part.column_values
        logs = _log("values", values, name)
        if mean_of_logs:
            columns = [_means(logs, width)[origins - width + 1] for width in days]
        else:
            columns = [np.log(_means(values, width)[origins - width + 1]) for width in days]
        return np.stack(columns, axis=1)

    def fit(part: Part, targets: np.ndarray) -> Any:
        origins, found = training_pairs(needs, part, targets, name)
        found = _log("targets", found, name)
        x = inputs(part, origins)
        bias, weights = least_squares(x, found)
        return bias, weights, np.exp(found - bias - x @ weights).mean()

    def apply(fitted: Any, part: Part, origins: np.ndarray) -> np.ndarray:
        bias, weights, smearing = fitted
        return np.exp(bias + inputs(part, origins) @ weights) * smearing

    return Baseline(name, fit, apply, lambda horizon: needs)


def least_squares(x: np.ndarray, y: np.ndarray, ridge: float = 0.0) -> tuple[float, np.ndarray]:
    """``(bias, weights [P])`` of the least squares of ``y [N]`` on ``x [N, P]``, with ``ridge``
    times the squared weights of standardised inputs; the bias is free. Constant inputs count for
    nothing."""
    mean, size = x.mean(axis=0), x.std(axis=0)
    size = np.where(np.ptp(x, axis=0) == 0, 1.0, size)
    scaled = (x - mean) / size
    extra = np.sqrt(ridge) * np.eye(x.shape[1])[: x.shape[1] if ridge else 0]
    wanted = np.concatenate([y - y.mean(), np.zeros(len(extra))])
    weights = np.linalg.lstsq(np.concatenate([scaled, extra]), wanted, rcond=None)[0] / size
    return float(y.mean() - mean @ weights), weights


def _nothing(part: Part, targets: np.ndarray) -> None:
    """The fit of a rule that has nothing to fit."""


def _means(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of each ``width`` values in a row ``[T - width + 1]``."""
    return np.lib.stride_tricks.sliding_window_view(values, width).mean(axis=-1)


def _log(argument: str, values: np.ndarray, name: str) -> np.ndarray:
    if (values <= 0).any():
        raise WrongValue(
            f"{argument}: expected positive numbers for the logarithms of {name}, "
            f"got {values[values <= 0][0]:g}"
        )
    return np.log(values)
