"""Which of a test's parameters run in ``make test``; the others are slow."""

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_slow(values: Iterable[Any], quick: Iterable[Any]) -> list:
    """``values`` for ``pytest.mark.parametrize``; all except ``quick`` are slow.

    A tuple has a value for each of several parameters.
    """
    quick = list(quick)
    return [
        pytest.param(
            *(one if isinstance(one, tuple) else (one,)),
            marks=() if one in quick else pytest.mark.slow,
        )
        for one in values
    ]
