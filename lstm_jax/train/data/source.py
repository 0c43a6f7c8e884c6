"""``Source``: data that are read record by record, such as a Grain data source."""

import copy
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.train.data.dataset import Dataset, Missing, Per
from lstm_jax.train.data.rows import DataBatch, groups_of, numbers_of_rows


class Source:
    """Data that are far larger than the RAM, read record by record while a batch is computed.

        data = train.Source(grain_source, lengths=lengths)   # grain_source[i]: (inputs, targets)

    Args:
        records: anything with ``len(records)`` and ``records[i]``, such as a random access data
            source of Grain: a pair of one row's inputs and its target, each as in ``Dataset``
            without the first axis; None for no target. It must give the same record for the same
            number, and is read from several threads.
        lengths: the number of steps of each row ``[N]``, so that rows can be put into buckets
            without reading them all; None if all have those of the first. Of a dict, those of the
            first column of sequences; batches of further ones are as long as a power of two.
        groups, per, missing, in_time_order: as in ``Dataset``.
    """

    far = True

    def __init__(
        self,
        records: Sequence[Any],
        *,
        lengths: Any = None,
        groups: Any = None,
        per: Per = "sequence",
        missing: Missing = "error",
        in_time_order: bool = False,
    ) -> None:
        if not hasattr(records, "__getitem__") or not hasattr(records, "__len__"):
            raise WrongType(
                f"records: expected something with len and [i], got {type(records).__name__}"
            )
        if len(records) == 0:
            raise WrongValue("records: expected at least one record, got none")
        checking.choice("per", per, ("sequence", "step"))
        checking.choice("missing", missing, ("error", "mask"))
        self.per: Per = per
        self.in_time_order = checking.flag("in_time_order", in_time_order)
        self._records, self._missing = records, missing
        self._is_ragged = False
        first = self._dataset(np.array([0]))
        self._kinds = first.kinds()
        self.static_columns = first.static_columns
        if lengths is None:
            lengths = np.full(len(records), first.lengths[0])
        self._lengths = np.asarray(lengths)
        if self._lengths.shape != (len(records),) or self._lengths.dtype.kind not in "iu":
            raise WrongValue(
                f"lengths: expected one integer for each of the {len(records)} records, got "
                f"{self._lengths.dtype} of shape {self._lengths.shape}"
            )
        self._is_ragged = bool(np.ptp(self._lengths) > 0)
        self._rows = np.arange(len(records))
        self._groups = groups_of(groups, len(records))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> np.ndarray:
        return self._lengths[self._rows]

    @property
    def groups(self) -> np.ndarray | None:
        """As of a ``Dataset``."""
        return None if self._groups is None else self._groups[self._rows]

    @property
    def whole_lengths(self) -> np.ndarray:
        """As of a ``Dataset``."""
        return self._lengths

    @property
    def targets(self) -> None:
        """Not known without reading all records."""
        return None

    def classes(self) -> None:
        """Not known without reading all records."""
        return None

    def take(self, rows: Any) -> Self:
        """The given rows, by number or by a mask ``[N]``."""
        result = copy.copy(self)
        result._rows = self._rows[numbers_of_rows(rows, len(self))]
        return result

    def read(self, rows: np.ndarray, count: int, longest: int) -> DataBatch:
        data = self._dataset(self._rows[rows])
        expected = self._lengths[self._rows[rows]]
        if (data.lengths != expected).any():
            at = int(np.flatnonzero(data.lengths != expected)[0])
            raise WrongValue(
                f"lengths: expected {data.lengths[at]}, the steps of record {self._rows[rows][at]},"
                f" got {expected[at]}"
            )
        return data.read(np.arange(len(rows)), count, longest)

    def fingerprint(self) -> dict[str, Any]:
        """Of the number of records, their lengths and the first record: others are not read."""
        digest = zlib.crc32(np.ascontiguousarray(self._lengths[self._rows]).tobytes())
        return {
            "rows": len(self),
            "checksum": digest,
            "first": self._dataset(self._rows[:1]).fingerprint(),
        }

    def kinds(self) -> dict[str, str]:
        return self._kinds

    def _dataset(self, rows: np.ndarray) -> Dataset:
        records = [self._records[int(row)] for row in rows]
        for row, record in zip(rows, records, strict=True):
            if not isinstance(record, tuple | list) or len(record) != 2:
                raise WrongType(
                    f"records: expected pairs of inputs and a target, got {type(record).__name__} "
                    f"as record {row}"
                )
        try:
            data = self._rows_of(records)
        except (WrongValue, WrongType) as error:
            for row, record in zip(rows, records, strict=True):  # which of them is it?
                try:
                    self._rows_of([record])
                except (WrongValue, WrongType) as alone:
                    text = str(alone).replace("in row 0, ", "in ")
                    raise type(alone)(f"record {row}: {text}") from None
            raise error from None
        return data.with_lengths(always=self._is_ragged)

    def _rows_of(self, records: list[Any]) -> Dataset:
        inputs: Any = [record[0] for record in records]
        if isinstance(inputs[0], Mapping):
            inputs = {name: [row[name] for row in inputs] for name in inputs[0]}
        targets: Any = [record[1] for record in records]
        if all(target is None for target in targets):  # for train.predict
            targets = None
        return Dataset(inputs, targets, per=self.per, missing=self._missing)
