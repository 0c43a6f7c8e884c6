"""Daily prices of a stock index."""

import datetime
import os

import numpy as np

from lstm_jax._internal import checking
from lstm_jax.tasks import files
from lstm_jax.tasks.series.table import Series, check_order, read_rows

NAME = "sp500.csv"
HEADER = ("Date", "Open", "High", "Low", "Close", "Volume")
PUBLISHED = files.Published(
    task="sp500",
    folder="stock",
    address="https://raw.githubusercontent.com/jaungiers/"
    "LSTM-Neural-Network-for-Time-Series-Prediction/master/data/",
    checksums={NAME: "b11593884d3aef8cb6d5671352db4203498251e624e6fee16ae6df32b66db9d7"},
)


def sp500(*, folder: str | os.PathLike[str] | None = None, verify: bool = True) -> Series:
    """The S&P 500, 4,697 trading days from 2000-01-03 to 2018-08-31.

    Columns: ``open``, ``high``, ``low``, ``close`` (index points) and ``volume`` (shares). Days
    without trade are not there.

    On 2015 to 2018 the last close forecasts the next one with an R² of 0.996, so that a high R² on
    prices says nothing about a model. Forecast returns, which hardly can be, or volatility.

    Args:
        folder: has the file ``sp500.csv``. None: the folder ``stock`` in the one that
            LSTM_JAX_DATA names, or a download, as in ``files.find``.
        verify: compare the file's SHA-256 with the published one. Downloads always are compared.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    path = files.find(NAME, PUBLISHED, folder, checking.flag("verify", verify))
    rows = read_rows(path, HEADER)
    days = [row.parse(0, "a date as 31-01-00, the day first", day_first) for row in rows]
    dates = np.array(days, "datetime64[D]")
    check_order(dates, rows)
    values = np.array(
        [[row.real(at, name) for at, name in enumerate(HEADER) if at > 0] for row in rows]
    )
    return Series(dates, values, tuple(name.lower() for name in HEADER[1:]))


def day_first(text: str) -> datetime.date:
    """Years 69 to 99 belong to the last century, as in POSIX."""
    return datetime.datetime.strptime(text, "%d-%m-%y").date()
