"""Rows of data: a batch of them, and their numbers."""

from typing import Any, NamedTuple

import numpy as np

from lstm_jax._internal.errors import WrongValue


class DataBatch(NamedTuple):
    """Rows that are learnt or scored together.

    xs: what a model is shown: ``[T, B, D]`` or integers ``[T, B]``, as ``Sequences`` if lengths
        differ, or a dict of these and of static arrays ``[B]`` and ``[B, F]``.
    targets: ``[B, ...]``, or ``[T, B, ...]`` if every step has one; missing ones are zero.
    counts: which targets count, in the shape of the targets: not those of rows that fill up a
        batch, of steps past a row's length, and that are missing.
    """

    xs: Any
    targets: Any
    counts: Any


def numbers_of_rows(rows: Any, count: int) -> np.ndarray:
    """``rows`` of a data set of ``count`` rows as numbers, checked."""
    rows = np.asarray(rows)
    if rows.shape == (0,):
        return np.zeros(0, int)
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise WrongValue(
            f"rows: expected numbers of rows or a mask, got {rows.dtype} of shape {rows.shape}"
        )
    if rows.dtype == bool:
        if len(rows) != count:
            raise WrongValue(f"rows: expected a mask of {count} rows, got shape {rows.shape}")
        return np.flatnonzero(rows)
    if not -count <= int(rows.min()) <= int(rows.max()) < count:
        raise WrongValue(f"rows: expected numbers below {count}, got {rows.min()} to {rows.max()}")
    return rows.astype(int) % count


def groups_of(groups: Any, count: int) -> np.ndarray | None:
    """``groups`` as an array ``[N]``, checked; None if there are none."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (count,):
        raise WrongValue(
            f"groups: expected one for each of the {count} rows, got shape {groups.shape}"
        )
    return groups
