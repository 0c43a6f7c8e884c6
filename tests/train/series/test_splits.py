"""Expanding splits, by hand and through scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

from lstm_jax.train import series


def as_lists(splits):
    return [(train.tolist(), test.tolist()) for train, test in splits]


def test_by_hand():
    assert as_lists(series.expanding_splits(7, first=3, step=2)) == [
        ([0, 1, 2], [3, 4]),
        ([0, 1, 2, 3, 4], [5, 6]),
    ]
    assert as_lists(series.expanding_splits(6, first=3, step=2, gap=1)) == [
        ([0, 1], [3, 4]),
        ([0, 1, 2, 3], [5]),
    ]
    assert as_lists(series.expanding_splits(4, first=2, step=100)) == [([0, 1], [2, 3])]


def test_equal_to_scikit_learns():
    ours = series.expanding_splits(20, first=8, step=4, gap=2)
    theirs = TimeSeriesSplit(3, test_size=4, gap=2).split(np.zeros(20))
    assert as_lists(ours) == as_lists(theirs)


def test_every_row_is_tested_once_and_after_its_training_rows():
    for gap in (0, 3):
        splits = [*series.expanding_splits(53, first=11, step=5, gap=gap)]
        tested = np.concatenate([test for _, test in splits])
        assert tested.tolist() == list(range(11, 53))
        assert all(train.max() + gap + 1 == test.min() for train, test in splits)


def test_a_gap_keeps_targets_before_the_first_origin():
    ends = series.origins(40, length=5, horizon=6)
    for train, test in series.expanding_splits(len(ends), first=15, step=5, gap=5):
        assert (ends[train] + 6).max() == ends[test].min()


def test_as_a_splitter():
    splitter = series.ExpandingWindow(first=30, step=10)
    x = np.random.default_rng(0).normal(size=(55, 2))
    y = x @ [1, 2]
    assert splitter.get_n_splits(x) == 3
    assert as_lists(splitter.split(x, y)) == as_lists(
        series.expanding_splits(55, first=30, step=10)
    )
    np.testing.assert_allclose(cross_val_score(LinearRegression(), x, y, cv=splitter), 1)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"first": 10, "step": 1}, "first: expected fewer than n, 10, got 10"),
        ({"first": 0, "step": 1}, "first: expected a positive integer"),
        ({"first": 3, "step": 0}, "step: expected a positive integer"),
        ({"first": 3, "step": 1, "gap": 3}, "gap: expected fewer than first, 3, got 3"),
        ({"first": 3, "step": 1, "gap": -1}, "gap: expected a whole number from 0 up"),
        ({"first": 3, "step": 1, "gap": True}, "gap: expected a whole number"),
    ],
)
def test_checks(options, match):
    with pytest.raises((ValueError, TypeError), match=match):  # at once, not at the first split
        series.expanding_splits(10, **options)
    with pytest.raises(ValueError, match="n: expected"):
        series.expanding_splits(0, first=1, step=1)
    with pytest.raises(ValueError, match="X: expected the data"):
        series.ExpandingWindow(3, 1).get_n_splits()
