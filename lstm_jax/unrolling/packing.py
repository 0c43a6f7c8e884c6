"""Ragged sequences end to end in rows, so that hardly a step is spent on padding."""

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
    """Sequences in rows. ``xs``, ``resets`` and ``lengths`` go to ``lj.unroll`` as they are.

    row, start, steps: where each of the N sequences stands, and how long it is.
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
    """Ragged ``sequences``, each ``[t, *features]``, filled end to end into rows.

    No sequence is cut. rows: how many; None takes the most (the shortest T) for which padding
    is at most ``max_padding`` of all steps. Packing goes from the longest sequence to the
    shortest, each into the row that is least full.

    Raises ValueError or TypeError for no sequences, and for ones whose features differ.
    """
    if not isinstance(sequences, list | tuple) or not sequences:
        got = "none" if isinstance(sequences, list | tuple) else type(sequences).__name__
        raise WrongValue(f"sequences: expected a list of arrays [t, *features], got {got}")
    max_padding = checking.rate("max_padding", max_padding)
    for i, sequence in enumerate(sequences):
        known = isinstance(sequence, np.ndarray | jax.Array)
        if not known or sequence.ndim < 1 or isinstance(sequence, jax.core.Tracer):
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
                f"sequences[{i}]: expected {first.dtype} {first.shape[1:]}, as "
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
    """``ys [T, rows, *out]`` back as one array ``[t, *out]`` a sequence, in their first order."""
    if not isinstance(packed, Packed):
        raise WrongType(f"packed: expected what lj.pack gives, got {type(packed).__name__}")
    ys = np.asarray(checking.array("ys", ys))
    if ys.shape[:2] != packed.resets.shape:
        raise WrongValue(f"ys: expected [T, rows], {packed.resets.shape}, got axes {ys.shape[:2]}")
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
