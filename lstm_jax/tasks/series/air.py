"""Fine dust and weather in Beijing, hour by hour."""

import datetime
import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32

from lstm_jax._internal import checking
from lstm_jax.tasks import files
from lstm_jax.tasks.series.table import Line, check_order, column_of, read_rows

NAME = "pollution.csv"
HEADER = [
    "No",
    "year",
    "month",
    "day",
    "hour",
    "pm2.5",
    "DEWP",
    "TEMP",
    "PRES",
    "cbwd",
    "Iws",
    "Is",
    "Ir",
]
COLUMNS = {  # the names here, by those of the file
    "pm2.5": "pm2.5",
    "DEWP": "dew_point",
    "TEMP": "temperature",
    "PRES": "pressure",
    "Iws": "wind_speed",
    "Is": "snow",
    "Ir": "rain",
}
WIND_DIRECTIONS = ("NE", "NW", "SE", "cv")
PUBLISHED = files.Published(
    task="series",
    folder="timeseries",
    address="https://raw.githubusercontent.com/jbrownlee/Datasets/master/",
    checksums={NAME: "892e9559205d16d32623135c127a3951c12e46ea1e0b3093e107ce89a9fd60e2"},
)


class AirQuality(NamedTuple):
    """A time series with numbers and a category, one row per hour, the earliest first.

    dates: ``datetime64[h]`` ``[N]``, each an hour after the one before.
    values: NaN where one is missing.
    columns: the name of each column of ``values``.
    wind: the direction, as a position in ``wind_directions``.
    """

    dates: np.ndarray
    values: Float64[np.ndarray, "N C"]
    columns: tuple[str, ...]
    wind: Int32[np.ndarray, "N"]
    wind_directions: tuple[str, ...]

    def column(self, name: str) -> Float64[np.ndarray, "N"]:
        """The values of one column."""
        return column_of(self.values, self.columns, name)


def air_quality(*, folder: str | os.PathLike[str] | None = None, verify: bool = True) -> AirQuality:
    """PM2.5 at the US embassy in Beijing, and the weather at the airport, 43,824 hours from
    2010-01-01 to 2014-12-31 (Liang et al. 2015, "Assessing Beijing's PM2.5 pollution: severity,
    weather impact, APEC and winter heating").

    =============== ==================================================
    column          unit
    =============== ==================================================
    ``pm2.5``       µg/m³; NaN for 2,067 hours, the first 24 among them
    ``dew_point``   °C
    ``temperature`` °C
    ``pressure``    hPa
    ``wind_speed``  m/s, cumulated
    ``snow``        hours of snow, cumulated
    ``rain``        hours of rain, cumulated
    =============== ==================================================

    The wind comes from the north-east, north-west or south-east, or is calm and variable (``cv``).

    What is to be forecast has gaps, which must not be filled in the test: on the observed hours
    of 2014 a linear model of the last 24 hours has an RMSE of 21.31, 54.20 and 82.24 at 1, 6 and
    24 hours ahead, and the last value 22.14, 61.67 and 99.50.

    Args:
        folder: has the file ``pollution.csv``. None: the folder ``timeseries`` in the one that
            LSTM_JAX_DATA names, or a download, as in ``files.find``.
        verify: compare the file's SHA-256 with the published one. Downloads always are compared.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    path = files.find(NAME, PUBLISHED, folder, checking.flag("verify", verify))
    rows = read_rows(path, HEADER)
    dates = np.array([hour(row) for row in rows], "datetime64[h]")
    check_order(dates, rows, step=1)
    places = {name: HEADER.index(name) for name in COLUMNS}
    values = np.array(
        [
            [
                np.nan
                if name == "pm2.5" and row.fields[place] == "NA"
                else row.real(place, name if name != "pm2.5" else "pm2.5, or NA")
                for name, place in places.items()
            ]
            for row in rows
        ]
    )
    directions, at = ", ".join(WIND_DIRECTIONS), HEADER.index("cbwd")
    wind = [row.parse(at, f"a wind direction of {directions}", WIND_DIRECTIONS.index)
            for row in rows]  # fmt: skip
    return AirQuality(
        dates, values, tuple(COLUMNS.values()), np.array(wind, np.int32), WIND_DIRECTIONS
    )


def hour(row: Line) -> datetime.datetime:
    year, month, day, hour = (
        row.parse(at, f"a whole number for {HEADER[at]}", int) for at in range(1, 5)
    )
    return row.parse(
        1, "year, month, day and hour", lambda _: datetime.datetime(year, month, day, hour)
    )
