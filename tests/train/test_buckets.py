import itertools

import numpy as np
import pytest

from lstm_jax.train.data.buckets import epoch_batches, make_buckets


def padded_steps(lengths, ends):
    """The steps of all rows, padded to the first end that holds them."""
    return sum(min(end for end in ends if end >= length) for length in lengths)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_buckets_pad_as_little_as_any_would(count):
    rng = np.random.default_rng(count)
    for _ in range(10):
        lengths = rng.choice([1, 2, 3, 5, 8, 13, 21], size=rng.integers(count * 4, 40))
        buckets = make_buckets(lengths, count, 1)
        ends = [bucket.longest for bucket in buckets]
        assert len(ends) <= count and ends == sorted(set(ends))
        assert sorted(np.concatenate([of.rows for of in buckets])) == list(range(len(lengths)))
        for bucket in buckets:
            assert lengths[bucket.rows].max() == bucket.longest
        kinds = np.unique(lengths)
        best = min(
            padded_steps(lengths, [*chosen, kinds[-1]])
            for chosen in itertools.combinations(kinds, min(count, len(kinds)) - 1)
        )
        assert padded_steps(lengths, ends) == best


def test_many_lengths_have_nearly_the_least_padding():
    lengths = np.random.default_rng(0).gamma(2, 20, 10_000).astype(int) + 1
    kinds = np.unique(lengths)
    rows = np.searchsorted(np.sort(lengths), kinds, side="right")
    best = rows * kinds  # of one bucket up to each length
    for _ in range(3):
        cost = (rows - rows[:, None]) * kinds
        best = np.minimum(best, np.where(cost >= 0, best[:, None] + cost, 10**9).min(axis=0))
    ends = [bucket.longest for bucket in make_buckets(lengths, 4, 10)]
    assert len(ends) == 4 and best[-1] <= padded_steps(lengths, ends) < 1.03 * best[-1]


def test_small_data_have_fewer_buckets():
    lengths = np.arange(1, 41)
    counts = [len(make_buckets(lengths, 4, batch_size)) for batch_size in (1, 3, 5, 6, 10, 40)]
    assert counts == [4, 3, 2, 1, 1, 1]
    assert len(make_buckets(np.full(40, 7), 4, 1)) == 1


def test_parts_have_the_lengths_of_the_whole():
    whole = np.random.default_rng(0).integers(1, 50, 200)
    ends = [bucket.longest for bucket in make_buckets(whole, 4, 4)]
    for seed in range(5):
        part = np.random.default_rng(seed).permutation(200)[:180]
        buckets = make_buckets(whole[part], 4, 4, whole)
        assert [bucket.longest for bucket in buckets] == ends
        for bucket, below in zip(buckets, [0, *ends], strict=False):
            assert (whole[part][bucket.rows] <= bucket.longest).all()
            assert (whole[part][bucket.rows] > below).all()
    short = np.flatnonzero(whole <= ends[1])
    assert [of.longest for of in make_buckets(whole[short], 4, 1, whole)] == ends[:2]


def test_every_row_is_in_one_batch():
    lengths = np.random.default_rng(0).integers(1, 50, 203)
    buckets = make_buckets(lengths, 4, 8)
    for words in (None, (3, 4)):
        batches = epoch_batches(buckets, 8, words, 5)
        rows = np.concatenate([batch.rows[: batch.real] for batch in batches])
        assert sorted(rows) == list(range(203))
        for batch in batches:
            assert len(batch.rows) == 8 and (batch.rows[batch.real :] == batch.rows[0]).all()
            assert lengths[batch.rows].max() <= buckets[batch.bucket].longest
        assert sum(batch.real < 8 for batch in batches) <= len(buckets)
    in_order = epoch_batches(buckets, 8, None, 0)
    assert [batch.bucket for batch in in_order] == sorted(batch.bucket for batch in in_order)
