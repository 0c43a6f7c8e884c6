"""Three small series that many papers and tutorials use: one number per month or day."""

import datetime
import os

import numpy as np

from lstm_jax._internal import checking
from lstm_jax.tasks import files
from lstm_jax.tasks.series.table import Series, check_order, read_rows

PUBLISHED = files.Published(
    task="series",
    folder="timeseries",
    address="https://raw.githubusercontent.com/jbrownlee/Datasets/master/",
    checksums={
        "airline-passengers.csv": (
            "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621"
        ),
        "monthly-sunspots.csv": (
            "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3"
        ),
        "daily-min-temperatures.csv": (
            "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da"
        ),
    },
)


def airline(*, folder: str | os.PathLike[str] | None = None, verify: bool = True) -> Series:
    """Passengers of international airlines, 144 months from 1949-01 to 1960-12 (Box & Jenkins
    1976, series G).

    One column, ``passengers``, in thousands. It grows, and its yearly waves grow with it: take
    logarithms. The last 48 months are a common test; an AR(12) on differences of logarithms has
    an RMSE of 15.05 there, one month ahead, and the last value 48.0.

    Args:
        folder: has the file ``airline-passengers.csv``. None: the folder ``timeseries`` in the one
            that LSTM_JAX_DATA names, or a download, as in ``files.find``.
        verify: compare the file's SHA-256 with the published one. Downloads always are compared.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    return read("airline-passengers.csv", ("Month", "Passengers"), folder, verify)


def sunspots(*, folder: str | os.PathLike[str] | None = None, verify: bool = True) -> Series:
    """Monthly means of the Zürich sunspot numbers, 2,820 months from 1749-01 to 1983-12 (Andrews &
    Herzberg 1985).

    One column, ``sunspots``. The cycle takes about eleven years, and its length varies, so that
    the value 132 months ago is a bad forecast. An AR(24) has an RMSE of 18.21 on the last 564
    months, one month ahead, and the last value 20.09.

    Args:
        folder: has the file ``monthly-sunspots.csv``; otherwise as in ``airline``.
        verify: as in ``airline``.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``airline``.
    """
    return read("monthly-sunspots.csv", ("Month", "Sunspots"), folder, verify)


def temperatures(*, folder: str | os.PathLike[str] | None = None, verify: bool = True) -> Series:
    """Daily minimum temperatures in Melbourne, 3,650 days from 1981-01-01 to 1990-12-31
    (Australian Bureau of Meteorology).

    One column, ``temperature``, in °C. The last days of the leap years 1984 and 1988 are not in
    the file, so that every year has 365 rows. An AR(30) has an RMSE of 2.211 on the last 730
    days, one day ahead, and the last value 2.481.

    Other copies of the file have question marks before some numbers, which is an error here.

    Args:
        folder: has the file ``daily-min-temperatures.csv``; otherwise as in ``airline``.
        verify: as in ``airline``.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``airline``.
    """
    return read("daily-min-temperatures.csv", ("Date", "Temp"), folder, verify)


def read(
    name: str, header: tuple[str, str], folder: str | os.PathLike[str] | None, verify: bool
) -> Series:
    path = files.find(name, PUBLISHED, folder, checking.flag("verify", verify))
    rows = read_rows(path, header)
    monthly = header[0] == "Month"
    if monthly:
        days = [row.parse(0, "a month as 1949-01", first_day) for row in rows]
    else:
        days = [row.parse(0, "a date as 1981-01-31", datetime.date.fromisoformat) for row in rows]
    dates = np.array(days, "datetime64[D]").astype("datetime64[M]" if monthly else "datetime64[D]")
    check_order(dates, rows, step=1 if monthly else None)
    values = np.array([row.real(1, header[1]) for row in rows])[:, None]
    column = {"Temp": "temperature"}.get(header[1], header[1].lower())
    return Series(dates, values, (column,))


def first_day(month: str) -> datetime.date:
    return datetime.date.fromisoformat(f"{month}-01")
