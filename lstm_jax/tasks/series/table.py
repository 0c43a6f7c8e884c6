"""Series as arrays, and the CSV files that they are read from."""

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float64

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import files

T = TypeVar("T")


class Series(NamedTuple):
    """A time series, one row per date, the earliest first.

    dates: ``datetime64`` ``[N]``, of months, days or hours.
    values: NaN where one is missing.
    columns: the name of each column of ``values``.
    """

    dates: np.ndarray
    values: Float64[np.ndarray, "N C"]
    columns: tuple[str, ...]

    def column(self, name: str) -> Float64[np.ndarray, "N"]:
        """The values of one column."""
        return column_of(self.values, self.columns, name)


def column_of(
    values: Float64[np.ndarray, "N C"], columns: Sequence[str], name: str
) -> Float64[np.ndarray, "N"]:
    return values[:, columns.index(checking.choice("name", name, columns))]


class Line(NamedTuple):
    """One row of a CSV file.

    place: the file and the line, for errors.
    """

    place: str
    fields: list[str]

    def parse(self, number: int, what: str, parse: Callable[[str], T]) -> T:
        """Field ``number``. Raises ValueError, saying ``what`` was expected, if ``parse`` does."""
        try:
            return parse(self.fields[number])
        except ValueError:
            got = self.fields[number]
            raise WrongValue(f"{self.place}: expected {what}, got {got!r}") from None

    def real(self, number: int, what: str) -> float:
        """Field ``number``, a finite number."""
        return self.parse(number, f"a number for {what}", finite)


def finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def read_rows(path: Path, header: Sequence[str]) -> list[Line]:
    """The rows below the header. Raises ValueError for another header, rows of another length,
    text that is not ASCII, and a file without rows."""
    lines = files.read_lines(path, "a table", ("ascii",))
    rows = [next(csv.reader([line]), []) for line in lines]
    if rows[0] != list(header):
        raise WrongValue(
            f"{path}, line 1: expected the header {','.join(header)}, got {lines[0]!r}"
        )
    if len(rows) == 1:
        raise WrongValue(f"{path}: expected rows below the header, got none")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise WrongValue(
                f"{path}, line {number}: expected {len(header)} fields, got {len(row)}: "
                f"{lines[number - 1]!r}"
            )
    return [Line(f"{path}, line {number}", row) for number, row in enumerate(rows[1:], start=2)]


def check_order(dates: np.ndarray, rows: Sequence[Line], *, step: int | None = None) -> None:
    """Raises ValueError for a date that does not follow the one before it, by ``step`` units if
    that is given."""
    steps = np.diff(dates).astype(np.int64)
    wrong = np.flatnonzero(steps < 1 if step is None else steps != step)
    if wrong.size:
        row = int(wrong[0])
        expected = f"a date after {dates[row]}" if step is None else str(dates[row] + step)
        raise WrongValue(f"{rows[row + 1].place}: expected {expected}, got {dates[row + 1]}")
