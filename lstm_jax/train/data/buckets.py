"""The batches of an epoch: rows of similar lengths together, in an order drawn from the key."""

from typing import NamedTuple

import numpy as np

CANDIDATES = 64  # lengths at which a bucket may end
MIN_BATCHES = 4  # in a bucket, so that few batches are incomplete


class Bucket(NamedTuple):
    """Rows that are padded to one length, so that one program serves them all.

    rows: their numbers.
    longest: the largest of their lengths.
    """

    rows: np.ndarray
    longest: int


class RowBatch(NamedTuple):
    """Which rows a batch has.

    rows: ``[batch_size]``; an incomplete batch repeats its first row.
    real: how many of them count, from the first.
    bucket: the number of its bucket.
    """

    rows: np.ndarray
    real: int
    bucket: int


def make_buckets(
    lengths: np.ndarray, count: int, batch_size: int, whole: np.ndarray | None = None
) -> list[Bucket]:
    """At most ``count`` buckets, from short to long, with the least padding in all.

    Small data have fewer buckets: each should fill a few batches.

    Args:
        whole: the lengths of the data set of which these are a part, such as a fold. They decide
            where buckets end, so that all parts have batches of the same shapes; by default
            ``lengths``.
    """
    whole = np.sort(lengths if whole is None else whole, kind="stable")
    count = max(1, min(count, len(lengths) // (MIN_BATCHES * batch_size)))
    longest = whole[np.array(_best_ends(whole, count)) - 1]
    bucket_of = np.searchsorted(longest, lengths)
    return [
        Bucket(np.flatnonzero(bucket_of == i), int(steps))
        for i, steps in enumerate(longest)
        if (bucket_of == i).any()
    ]


def _best_ends(lengths: np.ndarray, count: int) -> list[int]:
    """Where to cut sorted lengths into ``count`` parts or fewer, so that the sum over the parts of
    size times largest length is the least, by dynamic programming over quantiles."""
    total = len(lengths)
    marks = np.unique(np.linspace(0, total, CANDIDATES + 1).astype(int)[1:])
    # A bucket ends where the length changes.
    marks = np.unique(np.searchsorted(lengths, lengths[marks - 1], side="right"))
    size = len(marks)
    starts = np.concatenate([[0], marks])
    cost = np.full((size + 1, size + 1), np.inf)  # of one part from mark i to mark j
    for i in range(size):
        for j in range(i + 1, size + 1):
            cost[i, j] = (starts[j] - starts[i]) * lengths[starts[j] - 1]
    best, choice = cost[0].copy(), []
    for _ in range(1, min(count, size)):
        through = best[:, None] + cost
        choice.append(np.concatenate([[0], through[:, 1:].argmin(axis=0)]))
        new = np.concatenate([[np.inf], through[:, 1:].min(axis=0)])
        if not (new < best).any():
            choice.pop()
            break
        # A cut more is taken only where it saves padding.
        choice[-1] = np.where(new < best, choice[-1], -1)
        best = np.minimum(best, new)
    ends, at = [int(starts[size])], size
    for step in reversed(choice):
        if step[at] > 0:
            at = int(step[at])
            ends.append(int(starts[at]))
    return ends[::-1]


def epoch_batches(
    buckets: list[Bucket], batch_size: int, words: tuple[int, ...] | None, epoch: int
) -> list[RowBatch]:
    """The batches of an epoch, a pure function of the key's ``words`` and ``epoch``.

    Args:
        words: of the key; None for rows in their order, bucket by bucket.
    """
    generator = None
    if words is not None:
        # The numbers of RandomState are the same in all versions of NumPy.
        seed = np.random.SeedSequence([*words, epoch]).generate_state(8)
        generator = np.random.RandomState(seed)
    batches = []
    for number, bucket in enumerate(buckets):
        rows = bucket.rows if generator is None else generator.permutation(bucket.rows)
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            filled = np.concatenate([part, np.repeat(part[:1], batch_size - len(part))])
            batches.append(RowBatch(filled, len(part), number))
    if generator is None or len(buckets) == 1:
        return batches
    return [batches[i] for i in generator.permutation(len(batches))]
