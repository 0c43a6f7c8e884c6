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
TEXT = "; encode text first, such as with the encode of a tasks.Vocabulary"
LABELS = "; number the classes first: classes, targets = np.unique(labels, return_inverse=True)"


class Column(NamedTuple):
    """What every row has under one name.

    values: ``[N, ...]`` for a static column, ``[N, T, ...]`` for sequences that are padded, or a
        list of N arrays ``[T, ...]``.
    lengths: of the sequences ``[N]``; None for a static column.
    ragged: whether a batch says how long its rows are.
    is_target: whether integers are classes, of which -1 is missing, whatever the shape.
    has_nan: whether values may be missing.
    """

    values: Any
    lengths: np.ndarray | None
    ragged: bool
    is_target: bool = False
    has_nan: bool = False

    @property
    def size(self) -> int:
        """The number of rows; a tuple's ``len`` is that of its fields."""
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
        return is_float(self.dtype)

    @property
    def is_on_disk(self) -> bool:
        return is_on_disk(self.values)

    @property
    def batch_dtype(self) -> np.dtype:
        """Of what a model is shown: features are floats, and categories integers."""
        if not self.is_target and self.dtype.kind in "iub" and self.row_shape:
            return np.dtype(np.float32)
        if not self.is_target and self.dtype.kind == "b":
            return np.dtype(np.int32)
        return jax.dtypes.canonicalize_dtype(self.dtype)

    def batch(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """The rows ``[B, ...]``, or ``[steps, B, ...]`` with zeros past each row's length."""
        if self.lengths is None:
            return np.asarray(self.values[rows], self.batch_dtype)
        if not isinstance(self.values, list) and not self.ragged and steps == self.values.shape[1]:
            taken = np.swapaxes(self.values[rows], 0, 1)
            return np.ascontiguousarray(taken, self.batch_dtype)
        result = np.zeros((steps, len(rows), *self.row_shape), self.batch_dtype)
        if isinstance(self.values, list):
            for i, row in enumerate(rows):
                values = self.values[row]
                result[: len(values), i] = values
            return result
        taken = self.values[rows, : min(steps, self.values.shape[1])]
        result[: taken.shape[1]] = np.swapaxes(taken, 0, 1)
        past = np.arange(steps)[:, None] >= self.lengths[rows]
        result[past] = 0
        return result

    def take(self, rows: np.ndarray) -> Any:
        """The rows as they were given."""
        if isinstance(self.values, list):
            return [self.values[row] for row in rows]
        return self.values[rows]

    def row(self, row: int) -> np.ndarray:
        """One row, without padding."""
        if self.lengths is None:
            return self.values[row]
        return self.values[row][: self.lengths[row]]

    def inside(self, rows: slice) -> np.ndarray:
        """An array's rows ``[n, ...]``, with zeros past each row's length."""
        block = self.values[rows]
        if not self.ragged:
            return block
        assert self.lengths is not None
        past = np.arange(block.shape[1]) >= self.lengths[rows, None]
        return np.where(past.reshape(past.shape + (1,) * (block.ndim - 2)), 0, block)


def sequences(argument: str, value: Any, lengths: Any = None) -> Column:
    """Rows with a time axis.

    Args:
        value: ``[N, T, D]`` of any numbers, ``[N, T]`` of integers, or a list of N rows ``[T, D]``
            or ``[T]``, whose lengths may differ.
        lengths: of the rows of a padded array ``[N]``; None if all steps count.
    """
    if is_list(value):
        if lengths is not None:
            raise WrongValue(
                f"{argument}: expected an array beside lengths, got a list, whose rows have "
                "lengths of their own"
            )
        return _rows(argument, value)
    array = as_numbers(argument, value)
    ids = not is_float(array.dtype)
    if array.ndim < 2 or (array.ndim == 2 and not ids):
        hint = "; for one feature per step, add an axis: values[..., None]"
        raise WrongValue(
            f"{argument}: expected [N, T, D], or integers [N, T], got {array.dtype.name} of shape "
            f"{array.shape}" + (hint if array.ndim == 2 else "")
        )
    count, steps = array.shape[:2]
    if count == 0:
        raise WrongValue(f"{argument}: expected at least one row, got none")
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


def static(argument: str, value: Any, text: str = TEXT) -> Column:
    """One value ``[N]``, or a few ``[N, F]``, for each row as a whole."""
    array = as_numbers(argument, value, text)
    if array.ndim == 0:
        raise WrongValue(f"{argument}: expected one value for each row, got {value!r}")
    return Column(array, None, ragged=False)


def _rows(argument: str, value: Sequence[Any]) -> Column:
    if len(value) == 0:
        raise WrongValue(f"{argument}: expected at least one row, got none")
    rows = [as_numbers(f"{argument}, row {i}", row) for i, row in enumerate(value)]
    first = rows[0]
    for i, row in enumerate(rows):
        ids = not is_float(row.dtype)
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


def as_numbers(argument: str, value: Any, text: str = TEXT) -> np.ndarray:
    """``value`` as a NumPy array of floats, integers or booleans; memory maps stay on the disk.

    Args:
        text: what to do about text, for the error.
    """
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except ValueError:  # such as rows of different lengths
        raise WrongValue(f"{argument}: expected an array, got a list whose items differ") from None
    first = array.ravel()[0] if array.size and array.dtype.kind in "USO" else None
    if array.dtype.kind in "US" or isinstance(first, str):
        got = "" if first is None else f" {str(first)[:20]!r}"
        raise WrongType(f"{argument}: expected numbers, got the text{got}{text}")
    if array.dtype.kind not in "iub" and not is_float(array.dtype):
        raise WrongType(f"{argument}: expected numbers, got dtype {array.dtype}")
    return array


def is_float(dtype: np.dtype) -> bool:
    """Whether numbers of this type can be missing, as NaN; bfloat16 is one, unlike in NumPy."""
    return bool(jax.dtypes.issubdtype(dtype, np.floating))


def is_list(value: Any) -> bool:
    """Whether ``value`` is a list of rows and no array; NumPy has arrays of objects for these."""
    if isinstance(value, np.ndarray):
        return (
            value.dtype == object and value.ndim == 1 and value.size > 0 and np.ndim(value[0]) > 0
        )
    return isinstance(value, list | tuple)


def is_on_disk(values: Any) -> bool:
    """Whether an array is a memory map; what is computed from one may have its type only."""
    return isinstance(values, np.memmap) and getattr(values, "_mmap", None) is not None


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
    if is_list(value):
        ranks = {np.ndim(row) for row in value}
        if ranks != {1}:
            return ranks == {0}
        rows = [as_numbers(argument, row) for row in value]
        return is_float(rows[0].dtype) and len({row.shape for row in rows}) == 1
    array = as_numbers(argument, value)
    return array.ndim == 1 or (array.ndim == 2 and is_float(array.dtype))


def sequence_targets(targets: Any) -> Column:
    column = static("targets", targets, LABELS)
    return column._replace(is_target=True)


def step_targets(targets: Any, inputs: Column) -> Column:
    """Targets with as many steps as ``inputs``."""
    lengths = inputs.lengths
    assert lengths is not None
    if is_list(targets) and len(targets) > 0 and np.ndim(targets[0]) > 0:
        rows = [as_numbers(f"targets, row {i}", row, LABELS) for i, row in enumerate(targets)]
        kinds = {(row.shape[1:], row.dtype.kind) for row in rows}
        if len(kinds) > 1:
            raise WrongValue(
                f"targets: expected rows that differ in length alone, got {sorted(map(str, kinds))}"
            )
        for i, row in enumerate(rows[: len(lengths)]):
            if len(row) != lengths[i]:
                raise WrongValue(
                    f"targets: expected {lengths[i]} steps in row {i}, as the inputs have, got "
                    f"{len(row)}"
                )
        return Column(rows, lengths, inputs.ragged, is_target=True)
    array = as_numbers("targets", targets, LABELS)
    if array.ndim < 2:
        raise WrongValue(
            f"targets: expected [N, T] or [N, T, K] for per='step', got shape {array.shape}"
        )
    steps = int(lengths.max())
    if array.shape[1] != steps and not (inputs.ragged and array.shape[1] > steps):
        raise WrongValue(
            f"targets: expected {steps} steps, as the inputs have, got {array.shape[1]}"
        )
    return Column(array, lengths, inputs.ragged, is_target=True)
