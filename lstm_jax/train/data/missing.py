"""Values that are missing, and numbers that cannot be learnt from, named by their place."""

from typing import Any

import jax
import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.train.data.columns import Column

HINT = "; missing='mask' leaves missing values out"
BLOCK = 2**22  # numbers that are looked at together


def check(argument: str, column: Column, missing: str) -> Column:
    """The column, which knows whether it has NaN; columns on the disk are checked when read.

    Raises:
        ValueError: for infinities, for NaN if ``missing`` is "error", for integers that JAX cannot
            hold, and for targets below -1, naming the place.
    """
    if column.is_on_disk:
        return column._replace(has_nan=column.is_float)
    has_nan = False
    for first, block in _blocks(column):
        row = first if isinstance(column.values, list) else None
        if column.is_float:
            has_nan |= _check_floats(argument, column, block, missing, first, row)
        elif column.dtype.kind in "iu":
            _check_integers(argument, column, block, first, row)
    return column._replace(has_nan=has_nan)


def fill(
    argument: str, column: Column, batch: np.ndarray, rows: np.ndarray, missing: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """A batch with zeros for NaN, and which values it had; None if all.

    Args:
        rows: which rows of the column these are, for the error.
    """
    if not column.has_nan or np.isfinite(batch).all():
        return batch, None
    bad = np.isinf(batch) if missing == "mask" else ~np.isfinite(batch)
    if bad.any():
        at = tuple(int(n) for n in np.argwhere(bad)[0])
        if column.lengths is None:
            place: tuple[int, ...] = (int(rows[at[0]]), *at[1:])
        else:
            place = (int(rows[at[1]]), at[0], *at[2:])
        _refuse(argument, column, batch[at], place)
    seen = ~np.isnan(batch)
    return np.where(seen, batch, np.zeros((), batch.dtype)), seen


def _blocks(column: Column) -> Any:
    """Parts of a column, without what is past rows' lengths, and the row that each begins at."""
    if isinstance(column.values, list):
        yield from enumerate(column.values)
        return
    rows = max(1, BLOCK // max(1, column.values[:1].size))
    for first in range(0, column.size, rows):
        yield first, column.inside(slice(first, first + rows))


def _check_floats(
    argument: str, column: Column, block: np.ndarray, missing: str, first: int, row: int | None
) -> bool:
    if np.isfinite(block).all():
        return False
    bad = np.isinf(block) if missing == "mask" else ~np.isfinite(block)
    if bad.any():
        at = tuple(int(n) for n in np.argwhere(bad)[0])
        place = (row, *at) if row is not None else (at[0] + first, *at[1:])
        _refuse(argument, column, block[at], place)
    return True


def _check_integers(
    argument: str, column: Column, block: np.ndarray, first: int, row: int | None
) -> None:
    held = np.iinfo(jax.dtypes.canonicalize_dtype(block.dtype))
    low = max(int(held.min), -1) if column.is_target else int(held.min)
    if block.size == 0 or (low <= int(block.min()) and int(block.max()) <= held.max):
        return
    at = tuple(int(n) for n in np.argwhere((block < low) | (block > held.max))[0])
    place = (row, *at) if row is not None else (at[0] + first, *at[1:])
    expected = f"integers from {held.min} to {held.max}"
    if column.is_target and block[at] < low:
        expected = "classes from 0, or -1 for one that is missing (and numbers as floats)"
    raise WrongValue(
        f"{argument}: expected {expected}, got {block[at]} in {describe_place(place, column)}"
    )


def _refuse(argument: str, column: Column, value: Any, place: tuple[int, ...]) -> None:
    hint = HINT if np.isnan(value) else ""
    where = describe_place(place, column)
    raise WrongValue(f"{argument}: expected finite numbers, got {value} in {where}{hint}")


def describe_place(place: tuple[int, ...], column: Column) -> str:
    """Such as "row 3, step 5, column 2"."""
    names = ["row", "column"] if column.lengths is None else ["row", "step", "column"]
    names += ["axis"] * (len(place) - len(names))
    return ", ".join(f"{name} {n}" for name, n in zip(names, place, strict=False))
