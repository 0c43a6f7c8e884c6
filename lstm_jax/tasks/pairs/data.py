"""Pairs of sequences: the batches of sequence-to-sequence tasks, and their scores.

Data on the host are ragged rows of ids; batches are padded to a few fixed shapes. All rows are
in RAM, so the order of an epoch is a permutation, which takes NumPy fewer lines than a data loader.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.vocabulary import END, PAD, Ids

Width = tuple[int, int]  # of source and target


class PairBatch(NamedTuple):
    """Pairs of sequences that are learnt or scored together; padding has the id 0.

    source: without START and END.
    target: ends in END, which ``target_lengths`` counts; START is up to the decoder.
    """

    source: Int32[Ids, "S B"]
    source_lengths: Int32[Ids, "B"]
    target: Int32[Ids, "T B"]
    target_lengths: Int32[Ids, "B"]

    @property
    def xs(self) -> "PairBatch":
        """What a model is shown: all of it, since teacher forcing reads the target."""
        return self


class Pairs(NamedTuple):
    """Rows of ids of any length, ``sources[i]`` beside ``targets[i]``, without START and END."""

    sources: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]

    def lengths(self) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
        """The lengths of the sources, and of the targets with the END that a batch adds."""
        if len(self.sources) != len(self.targets):
            raise WrongValue(
                f"pairs: expected as many sources as targets, got {len(self.sources)} "
                f"and {len(self.targets)}"
            )
        sources = np.array([len(row) for row in self.sources], int)
        return sources, np.array([len(row) + 1 for row in self.targets], int)


def matches(predicted: Int[Ids, "P B"], target: Int[Ids, "T B"]) -> Bool[np.ndarray, "B"]:
    """Which rows are right in every token, the END included.

    What follows a row's first END does not count; a prediction without END is wrong.
    Raises ValueError for a target without END.
    """
    answer, truth = np.asarray(predicted), np.asarray(target)
    without = np.flatnonzero(~(truth == END).any(axis=0))
    if without.size:
        raise WrongValue(f"target: expected END in every row, got row {without[0]} without it")
    steps = max(len(answer), len(truth))
    answer, truth = (
        np.pad(np.where(_after_end(ids), PAD, ids), ((0, steps - len(ids)), (0, 0)))
        for ids in (answer, truth)
    )
    return (answer == truth).all(axis=0)


def _after_end(ids: np.ndarray) -> np.ndarray:
    ended = np.cumsum(ids == END, axis=0) > 0
    return np.concatenate([np.zeros_like(ended[:1]), ended[:-1]])


def exact_match(predicted: Int[Ids, "P B"], target: Int[Ids, "T B"]) -> float:
    """The share of rows that are right in every token (``matches``), from 0 to 1."""
    if np.shape(target)[1] == 0:
        raise WrongValue("target: expected at least one row, got none")
    return float(matches(predicted, target).mean())


def batches(
    pairs: Pairs,
    *,
    batch_size: int,
    widths: Sequence[Width],
    seed: int | None = None,
    epoch: int = 0,
    drop_last: bool = False,
) -> Iterator[tuple[np.ndarray, PairBatch]]:
    """Every pair once: ``(rows [B], batch)``, rows being the pairs' positions in ``pairs``.

    Args:
        widths: the shapes ``(S, T)`` to pad to, T counting END, each at least the one before it.
            One program is compiled for each, and one more for the last batch. A pair goes to the
            first width that holds it. The pairs that are left over when a width has filled its
            batches move on to the next, so that at most one batch of an epoch, the last, is
            smaller than ``batch_size``.
        seed, epoch: determine the order of the pairs and of the batches. Without a seed the pairs
            of each width keep their order, as suits validation.
        drop_last: leave the smaller batch out.

    Raises:
        ValueError: for a pair that the last width does not hold.
    """
    batch_size = checking.positive_int("batch_size", batch_size)
    shapes = _check_widths(widths)
    source_lengths, target_lengths = pairs.lengths()
    rng = None if seed is None else host_generator(seed=seed, epoch=epoch)
    fits = (source_lengths[:, None] <= shapes[:, 0]) & (target_lengths[:, None] <= shapes[:, 1])
    if not fits[:, -1].all():
        row = int(np.flatnonzero(~fits[:, -1])[0])
        raise WrongValue(
            f"widths: expected a last width of at least "
            f"{(int(source_lengths[row]), int(target_lengths[row]))}, for pair {row} with END, got "
            f"{tuple(shapes[-1].tolist())}"
        )
    first = fits.argmax(axis=1)
    plan: list[tuple[np.ndarray, Width]] = []
    waiting = np.zeros(0, int)
    for number, (source, target) in enumerate(shapes.tolist()):  # from narrow to wide
        rows = np.concatenate([waiting, np.flatnonzero(first == number)])
        if rng is not None:
            rows = rng.permutation(rows)
        full = len(rows) - len(rows) % batch_size
        plan += [(some, (source, target)) for some in rows[:full].reshape(-1, batch_size)]
        waiting = rows[full:]
    if rng is not None:
        plan = [plan[place] for place in rng.permutation(len(plan))]
    if waiting.size and not drop_last:
        plan.append((waiting, (source, target)))  # of the last width
    return ((rows, pad(pairs, rows, width)) for rows, width in plan)


def pad(pairs: Pairs, rows: Int[np.ndarray, "B"], width: Width) -> PairBatch:
    """The pairs at ``rows`` as a batch of the shape ``(S, T)``, with END added to the targets."""
    source = np.full((width[0], len(rows)), PAD, np.int32)
    target = np.full((width[1], len(rows)), PAD, np.int32)
    for column, row in enumerate(rows):
        source[: len(pairs.sources[row]), column] = pairs.sources[row]
        ended = np.append(pairs.targets[row], END)
        target[: len(ended), column] = ended
    source_lengths = np.array([len(pairs.sources[row]) for row in rows], np.int32)
    target_lengths = np.array([len(pairs.targets[row]) + 1 for row in rows], np.int32)
    return PairBatch(source, source_lengths, target, target_lengths)


def choose_widths(pairs: Pairs, count: int = 4) -> list[Width]:
    """Up to ``count`` widths for ``batches`` that leave little padding.

    Dynamic programming finds those percentiles of the lengths, the same of sources and targets,
    that pad the pairs to the fewest steps in all. The last width holds all pairs.
    """
    count = checking.positive_int("count", count)
    source, target = pairs.lengths()
    if not source.size:
        raise WrongValue("pairs: expected at least one pair, got none")
    shares = np.arange(1, 101) / 100
    candidates = np.stack(
        [np.maximum(1, np.quantile(of, shares, method="higher")) for of in (source, target)], axis=1
    )
    candidates = np.unique(candidates, axis=0)  # in order, since neither falls
    held = np.array([((source <= s) & (target <= t)).sum() for s, t in candidates])
    size = candidates.sum(axis=1)
    places = range(len(candidates))
    # Steps of the pairs that go to candidate b, where the width before it is candidate a.
    steps = np.where(np.tri(len(places), k=-1).T > 0, (held - held[:, None]) * size, np.inf)
    fewest, chosen = held * size, [[place] for place in places]
    for _ in range(count - 1):
        through = fewest[:, None] + steps
        before = through.argmin(axis=0)
        better = through.min(axis=0) < fewest
        chosen = [[*chosen[before[b]], b] if better[b] else chosen[b] for b in places]
        fewest = np.where(better, through.min(axis=0), fewest)
    return [(int(s), int(t)) for s, t in candidates[chosen[-1]]]


def _check_widths(widths: Sequence[Width]) -> np.ndarray:
    shapes = [(checking.positive_int("widths", s), checking.positive_int("widths", t))
              for s, t in widths]  # fmt: skip
    if not shapes or (np.diff(shapes, axis=0) < 0).any():
        raise WrongValue(
            f"widths: expected pairs (S, T), each at least the one before it, got {shapes}"
        )
    return np.array(shapes)


def host_generator(**seeds: Any) -> np.random.Generator:
    """NumPy's generator, seeded by all ``seeds`` together, whole numbers from 0 up."""
    return np.random.default_rng([checking.seed(name, seed) for name, seed in seeds.items()])
