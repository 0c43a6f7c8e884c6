"""One column of a data set: what every row has under one name, such as a series or a class.

Rows come first here, as in scikit-learn; ``batch`` puts time first.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue

SINGLE = "inputs"  # the name of the column of inputs that are not a dict
HINT = "; missing='mask' leaves missing values out"


class Column(NamedTuple):
    """What every row has under one name.

    values: ``[N, ...]`` for a static column, ``[N, T, ...]`` for sequences that are padded, or a
        list of N arrays ``[T, ...]``.
    lengths: of the sequences ``[N]``; None for a static column.
    ragged: whether a batch says how long its rows are.
    """

    values: Any
    lengths: np.ndarray | None
    ragged: bool

    @property
    def rows(self) -> int:
        """N; no ``__len__``, which the methods of a NamedTuple take for the number of fields."""
        return len(self.values)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of a row, without time."""
        if isinstance(self.values, list):
            return self.values[0].shape[1:]
        return self.values.shape[1 if self.lengths is None else 2 :]

    @property
    def dtype(self) -> np.dtype:
        return (self.values[0] if isinstance(self.values, list) else self.values).dtype

    @property
    def is_float(self) -> bool:
        return bool(np.issubdtype(self.dtype, np.floating))

    def batch(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """The rows ``[B, ...]``, or ``[steps, B, ...]`` with zeros past each row's length."""
        dtype = jax.dtypes.canonicalize_dtype(self.dtype)
        if self.lengths is None:
            return np.asarray(self.values[rows], dtype)
        result = np.zeros((steps, len(rows), *self.row_shape), dtype)
        if isinstance(self.values, list):
            for i, row in enumerate(rows):
                values = self.values[row]
                result[: len(values), i] = values
            return result
        taken = self.values[rows, : min(steps, self.values.shape[1])]
        result[: taken.shape[1]] = np.swapaxes(taken, 0, 1)
        if self.ragged:
            past = np.arange(steps)[:, None] >= self.lengths[rows]
            result[past] = 0
        return result


def sequences(argument: str, value: Any, lengths: Any = None) -> Column:
    """Rows with a time axis.

    Args:
        value: ``[N, T, D]`` of any numbers, ``[N, T]`` of integers, or a list of N rows ``[T, D]``
            or ``[T]``, whose lengths may differ.
        lengths: of the rows of a padded array ``[N]``; None if all steps count.
    """
    if isinstance(value, list | tuple):
        if lengths is not None:
            raise WrongValue(
                f"{argument}: expected an array beside lengths, got a list, whose rows have "
                "lengths of their own"
            )
        return _rows(argument, value)
    array = as_numbers(argument, value)
    ids = not np.issubdtype(array.dtype, np.floating)
    if array.ndim < 2 or (array.ndim == 2 and not ids):
        hint = "; for one feature per step, add an axis: values[..., None]"
        raise WrongValue(
            f"{argument}: expected [N, T, D], or integers [N, T], got {array.dtype.name} of shape "
            f"{array.shape}" + (hint if array.ndim == 2 else "")
        )
    count, steps = array.shape[:2]
    if steps == 0:
        raise WrongValue(f"{argument}: expected at least one step per row, got {array.shape}")
    if lengths is None:
        return Column(array, np.full(count, steps), ragged=False)
    lengths = np.asarray(lengths)
    if lengths.shape != (count,) or not np.issubdtype(lengths.dtype, np.integer):
        raise WrongValue(
            f"lengths: expected one integer for each of the {count} rows of {argument}, got "
            f"{lengths.dtype.name} of shape {lengths.shape}"
        )
    wrong = np.flatnonzero((lengths < 1) | (lengths > steps))
    if wrong.size:
        raise WrongValue(
            f"lengths: expected values from 1 to {steps}, got {lengths[wrong[0]]} in row {wrong[0]}"
        )
    return Column(array, lengths.astype(int), ragged=True)


def static(argument: str, value: Any) -> Column:
    """One value ``[N]``, or a few ``[N, F]``, for each row as a whole."""
    if isinstance(value, list | tuple):
        value = np.asarray(value)
    return Column(as_numbers(argument, value), None, ragged=False)


def _rows(argument: str, value: Sequence[Any]) -> Column:
    if not value:
        raise WrongValue(f"{argument}: expected at least one row, got none")
    rows = [as_numbers(f"{argument}, row {i}", row) for i, row in enumerate(value)]
    first = rows[0]
    for i, row in enumerate(rows):
        ids = not np.issubdtype(row.dtype, np.floating)
        if row.ndim == 0 or (row.ndim == 1 and not ids):
            raise WrongValue(
                f"{argument}: expected rows [T, D], or integers [T], got {row.dtype.name} of shape "
                f"{row.shape} in row {i}"
            )
        if row.shape[1:] != first.shape[1:] or row.dtype.kind != first.dtype.kind:
            raise WrongValue(
                f"{argument}: expected rows that differ in length alone, got {first.dtype.name} of "
                f"shape {first.shape} in row 0 and {row.dtype.name} of shape {row.shape} in row {i}"
            )
        if len(row) == 0:
            raise WrongValue(f"{argument}: expected at least one step per row, got none in row {i}")
    lengths = np.array([len(row) for row in rows])
    return Column(rows, lengths, ragged=bool(np.ptp(lengths) > 0))


def as_numbers(argument: str, value: Any) -> np.ndarray:
    """``value`` as a NumPy array of floats, integers or booleans; memory maps stay on the disk."""
    if isinstance(value, str):
        raise WrongType(_text(argument, value))
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind in "US":
        raise WrongType(_text(argument, array.ravel()[0] if array.size else ""))
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise WrongType(f"{argument}: expected numbers, got dtype {array.dtype}")
    return array


def _text(argument: str, value: Any) -> str:
    return (
        f"{argument}: expected numbers, got the text {str(value)[:20]!r}; encode text first, such "
        "as with the encode of a tasks.Vocabulary"
    )


def without_missing(argument: str, column: Column, missing: str) -> tuple[Column, Any]:
    """The column with zeros for NaN, and where it had a value, in the same layout; None if it had
    one everywhere.

    Raises:
        ValueError: for infinities, and for NaN if ``missing`` is "error", naming the place.
    """
    if not column.is_float or isinstance(column.values, np.memmap):
        return column, None
    blocks = column.values if isinstance(column.values, list) else [column.values]
    found = False
    for i, block in enumerate(blocks):
        inside = block
        if column.ragged and not isinstance(column.values, list):
            assert column.lengths is not None
            past = np.arange(block.shape[1]) >= column.lengths[:, None]
            inside = np.where(past.reshape(past.shape + (1,) * (block.ndim - 2)), 0, block)
        if np.isfinite(inside).all():
            continue
        bad = np.isinf(inside) if missing != "error" else ~np.isfinite(inside)
        if bad.any():
            at = tuple(int(n) for n in np.argwhere(bad)[0])
            at = (i, *at) if isinstance(column.values, list) else at
            value = inside[at[1:] if isinstance(column.values, list) else at]
            hint = HINT if np.isnan(value) else ""
            place = describe_place(at, column.lengths is not None)
            raise WrongValue(f"{argument}: expected finite numbers, got {value} in {place}{hint}")
        found = True
    if not found:
        return column, None
    seen = [~np.isnan(block) for block in blocks]
    filled = [np.where(of, block, 0) for of, block in zip(seen, blocks, strict=True)]
    if isinstance(column.values, list):
        return column._replace(values=filled), seen
    return column._replace(values=filled[0]), seen[0]


def describe_place(at: tuple[int, ...], has_time: bool) -> str:
    """Such as "row 3, step 5, column 2"."""
    names = ["row", "step", "column"] if has_time else ["row", "column"]
    names += ["axis"] * (len(at) - len(names))
    return ", ".join(f"{name} {n}" for name, n in zip(names, at, strict=False))


def input_columns(inputs: Any, lengths: Any) -> dict[str, Column]:
    if not isinstance(inputs, Mapping):
        if isinstance(lengths, Mapping):
            raise WrongType("lengths: expected one array, got a dict beside inputs of one kind")
        return {SINGLE: sequences("inputs", inputs, lengths)}
    if lengths is not None and not isinstance(lengths, Mapping):
        raise WrongType(
            f"lengths: expected a dict by the names of the inputs, got {type(lengths).__name__}"
        )
    given = dict(lengths or {})
    for name in given:
        checking.choice("lengths", name, inputs)
    found = {}
    for name, value in inputs.items():
        argument = f"inputs[{name!r}]"
        if name in given or not _is_static(argument, value):
            found[name] = sequences(argument, value, given.get(name))
        else:
            found[name] = static(argument, value)
    if all(column.lengths is None for column in found.values()):
        raise WrongValue(
            f"inputs: expected at least one column of sequences, got {', '.join(found)}, which "
            "have one value per row"
        )
    return found


def _is_static(argument: str, value: Any) -> bool:
    """Whether a column of a dict has no time: [N] of any numbers, or floats [N, F]."""
    if isinstance(value, list | tuple):
        return bool(value) and all(np.ndim(item) == 0 for item in value[:2])
    array = as_numbers(argument, value)
    return array.ndim == 1 or (array.ndim == 2 and np.issubdtype(array.dtype, np.floating))


def step_targets(targets: Any) -> Column:
    if isinstance(targets, list | tuple) and targets and np.ndim(targets[0]) > 0:
        rows = [as_numbers(f"targets, row {i}", row) for i, row in enumerate(targets)]
        lengths = np.array([len(row) for row in rows])
        kinds = {(row.shape[1:], row.dtype.kind) for row in rows}
        if len(kinds) > 1:
            raise WrongValue(
                f"targets: expected rows that differ in length alone, got {sorted(map(str, kinds))}"
            )
        return Column(rows, lengths, ragged=True)
    array = as_numbers("targets", targets)
    if array.ndim < 2:
        raise WrongValue(
            f"targets: expected [N, T] or [N, T, K] for per='step', got shape {array.shape}"
        )
    return Column(array, np.full(len(array), array.shape[1]), ragged=False)
