"""Time series: a value or several at each date.

Each is read from the folder that the environment variable LSTM_JAX_DATA names, or downloaded once
into the user's cache and compared with the published checksum. None has an official split: hold
back the end, never rows from between.
"""

from lstm_jax.tasks.series.air import AirQuality, air_quality
from lstm_jax.tasks.series.classics import airline, sunspots, temperatures
from lstm_jax.tasks.series.page_views import visitors
from lstm_jax.tasks.series.stocks import sp500
from lstm_jax.tasks.series.table import Series

__all__ = [
    "AirQuality",
    "Series",
    "air_quality",
    "airline",
    "sp500",
    "sunspots",
    "temperatures",
    "visitors",
]
