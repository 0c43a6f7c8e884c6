"""Forecasting a series: windows, splits, scalers and baselines, in NumPy.

A series is ``[T]``, or ``[T, D]`` in columns, in order of time. Nothing here looks ahead: scalers
and baselines are fitted to the training part that they are given, and a forecast ``horizon`` steps
ahead of its origin is made from the values up to it.
"""

from lstm_jax.train.series.baselines import (
    ewma,
    last_value,
    linear,
    log_har,
    moving_average,
    seasonal_naive,
)
from lstm_jax.train.series.forecasting import Baseline, Part, forecasts, with_quantiles
from lstm_jax.train.series.scalers import Scale, Scaler, log, minmax, standard
from lstm_jax.train.series.splits import ExpandingWindow, expanding_splits
from lstm_jax.train.series.values import fill_last
from lstm_jax.train.series.volatility import parkinson
from lstm_jax.train.series.windows import origins, windows

__all__ = [
    "Baseline",
    "ExpandingWindow",
    "Part",
    "Scale",
    "Scaler",
    "ewma",
    "expanding_splits",
    "fill_last",
    "forecasts",
    "last_value",
    "linear",
    "log",
    "log_har",
    "minmax",
    "moving_average",
    "origins",
    "parkinson",
    "seasonal_naive",
    "standard",
    "windows",
    "with_quantiles",
]
