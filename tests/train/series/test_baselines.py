"""Baselines against loops and scikit-learn, and that they look at the past alone."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

from lstm_jax.train import losses, series

RNG = np.random.default_rng(0)
ONE = np.exp(0.1 * RNG.normal(size=120).cumsum())
TABLE = RNG.normal(size=(120, 3)).cumsum(axis=0)
ROWS = np.arange(90, 120)
EVERY = {
    "last_value": series.last_value(),
    "seasonal_naive": series.seasonal_naive(7),
    "moving_average": series.moving_average(5),
    "ewma": series.ewma(0.8),
    "linear": series.linear(4),
    "ridge": series.linear(4, ridge=2.0),
    "logs": series.linear(4, logs=True),
    "changes": series.linear(4, changes=True),
    "log changes": series.linear(4, logs=True, changes=True),
    "log_har": series.log_har((1, 3, 9)),
    "log_har of logs": series.log_har((1, 3, 9), mean_of_logs=True),
}


@pytest.mark.parametrize("horizon", [1, 3, 7, 10])
def test_rules(horizon):
    def found(baseline):
        return series.forecasts(baseline, ONE, train=90, rows=ROWS, horizon=horizon)

    known = ROWS - horizon
    np.testing.assert_array_equal(found(series.last_value()), ONE[known])
    means = [ONE[t - 4 : t + 1].mean() for t in known]
    np.testing.assert_allclose(found(series.moving_average(5)), means)
    seasonal = []
    for row in ROWS:
        back = 7
        while back < horizon:
            back += 7
        seasonal.append(ONE[row - back])
    np.testing.assert_array_equal(found(series.seasonal_naive(7)), seasonal)
    weights = [0.2 * 0.8**k for k in range(120)]
    expected = [sum(weights[k] * ONE[t - k] for k in range(t)) + 0.8**t * ONE[0] for t in known]
    np.testing.assert_allclose(found(series.ewma(0.8)), expected)


def pairs(table, horizon, lags, until, first=0):
    """Lagged inputs and their targets' steps, of targets before ``until``."""
    steps = range(lags - 1 + horizon + first, until)
    x = [np.concatenate([table[t - horizon - lag] for lag in range(lags)]) for t in steps]
    return np.array(x), np.array(steps)


@pytest.mark.parametrize("horizon", [1, 6])
@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_linear_is_scikit_learns(horizon, ridge):
    found = series.forecasts(
        series.linear(4, ridge=ridge), TABLE, train=90, rows=ROWS, horizon=horizon, column=2
    )
    x, steps = pairs(TABLE, horizon, 4, 120)
    train = steps < 90
    scale = StandardScaler().fit(x[train])
    model = Ridge(alpha=ridge) if ridge else LinearRegression()
    model.fit(scale.transform(x[train]), TABLE[steps[train], 2])
    np.testing.assert_allclose(found, model.predict(scale.transform(x[~train])), rtol=1e-8)


@pytest.mark.parametrize("horizon", [1, 5])
def test_linear_of_log_changes(horizon):
    found = series.forecasts(EVERY["log changes"], ONE, train=90, rows=ROWS, horizon=horizon)
    logs = np.log(ONE)
    x, steps = pairs(np.diff(logs, prepend=np.nan)[:, None], horizon, 4, 120, first=1)
    y = logs[steps] - logs[steps - horizon]
    model = LinearRegression().fit(x[steps < 90], y[steps < 90])
    expected = ONE[ROWS - horizon] * np.exp(model.predict(x[steps >= 90]))
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("of_logs", [False, True])
def test_log_har(of_logs):
    baseline = series.log_har((1, 5, 22), mean_of_logs=of_logs)
    found = series.forecasts(baseline, ONE, train=90, rows=ROWS)

    def means(t):
        parts = [ONE[t - width : t] for width in (1, 5, 22)]
        return [np.log(p).mean() if of_logs else np.log(p.mean()) for p in parts]

    x, y = np.array([means(t) for t in range(22, 120)]), np.log(ONE[22:])
    model = LinearRegression().fit(x[:68], y[:68])
    smearing = np.exp(y[:68] - model.predict(x[:68])).mean()
    np.testing.assert_allclose(found, np.exp(model.predict(x[68:])) * smearing, rtol=1e-8)


def test_targets_that_are_missing_do_not_count():
    targets = np.where(RNG.random(120) < 0.3, np.nan, TABLE[:, 1])
    found = series.forecasts(
        series.linear(2), TABLE, train=90, rows=ROWS, column=1, targets=targets
    )
    x, steps = pairs(TABLE, 1, 2, 120)
    train = (steps < 90) & np.isfinite(targets[steps])
    model = LinearRegression().fit(x[train], targets[steps[train]])
    np.testing.assert_allclose(found, model.predict(x[steps >= 90]), rtol=1e-8)


