"""Packing: ragged sequences end to end in rows, with little padding."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int, Shaped

from lstm_jax._internal import checking
from lstm_jax._internal.dtypes import jax_dtype
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray


class Packed(NamedTuple):
    """Packed sequences. ``xs``, ``resets`` and ``lengths`` are arguments for ``lj.unroll``.

    Attributes:
        xs: The sequences, ``[T, rows, *features]``.
        resets: True at the first step of each sequence, ``[T, rows]``.
        lengths: The number of steps in each row, ``[rows]``.
        row: The row of each of the N sequences, ``[N]``.
        start: The first step of each in its row, ``[N]``.
        steps: The length of each, ``[N]``.
    """

    xs: Shaped[np.ndarray, "T rows *features"]
    resets: Bool[np.ndarray, "T rows"]
    lengths: Int[np.ndarray, " rows"]
    row: Int[np.ndarray, " N"]
    start: Int[np.ndarray, " N"]
    steps: Int[np.ndarray, " N"]


@default_promotion
def pack(
    sequences: Sequence[Shaped[AnyArray, "_ *features"]],
    *,
    rows: int | None = None,
    max_padding: float = 0.05,
) -> Packed:
    """Fills ragged sequences end to end into rows.

        packed = lj.pack(sequences)
        state, ys = lj.unroll(
            cell, params, packed.xs, resets=packed.resets, lengths=packed.lengths
        )
        outputs = lj.unpack(packed, ys)

    No sequence is cut. They are placed from the longest to the shortest, each into the row that is
    least full.

    Args:
        sequences: A list of arrays ``[t, *features]``.
        rows: The number of rows; by default the most (and so the shortest T) for which padding is
            at most ``max_padding`` of all steps.
        max_padding: The largest share of padding, in [0, 1).

    Raises:
        ValueError, TypeError: Without sequences, and for sequences of different features.
    """
    if not isinstance(sequences, list | tuple):
        got = type(sequences).__name__
        raise WrongValue(f"sequences: expected a list of arrays [t, *features], got {got}")
    if not sequences:
        raise WrongValue("sequences: expected at least one, got none")
    max_padding = checking.rate("max_padding", max_padding)
    for i, sequence in enumerate(sequences):
        is_array = isinstance(sequence, np.ndarray | jax.Array)
        if not is_array or sequence.ndim < 1 or isinstance(sequence, jax.core.Tracer):
            raise WrongType(
                f"sequences[{i}]: expected an array [t, *features] outside of jit, got "
                f"{type(sequence).__name__}"
            )
        jax_dtype(f"sequences[{i}]", sequence)
    arrays = [np.asarray(sequence) for sequence in sequences]
    first = arrays[0]
    for i, a in enumerate(arrays):
        if a.shape[1:] != first.shape[1:] or a.dtype != first.dtype:
            raise WrongValue(
                f"sequences[{i}]: expected {first.dtype} features {first.shape[1:]}, as in "
                f"sequences[0], got {a.dtype} features {a.shape[1:]}"
            )
    steps = np.array([len(a) for a in arrays])
    if rows is None:
        rows = _most_rows(steps, max_padding)
    row, start, lengths = _fill(steps, checking.positive_int("rows", rows))
    xs = np.zeros((int(lengths.max()), rows, *first.shape[1:]), first.dtype)
    resets = np.zeros(xs.shape[:2], bool)
    for a, r, s in zip(arrays, row, start, strict=True):
        xs[s : s + len(a), r] = a
        resets[s : s + min(len(a), 1), r] = True
    return Packed(xs, resets, lengths, row, start, steps)


@default_promotion
def unpack(packed: Packed, ys: Shaped[AnyArray, "T rows *out"]) -> list[np.ndarray]:
    """Takes packed outputs apart.

    Args:
        packed: What ``lj.pack`` returned.
        ys: Outputs for it, ``[T, rows, *out]``.

    Returns:
        One array ``[t, *out]`` per sequence, in the order in which ``lj.pack`` received them.
    """
    if not isinstance(packed, Packed):
        raise WrongType(f"packed: expected a result of lj.pack, got {type(packed).__name__}")
    ys = np.asarray(checking.array("ys", ys))
    if ys.shape[:2] != packed.resets.shape:
        raise WrongValue(f"ys: expected axes [T, rows], {packed.resets.shape}, got {ys.shape[:2]}")
    places = zip(packed.row, packed.start, packed.steps, strict=True)
    return [ys[start : start + steps, row] for row, start, steps in places]


def _fill(steps: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and start of each sequence, and the length of each row."""
    row, start = np.zeros((2, len(steps)), int)
    heap = [(0, r) for r in range(rows)]
    for i in np.argsort(-steps, kind="stable"):
        length, r = heap[0]
        row[i], start[i] = r, length
        heapq.heapreplace(heap, (length + int(steps[i]), r))
    lengths = np.zeros(rows, int)
    for length, r in heap:
        lengths[r] = length
    return row, start, lengths


def _most_rows(steps: np.ndarray, max_padding: float) -> int:
    """The most rows for which padding is at most ``max_padding`` of all steps."""
    total, longest = int(steps.sum()), int(steps.max())
    if total == 0:
        return 1
    # T is at least the longest sequence, so more rows than this cannot be filled.
    rows = max(1, int(total / (longest * (1.0 - max_padding))))
    while rows > 1:
        lengths = _fill(steps, rows)[2]
        if total >= (1.0 - max_padding) * rows * int(lengths.max()):
            break
        rows -= max(1, rows // 64)
    return rows
