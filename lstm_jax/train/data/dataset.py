"""``Dataset``: inputs of one or several kinds and targets, row by row."""

import copy
import zlib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.task import Sequences
from lstm_jax.train.data import columns
from lstm_jax.train.data.columns import SINGLE, Column

Per = Literal["sequence", "step"]
Missing = Literal["error", "mask"]

ROWS_OF_DIGEST = 1000


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


class Dataset:
    """Rows of data that ``train.fit`` learns from, each a sequence with a target, or with one at
    every step.

        data = train.Dataset([readings_of_a, readings_of_b], [0, 1])   # rows of any lengths

    Rows come first, as in scikit-learn: ``[N, T, D]``. (Models see batches with time first.)
    Nothing is copied, so that arrays may be memory maps larger than the RAM; those are read batch
    by batch, and checked then.

    Args:
        inputs: floats ``[N, T, D]``; integers ``[N, T]``, such as tokens; a list of N such rows
            without the first axis, whose lengths may differ; or a dict of these by name, which may
            also hold static columns, with one value per row: ``[N]``, or floats ``[N, F]``.
        targets: numbers or classes ``[N]`` or ``[N, K]``; for ``per="step"`` ``[N, T]`` or
            ``[N, T, K]``, or a list of rows as long as those of the inputs. -1 is a class that is
            missing. None if there are none, for ``train.predict``.
        lengths: how many steps of each row count ``[N]``, for rows that are padded already; for a
            dict, by name.
        groups: what belongs together, such as the patient of each row, ``[N]``, for
            ``train.cross_validate``.
        per: whether each "sequence" has a target, or each "step".
        missing: "error" to refuse NaN; "mask" for zero in place of it in the inputs, and for
            targets that do not count in losses and metrics.
        in_time_order: whether later rows are later in time, so that shuffled folds leak.

    Raises:
        ValueError or TypeError: naming the column, and the row, step and column of a value.
    """

    far = False  # whether reading takes long enough to be overlapped with computing

    def __init__(
        self,
        inputs: Any,
        targets: Any = None,
        *,
        lengths: Any = None,
        groups: Any = None,
        per: Per = "sequence",
        missing: Missing = "error",
        in_time_order: bool = False,
    ) -> None:
        checking.choice("per", per, ("sequence", "step"))
        checking.choice("missing", missing, ("error", "mask"))
        self.per = per
        self.in_time_order = checking.flag("in_time_order", in_time_order)
        self._single = not isinstance(inputs, Mapping)
        found = columns.input_columns(inputs, lengths)
        self._columns: dict[str, Column] = {}
        for name, column in found.items():
            argument = "inputs" if self._single else f"inputs[{name!r}]"
            self._columns[name], _ = columns.without_missing(argument, column, missing)
        self._main = next(c for c in self._columns.values() if c.lengths is not None)
        count = self._main.rows
        if count == 0:
            raise WrongValue("inputs: expected at least one row, got none")
        for name, column in self._columns.items():
            if column.rows != count:
                raise WrongValue(
                    f"inputs[{name!r}]: expected {count} rows, as the others, got {column.rows}"
                )
        self._targets: Column | None = None
        self._seen: Any = None
        if targets is not None:
            column = self._target_column(targets)
            self._targets, self._seen = columns.without_missing("targets", column, missing)
        self.far = any(isinstance(c.values, np.memmap) for c in self._columns.values())
        self._groups = None if groups is None else np.asarray(groups)
        if self._groups is not None and self._groups.shape != (count,):
            raise WrongValue(
                f"groups: expected one for each of the {count} rows, got shape {self._groups.shape}"
            )
        self._rows = np.arange(count)

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: Any) -> "Dataset":
        """The given rows, by number or by a mask ``[N]``, without copying them."""
        rows = np.asarray(rows)
        if rows.dtype == bool and rows.shape != (len(self),):
            raise WrongValue(f"rows: expected a mask of {len(self)} rows, got shape {rows.shape}")
        if rows.ndim != 1 or rows.dtype.kind not in "iub":
            raise WrongValue(
                f"rows: expected numbers of rows or a mask, got {rows.dtype} of shape {rows.shape}"
            )
        if (
            rows.dtype != bool
            and rows.size
            and not -len(self) <= rows.min() <= rows.max() < len(self)
        ):
            raise WrongValue(
                f"rows: expected numbers below {len(self)}, got {rows.min()} to {rows.max()}"
            )
        result = copy.copy(self)
        result._rows = self._rows[rows]
        return result

    def with_lengths(self) -> "Dataset":
        """The same rows, whose batches say how long rows are even if all are of one length."""
        result = copy.copy(self)
        result._columns = {
            name: column._replace(ragged=column.lengths is not None)
            for name, column in self._columns.items()
        }
        result._main = next(c for c in result._columns.values() if c.lengths is not None)
        return result

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each row ``[N]``; of the first column of sequences in a dict."""
        assert self._main.lengths is not None
        return self._main.lengths[self._rows]

    @property
    def targets(self) -> Any:
        """The targets ``[N, ...]``, or a list of rows; None if there are none. Missing ones are
        zero, or -1."""
        if self._targets is None:
            return None
        if isinstance(self._targets.values, list):
            return [self._targets.values[row] for row in self._rows]
        return self._targets.values[self._rows]

    @property
    def groups(self) -> np.ndarray | None:
        """What belongs together ``[N]``, if it was given."""
        return None if self._groups is None else self._groups[self._rows]

    def read(self, rows: np.ndarray, count: int, longest: int) -> DataBatch:
        """A batch of rows of this data set.

        Args:
            rows: their numbers ``[B]``.
            count: how many of them, from the first, count.
            longest: the steps of the batch, at least the rows' lengths.
        """
        rows = self._rows[rows]
        xs = {
            name: self._column_batch(name, column, rows, longest)
            for name, column in self._columns.items()
        }
        shown = xs[SINGLE] if self._single else xs
        exists = np.arange(len(rows)) < count
        if self._targets is None:
            return DataBatch(shown, None, exists)
        targets = self._targets.batch(rows, longest)
        counts = np.broadcast_to(
            exists.reshape(
                exists.shape + (1,) * (targets.ndim - (1 if self.per == "sequence" else 2))
            ),
            targets.shape,
        )
        if self.per == "step":
            assert self._targets.lengths is not None
            within = np.arange(longest)[:, None] < self._targets.lengths[rows]
            counts = counts & within.reshape(within.shape + (1,) * (targets.ndim - 2))
        if self._targets.is_float:
            if self._seen is not None:
                seen = self._targets._replace(values=self._seen)
                counts = counts & seen.batch(rows, longest).astype(bool)
            elif isinstance(self._targets.values, np.memmap):
                _require_finite("targets", targets, rows)
        else:
            counts = counts & (targets >= 0)
            targets = np.maximum(targets, 0)
        return DataBatch(shown, targets, counts)

    def fingerprint(self) -> dict[str, Any]:
        """What shows that data are the same when a killed fit goes on: shapes, and a checksum of
        some of the rows."""
        rows = self._rows
        some = rows[np.linspace(0, len(rows) - 1, min(len(rows), ROWS_OF_DIGEST)).astype(int)]
        digest = zlib.crc32(np.ascontiguousarray(rows).tobytes())
        named = dict(self._columns)
        if self._targets is not None:
            named["targets"] = self._targets
        for column in named.values():
            for row in some:
                digest = zlib.crc32(np.ascontiguousarray(column.values[row]).tobytes(), digest)
        return {
            "rows": len(rows),
            "columns": {name: list(column.row_shape) for name, column in named.items()},
            "checksum": digest,
        }

    def kinds(self) -> dict[str, str]:
        """What each column holds, such as "sequences of float32 [7]"; training and validation data
        must agree."""
        named = dict(self._columns)
        if self._targets is not None:
            named["targets"] = self._targets
        return {
            name: ("static " if column.lengths is None else "sequences of ")
            + f"{'floats' if column.is_float else 'integers'} {list(column.row_shape)}"
            for name, column in named.items()
        }

    def _column_batch(self, name: str, column: Column, rows: np.ndarray, longest: int) -> Any:
        if column.lengths is None:
            return column.batch(rows, 0)
        steps = longest
        if column is not self._main:  # as long as in all rows, so that one shape serves a bucket
            steps = int(column.lengths[self._rows].max())
        values: Any = column.batch(rows, steps)
        if isinstance(column.values, np.memmap) and column.is_float:
            _require_finite("inputs" if self._single else f"inputs[{name!r}]", values, rows)
        if not column.ragged:
            return values
        lengths: Any = column.lengths[rows].astype(np.int32)
        return Sequences(values, lengths)

    def _target_column(self, targets: Any) -> Column:
        main = self._main
        count = main.rows
        if self.per == "sequence":
            column = columns.static("targets", targets)
        else:
            column = columns.step_targets(targets)
        if column.values is not None and column.rows != count:
            raise WrongValue(
                f"targets: expected {count}, one for each row of the inputs, got {column.rows}"
            )
        if self.per == "step":
            assert main.lengths is not None
            if isinstance(column.values, list):
                assert column.lengths is not None
                wrong = np.flatnonzero(column.lengths != main.lengths)
                if wrong.size:
                    row = wrong[0]
                    raise WrongValue(
                        f"targets: expected {main.lengths[row]} steps in row {row}, as the inputs "
                        f"have, got {column.lengths[row]}"
                    )
            elif main.lengths.max() > column.values.shape[1]:
                raise WrongValue(
                    f"targets: expected {main.lengths.max()} steps, as the inputs have, got "
                    f"{column.values.shape[1]}"
                )
            column = column._replace(lengths=main.lengths, ragged=main.ragged)
        return column


def _require_finite(argument: str, batch: np.ndarray, rows: np.ndarray) -> None:
    """Raises ValueError for a batch read from the disk that has NaN or infinity."""
    if np.isfinite(batch).all():
        return
    at = np.argwhere(~np.isfinite(batch))[0]
    row = rows[at[1] if batch.ndim > 2 else at[0]]
    raise WrongValue(
        f"{argument}: expected finite numbers, got {batch[tuple(at)]} in row {row} of the array"
    )