def test_a_constant_input_counts_for_nothing():
    table = np.stack([ONE, np.full(120, 0.1)], axis=1)
    for ridge in (0.0, 1.0):
        baseline = series.linear(3, ridge=ridge)
        alone = series.forecasts(baseline, ONE, train=90, rows=ROWS)
        np.testing.assert_allclose(
            series.forecasts(baseline, table, train=90, rows=ROWS), alone, rtol=1e-9
        )


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("horizon", [1, 4])
def test_the_past_alone(name, horizon):
    """What comes after an origin changes no forecast, and what comes after training no fit."""
    baseline = series.with_quantiles(EVERY[name], [0.1, 0.9])
    before = series.forecasts(baseline, ONE, train=60, rows=ROWS, horizon=horizon)
    for cut in (95, 100):
        early = cut >= ROWS
        changed = ONE.copy()
        changed[cut - horizon + 1 :] += 100
        after = series.forecasts(baseline, changed, train=60, rows=ROWS, horizon=horizon)
        np.testing.assert_array_equal(after[early], before[early])
    first = baseline.first_origin(horizon) + horizon
    earliest = series.forecasts(baseline, ONE, train=60, rows=[first], horizon=horizon)
    assert np.isfinite(earliest).all()
    with pytest.raises(ValueError, match=f"rows: expected steps from {first}, the first that"):
        series.forecasts(baseline, ONE, train=60, rows=[first - 1], horizon=horizon)


def test_quantiles_are_those_of_the_training_errors():
    levels = (0.05, 0.5, 0.95)
    found = series.forecasts(
        series.with_quantiles(series.last_value(), levels), ONE, train=90, rows=ROWS, horizon=2
    )
    errors = np.quantile(ONE[2:90] - ONE[:88], levels)
    np.testing.assert_allclose(found, ONE[ROWS - 2][:, None] + errors)
    assert losses.pinball(levels)(found, ONE[ROWS]).shape == (30,)


NAN = np.where(np.arange(120) == 17, np.nan, ONE)


def holed(table, row, column):
    table = table.copy()
    table[row, column] = np.nan
    return table


@pytest.mark.parametrize(
    "values, options, match",
    [
        (NAN, {}, r"finite numbers \(fill_last .*got nan in row 17, and 1 in all"),
        (holed(TABLE, 5, 2), {}, "got nan in row 5, column 2"),
        (ONE, {"horizon": 0}, "horizon: expected a positive integer"),
        (ONE, {"train": 4}, "train: expected more than 4 steps, .* at horizon 1, got 4"),
        (ONE, {"train": 121}, "train: expected at most the 120 steps"),
        (ONE, {"rows": [120]}, "to 119, got 120 to 120"),
        (ONE, {"rows": []}, r"rows: expected an array \[N\] of steps"),
        (ONE, {"rows": [1.5]}, r"rows: expected an array \[N\] of steps"),
        (TABLE, {"column": 3}, "column: expected one of 3 columns"),
        (ONE, {"targets": ONE[:-1]}, r"targets: expected \[T\] of 120 steps"),
        (ONE, {"targets": ONE * np.nan}, "targets: expected numbers to fit .*, got none"),
    ],
)
def test_checks(values, options, match):
    with pytest.raises(ValueError, match=match):
        series.forecasts(series.linear(4), values, **{"train": 90, "rows": ROWS, **options})


def test_checks_of_options():
    def run(baseline, values):
        return series.forecasts(baseline, values, train=90, rows=ROWS)

    with pytest.raises(ValueError, match=r"expected one column for linear .*, got 3"):
        run(EVERY["logs"], TABLE)
    with pytest.raises(ValueError, match=r"expected positive numbers .* of log-HAR, got"):
        run(series.log_har(), TABLE[:, 0])
    with pytest.raises(TypeError, match="baseline: expected one such as"):
        run(series.linear, ONE)
    for make, match in [
        (lambda: series.linear(0), "lags: expected a positive integer"),
        (lambda: series.linear(2, ridge=-1.0), "ridge: expected 0 or more"),
        (lambda: series.ewma(1.0), "decay: expected a number between 0 and 1"),
        (lambda: series.seasonal_naive(0), "season: expected a positive integer"),
        (lambda: series.log_har(()), "widths: expected numbers of days"),
    ]:
        with pytest.raises(ValueError, match=match):
            make()


def test_parkinson():
    high, low = np.array([10.0, 12.0, 11.0]), np.array([9.0, 10.0, 11.0])
    expected = [math.log(h / lo) ** 2 / (4 * math.log(2)) for h, lo in zip(high, low, strict=True)]
    np.testing.assert_allclose(series.parkinson(high, low), expected, rtol=1e-12)
    for wrong, match in [
        (low[:2], "low: expected the shape of high"),
        (low + 2, "high at or above low, low above 0, got 10.0 and 11.0 in row 0"),
        (low * [1, 0, 1], "got 12.0 and 0.0 in row 1"),
        (low * [1, 1, np.nan], "got 11.0 and nan in row 2"),
    ]:
        with pytest.raises(ValueError, match=match):
            series.parkinson(high, wrong)


def test_parkinson_measures_the_variance_of_a_random_walk():
    steps = 0.01 / math.sqrt(2000) * RNG.normal(size=(400, 2000))
    paths = np.exp(steps.cumsum(axis=1))
    found = series.parkinson(paths.max(axis=1), paths.min(axis=1)).mean()
    assert found == pytest.approx(1e-4, rel=0.12)  # its range is a little less, seen at steps
