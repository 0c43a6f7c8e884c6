"""The baselines' numbers on real series, computed before by other means."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from lstm_jax.train import metrics, series

pytestmark = pytest.mark.skipif(
    "LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder"
)


def read(name, *columns):
    with open(Path(os.environ["LSTM_JAX_DATA"]) / name) as file:
        rows = [*csv.DictReader(file)]
    numbers = [[row[c].replace("NA", "nan") for c in columns] for row in rows]
    return np.array(numbers, float).squeeze(-1) if len(columns) == 1 else np.array(numbers, float)


def rmse(baseline, values, count, **options):
    rows = np.arange(len(values) - count, len(values))
    found = series.forecasts(baseline, values, train=rows[0], rows=rows, **options)
    return metrics.measure("rmse", found, values[rows])["rmse"]


def test_sunspots():
    values = read("timeseries/monthly-sunspots.csv", "Sunspots")
    assert rmse(series.last_value(), values, 564) == pytest.approx(20.09, abs=0.005)
    assert rmse(series.seasonal_naive(132), values, 564) == pytest.approx(45.44, abs=0.005)
    assert rmse(series.linear(24), values, 564) == pytest.approx(18.21, abs=0.005)


def test_temperatures():
    values = read("timeseries/daily-min-temperatures.csv", "Temp")
    assert rmse(series.last_value(), values, 730) == pytest.approx(2.481, abs=0.0005)
    assert rmse(series.seasonal_naive(365), values, 730) == pytest.approx(3.728, abs=0.0005)
    assert rmse(series.linear(30), values, 730) == pytest.approx(2.211, abs=0.0005)


def test_airline():
    values = read("timeseries/airline-passengers.csv", "Passengers")
    of_changes = series.linear(12, logs=True, changes=True)
    assert rmse(series.last_value(), values, 48) == pytest.approx(48.0, abs=0.05)
    assert rmse(of_changes, values, 48) == pytest.approx(15.05, abs=0.005)


@pytest.mark.parametrize(
    "horizon, last, linear", [(1, 22.14, 21.31), (6, 61.67, 54.20), (24, 99.50, 82.24)]
)
def test_pm_25(horizon, last, linear):
    name = "timeseries/pollution.csv"
    table = read(name, "pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir")
    with open(Path(os.environ["LSTM_JAX_DATA"]) / name) as file:
        rows = [*csv.DictReader(file)]
    wind, years = np.array([row["cbwd"] for row in rows]), np.array([row["year"] for row in rows])
    observed = table[:, 0]
    one_hot = wind[:, None] == np.unique(wind)
    values = series.fill_last(np.concatenate([table, one_hot], axis=1), first=0)
    test = np.flatnonzero(years == "2014")  # of which 661 hours were not observed
    for baseline, expected in ((series.last_value(), last), (series.linear(24, ridge=10), linear)):
        found = series.forecasts(
            baseline,
            values,
            train=int(np.argmax(years == "2014")),
            rows=test,
            horizon=horizon,
            targets=observed,
        )
        error = metrics.measure("rmse", found, observed[test])["rmse"]
        assert error == pytest.approx(expected, abs=0.005), baseline.name


def test_volatility():
    name = "stock/sp500.csv"
    variances = series.parkinson(*read(name, "High", "Low").T)
    with open(Path(os.environ["LSTM_JAX_DATA"]) / name) as file:
        years = [row["Date"][-2:] for row in csv.DictReader(file)]
    rows = np.arange(years.index("15"), len(years))
    for baseline, expected, digits in (
        (series.last_value(), 0.797, 3),
        (series.ewma(0.94), 0.5035, 4),
        (series.log_har(mean_of_logs=True), 0.456, 3),
        (series.log_har(), 0.436, 3),
    ):
        found = series.forecasts(baseline, variances, train=rows[0], rows=rows)
        value = metrics.measure("qlike", found, variances[rows])["qlike"]
        assert value == pytest.approx(expected, abs=0.5 * 10**-digits), baseline.name
