"""What shows that two data sets are the same, or of the same kind."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_jax.train.data.columns import Column

ROWS_OF_DIGEST = 1000


def fingerprint(
    columns: Mapping[str, Column], rows: np.ndarray, lengths: np.ndarray
) -> dict[str, Any]:
    """Shapes, and a checksum of the lengths and of some of the rows."""
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), ROWS_OF_DIGEST)).astype(int)]
    parts = [rows.astype(np.int64), lengths.astype(np.int64)]
    for column in columns.values():
        parts += [column.row(row) for row in some]
    digest = 0
    for part in parts:
        digest = zlib.crc32(np.ascontiguousarray(part).tobytes(), digest)
    return {
        "rows": len(rows),
        "columns": {name: list(column.row_shape) for name, column in columns.items()},
        "checksum": digest,
    }


def kinds(columns: Mapping[str, Column]) -> dict[str, str]:
    """What each column holds, such as "sequences of floats [7]"."""
    return {
        name: ("static " if column.lengths is None else "sequences of ")
        + f"{'floats' if column.is_float else 'integers'} {list(column.row_shape)}"
        for name, column in columns.items()
    }
