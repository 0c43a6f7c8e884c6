"""Splits of a series that train on the past and test on what follows it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.train.series import values as series


class ExpandingWindow(NamedTuple):
    """A splitter like those of scikit-learn: ``expanding_splits`` of any data.

    first, step, gap: as in ``expanding_splits``.
    """

    first: int
    step: int
    gap: int = 0

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """``(train, test)`` rows of ``X``, whose targets and groups do not matter."""
        return expanding_splits(len(X), first=self.first, step=self.step, gap=self.gap)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of splits of ``X``, which has to be given."""
        if X is None:
            raise WrongValue("X: expected the data, whose length decides, got None")
        return len(_starts(len(X), self.first, self.step, self.gap))


def expanding_splits(
    n: int, *, first: int, step: int, gap: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Splits of rows 0 to ``n - 1``, in order of time: each tests on the next ``step`` rows, and
    trains on all rows before them.

    Every row from ``first`` on is tested once; the last test part may have fewer rows than
    ``step``.

        for train, test in expanding_splits(100, first=60, step=20):
            ...  # 0 to 59 and 60 to 79, then 0 to 79 and 80 to 99

    Args:
        n: the number of rows.
        first: the first row that is tested.
        step: the number of rows in a test part.
        gap: rows before the test part that are left out of the training part. A row of ``windows``
            at stride 1 forecasts ``horizon`` steps ahead: with a gap of ``horizon - 1`` no training
            target is later than the last step that the first test row sees.

    Yields:
        ``(train, test)``, arrays of row numbers.
    """
    starts = _starts(n, first, step, gap)
    return ((np.arange(at - gap), np.arange(at, min(at + step, n))) for at in starts)


def _starts(n: Any, first: Any, step: Any, gap: Any) -> range:
    n = checking.positive_int("n", n)
    first = checking.positive_int("first", first)
    step = checking.positive_int("step", step)
    if first >= n:
        raise WrongValue(f"first: expected fewer than n, {n}, got {first}")
    if series.whole("gap", gap) >= first:
        raise WrongValue(f"gap: expected fewer than first, {first}, got {gap}: nothing is left "
                         "to train on")  # fmt: skip
    return range(first, n, step)
