"""``Dataset``: inputs of one or several kinds and targets, row by row."""

import copy
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.task import Sequences
from lstm_jax.train.data import columns
from lstm_jax.train.data import missing as missing_values
from lstm_jax.train.data.columns import SINGLE, Column
from lstm_jax.train.data.fingerprint import fingerprint, kinds
from lstm_jax.train.data.rows import DataBatch, groups_of, numbers_of_rows

Per = Literal["sequence", "step"]
Missing = Literal["error", "mask"]


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
        self.per, self.missing = per, missing
        self.in_time_order = checking.flag("in_time_order", in_time_order)
        self._single = not isinstance(inputs, Mapping)
        self._columns: dict[str, Column] = {
            name: missing_values.check(self._argument(name), column, missing)
            for name, column in columns.input_columns(inputs, lengths).items()
        }
        count = self._main.size
        for name, column in self._columns.items():
            if column.size != count:
                raise WrongValue(
                    f"inputs[{name!r}]: expected {count} rows, as the others, got {column.size}"
                )
        self._targets: Column | None = None
        if targets is not None:
            self._targets = missing_values.check("targets", self._target_column(targets), missing)
        self.far = any(column.is_on_disk for column in self._columns.values())
        self._groups = groups_of(groups, count)
        self._rows = np.arange(count)
        self._whole = self._lengths_by_name()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def _main(self) -> Column:
        return next(c for c in self._columns.values() if c.lengths is not None)

    def take(self, rows: Any) -> Self:
        """The given rows, by number or by a mask ``[N]``, without copying them."""
        result = copy.copy(self)
        result._rows = self._rows[numbers_of_rows(rows, len(self))]
        return result

    def replace(self, *, inputs: Any = None, targets: Any = None) -> "Dataset":
        """The same rows with other values, such as scaled ones; all else stays as it is.

            part.replace(inputs=scaler.apply(scale, part.inputs))

        Args:
            inputs, targets: as ``inputs`` and ``targets`` give them, and of the same lengths. None
                to keep them.
        """
        new: Any = self.inputs if inputs is None else inputs
        single = not isinstance(new, Mapping)
        lengths: Any = {
            name: column.lengths[self._rows]
            for name, column in self._columns.items()
            if column.lengths is not None and column.ragged
        }
        for name, value in ({SINGLE: new} if single else new).items():
            if columns.is_list(value):  # whose rows have lengths of their own
                lengths.pop(name, None)
        result = Dataset(
            new,
            self.targets if targets is None else targets,
            lengths=lengths.get(SINGLE) if single else lengths,
            groups=self.groups,
            per=self.per,
            missing=self.missing,
            in_time_order=self.in_time_order,
        )
        if len(result) != len(self) or (result.lengths != self.lengths).any():
            raise WrongValue(
                f"inputs: expected the same {len(self)} rows, of the same lengths, got "
                f"{len(result)} rows"
            )
        # Batches of all parts of a data set have the same shapes, which are compiled once.
        for name, found in result._lengths_by_name().items():
            old = self._columns.get(name)
            if old is None or old.lengths is None:
                continue
            if old.ragged:
                result._columns[name] = result._columns[name]._replace(ragged=True)
            if np.array_equal(old.lengths[self._rows], found):
                result._whole[name] = self._whole[name]
        if result.per == "step" and result._targets is not None:
            result._targets = result._targets._replace(ragged=result._main.ragged)
        return result

    def with_lengths(self, *, always: bool) -> "Dataset":
        """The same rows, in batches whose shapes do not depend on which rows they are, for parts
        of data that nobody has looked at as a whole.

        Args:
            always: whether batches say how long rows are even if all are of one length. Further
                columns of sequences always say so, and are as long as a power of two.
        """
        result = copy.copy(self)
        result._columns, result._whole = dict(self._columns), dict(self._whole)
        main = self._main
        for name, column in self._columns.items():
            if column.lengths is not None and (always or column is not main):
                result._columns[name] = column._replace(ragged=True)
                if column is not main:
                    longest = int(column.lengths.max())
                    result._whole[name] = np.array([2 ** (longest - 1).bit_length()])
        return result

    @property
    def static_columns(self) -> frozenset[str]:
        """The names of the columns that have one value for each row."""
        return frozenset(name for name, of in self._columns.items() if of.lengths is None)

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each row ``[N]``; of the first column of sequences in a dict."""
        assert self._main.lengths is not None
        return self._main.lengths[self._rows]

    @property
    def whole_lengths(self) -> np.ndarray:
        """The lengths of all rows of the data set from which ``take`` took these: they decide how
        long batches are."""
        return next(iter(self._whole.values()))

    @property
    def inputs(self) -> Any:
        """The inputs of these rows, as they were given: an array, a list of rows, or a dict."""
        taken = {name: column.take(self._rows) for name, column in self._columns.items()}
        return taken[SINGLE] if self._single else taken

    @property
    def targets(self) -> Any:
        """The targets ``[N, ...]``, or a list of rows; None if there are none."""
        return None if self._targets is None else self._targets.take(self._rows)

    @property
    def groups(self) -> np.ndarray | None:
        """What belongs together ``[N]``, if it was given."""
        return None if self._groups is None else self._groups[self._rows]

    def classes(self) -> np.ndarray | None:
        """The classes that occur, and -1 if some are missing; None for targets that are numbers,
        or on the disk."""
        if self._targets is None or self._targets.is_float or self._targets.is_on_disk:
            return None
        targets = self.targets
        rows = targets if isinstance(targets, list) else [targets]
        return np.unique(np.concatenate([np.unique(row) for row in rows]))

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
        column = self._targets
        targets, seen = missing_values.fill(
            "targets", column, column.batch(rows, longest), rows, self.missing
        )
        if self.per == "step":
            assert column.lengths is not None
            exists = exists & (np.arange(longest)[:, None] < column.lengths[rows])
        exists = exists.reshape(exists.shape + (1,) * (targets.ndim - exists.ndim))
        counts = np.broadcast_to(exists, targets.shape)
        if seen is not None:
            counts = counts & seen
        if targets.dtype.kind == "i":
            if column.is_on_disk and targets.min(initial=0) < -1:
                raise WrongValue(f"targets: expected classes from -1, got {targets.min()}")
            counts = counts & (targets >= 0)
            targets = np.maximum(targets, 0)
        return DataBatch(shown, targets, counts)

    def fingerprint(self) -> dict[str, Any]:
        """What shows that data are the same when a killed fit goes on."""
        return fingerprint(self._named_columns(), self._rows, self.lengths)

    def kinds(self) -> dict[str, str]:
        """What each column holds; training and validation data must agree."""
        return kinds(self._named_columns())

    def _named_columns(self) -> dict[str, Column]:
        targets = {} if self._targets is None else {"targets": self._targets}
        return {**self._columns, **targets}

    def _argument(self, name: str) -> str:
        return "inputs" if self._single else f"inputs[{name!r}]"

    def _lengths_by_name(self) -> dict[str, np.ndarray]:
        return {
            name: column.lengths
            for name, column in self._columns.items()
            if column.lengths is not None
        }

    def _column_batch(self, name: str, column: Column, rows: np.ndarray, longest: int) -> Any:
        argument = self._argument(name)
        if column.lengths is None:
            return missing_values.fill(argument, column, column.batch(rows, 0), rows, self.missing)[
                0
            ]
        steps = longest
        if column is not self._main:  # as long as in all rows, so that one shape serves a bucket
            steps = int(self._whole[name].max())
        values: Any = missing_values.fill(
            argument, column, column.batch(rows, steps), rows, self.missing
        )[0]
        if not column.ragged:
            return values
        lengths: Any = column.lengths[rows].astype(np.int32)
        return Sequences(values, lengths)

    def _target_column(self, targets: Any) -> Column:
        count = self._main.size
        if self.per == "sequence":
            column = columns.sequence_targets(targets)
        else:
            column = columns.step_targets(targets, self._main)
        if column.size != count:
            raise WrongValue(
                f"targets: expected {count}, one for each row of the inputs, got {column.size}"
            )
        return column
