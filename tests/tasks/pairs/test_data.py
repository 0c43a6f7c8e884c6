import itertools

import numpy as np
import pytest

from lstm_jax.tasks.pairs.data import (
    Pairs,
    batches,
    choose_widths,
    exact_match,
    host_generator,
    matches,
)
from lstm_jax.tasks.vocabulary import END, PAD


@pytest.fixture(scope="module")
def pairs():
    """Pairs whose ids tell which pair they belong to."""
    rng = np.random.default_rng(0)
    lengths = rng.integers([[0], [1]], [[15], [9]], (2, 203))
    return Pairs(*([np.full(n, 4 + row, np.int32) for row, n in enumerate(of)] for of in lengths))


def test_exact_match_looks_at_all_up_to_the_end():
    target = np.array([[4, 5, END, PAD], [4, 5, 6, END], [END, PAD, PAD, PAD]] * 2).T
    predicted = np.array(
        [
            [4, 5, END, 9, 9],  # right, whatever follows
            [4, 5, 6, END, END],  # right
            [END, 4, 4, 4, 4],  # right
            [4, 5, 6, END, PAD],  # a symbol too many
            [4, 5, END, PAD, PAD],  # one too few
            [PAD, END, PAD, PAD, PAD],  # padding is no answer
        ]
    ).T
    np.testing.assert_array_equal(matches(predicted, target), [True] * 3 + [False] * 3)
    assert exact_match(predicted, target) == 0.5
    # Stopped too soon to write the END: only the empty answer is right.
    np.testing.assert_array_equal(matches(predicted[:2], target), np.arange(6) == 2)
    assert exact_match(target, target) == 1.0


WIDTHS = [(5, 4), (8, 10), (14, 10)]


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_hold_every_pair_once_padded_to_the_widths(pairs, seed, drop_last):
    seen = list(batches(pairs, batch_size=16, widths=WIDTHS, seed=seed, drop_last=drop_last))
    rows = np.concatenate([rows for rows, _ in seen])
    assert len(set(rows.tolist())) == len(rows) == (192 if drop_last else 203)
    sizes = [len(rows) for rows, _ in seen]
    assert sizes == [16] * 12 + [11] * (not drop_last)
    for rows, batch in seen:
        width = (len(batch.source), len(batch.target))
        assert width in WIDTHS
        assert all(ids.dtype == np.int32 for ids in batch)
        for column, row in enumerate(rows):
            source, target = pairs.sources[row].tolist(), [*pairs.targets[row], END]
            padded = source + [PAD] * (width[0] - len(source))
            np.testing.assert_array_equal(batch.source[:, column], padded)
            np.testing.assert_array_equal(
                batch.target[:, column], target + [PAD] * (width[1] - len(target))
            )
            assert batch.source_lengths[column] == len(source)
            assert batch.target_lengths[column] == len(target)


def test_pairs_wait_for_a_wider_batch_only_where_theirs_is_full(pairs):
    counts = {width: 0 for width in WIDTHS}
    narrow = [0, 0, 0]
    for source, target in zip(*pairs.lengths(), strict=True):
        narrow[next(i for i, (s, t) in enumerate(WIDTHS) if source <= s and target <= t)] += 1
    for _, batch in batches(pairs, batch_size=16, widths=WIDTHS, seed=0):
        counts[len(batch.source), len(batch.target)] += 1
    first, left = divmod(narrow[0], 16)
    second, left = divmod(narrow[1] + left, 16)
    assert list(counts.values()) == [first, second, -(-(narrow[2] + left) // 16)]


def test_the_order_is_the_seeds_and_the_epochs(pairs):
    def order(**options):
        seen = batches(pairs, batch_size=16, widths=WIDTHS, **options)
        return np.concatenate([rows for rows, _ in seen]).tolist()

    assert order(seed=1, epoch=2) == order(seed=1, epoch=2)
    assert len({tuple(order(seed=seed, epoch=epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4
    one_width = [rows for rows, _ in batches(pairs, batch_size=16, widths=WIDTHS[-1:])]
    assert np.concatenate(one_width).tolist() == list(range(203))
    shuffled = list(batches(pairs, batch_size=16, widths=WIDTHS, seed=1))
    widths = [len(batch.source) for _, batch in shuffled[:-1]]
    assert widths != sorted(widths)  # an epoch does not go from short to long


@pytest.mark.parametrize("count", [1, 2, 3])
def test_chosen_widths_pad_least(pairs, count):
    source, target = pairs.lengths()

    def steps(widths):
        held = [((source <= s) & (target <= t)).sum() for s, t in widths]
        return (np.diff([0, *held]) * np.sum(widths, axis=1)).sum()

    at = [np.quantile(of, np.arange(1, 101) / 100, method="higher") for of in (source, target)]
    candidates = sorted(set(zip(*(of.tolist() for of in at), strict=True)))
    last = (source.max(), target.max())
    tried = itertools.combinations(candidates[:-1], count - 1)
    fewest = min(steps([*some, last]) for some in tried)
    widths = choose_widths(pairs, count)
    assert len(widths) == count and widths[-1] == last and steps(widths) == fewest
    assert len(choose_widths(Pairs([[4]] * 5, [[4]] * 5), 4)) == 1


def test_bad_input_names_the_argument(pairs):
    with pytest.raises(ValueError, match=r"target: .*got row 1 without"):
        matches(np.full((2, 2), END), np.array([[END, 4], [PAD, PAD]]))
    with pytest.raises(ValueError, match=r"target: .*got none"):
        exact_match(np.zeros((2, 0), int), np.zeros((2, 0), int))
    with pytest.raises(ValueError, match=r"widths: .* for pair \d+ with END, got \(5, 4\)"):
        batches(pairs, batch_size=2, widths=WIDTHS[:1])
    for widths in ([], [(8, 8), (9, 7)]):
        with pytest.raises(ValueError, match=r"widths: expected pairs"):
            batches(pairs, batch_size=2, widths=widths)
    with pytest.raises(ValueError, match="as many sources as targets, got 1 and 2"):
        Pairs([[4]], [[4], [4]]).lengths()
    with pytest.raises(ValueError, match=r"pairs: .*got none"):
        choose_widths(Pairs([], []))
    with pytest.raises(ValueError, match=r"epoch: .*got -1"):
        host_generator(seed=0, epoch=-1)
