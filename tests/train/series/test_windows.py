"""Windows and what comes after them, against a loop."""

import numpy as np
import pytest

from lstm_jax.train import series
from lstm_jax.train.series.windows import cut

RNG = np.random.default_rng(0)
ONE = RNG.normal(size=30)
TABLE = RNG.normal(size=(30, 3))


@pytest.mark.parametrize("length, horizon, stride", [(1, 1, 1), (5, 1, 1), (4, 3, 2), (6, 24, 5),
                                                     (29, 1, 1)])  # fmt: skip
def test_one_target(length, horizon, stride):
    inputs, targets, _ = cut(ONE, length=length, horizon=horizon, stride=stride)
    starts = [s for s in range(0, 30, stride) if s + length + horizon <= 30]
    np.testing.assert_array_equal(inputs[..., 0], [ONE[s : s + length] for s in starts])
    np.testing.assert_array_equal(targets, [ONE[s + length - 1 + horizon] for s in starts])
    ends = series.origins(30, length=length, horizon=horizon, stride=stride)
    np.testing.assert_array_equal(ends, [s + length - 1 for s in starts])
    np.testing.assert_array_equal(targets, ONE[ends + horizon])


def test_columns_and_horizons():
    ends = series.origins(30, length=4, horizon=6)
    inputs, targets, _ = cut(TABLE, length=4, horizon=6, targets=1)
    assert inputs.shape == (21, 4, 3)
    np.testing.assert_array_equal(targets, TABLE[ends + 6, 1])
    _, targets, _ = cut(TABLE, length=4, horizon=6, targets=[2, 0])
    np.testing.assert_array_equal(targets, TABLE[ends + 6][:, [2, 0]])
    _, targets, _ = cut(TABLE, length=4, horizon=(1, 6), targets=1)
    np.testing.assert_array_equal(targets, np.stack([TABLE[ends + h, 1] for h in (1, 6)], 1))
    _, targets, _ = cut(TABLE, length=4, horizon=(1, 6), targets=[2, 0])
    expected = [[TABLE[e + h, k] for h in (1, 6) for k in (2, 0)] for e in ends]
    np.testing.assert_array_equal(targets, expected)
    _, targets, _ = cut(TABLE, length=4, horizon=range(1, 7), targets=[1])
    assert targets.shape == (21, 6)


def test_targets_of_their_own_may_be_missing():
    missing = np.where(RNG.random(30) < 0.3, np.nan, ONE)
    ends = series.origins(30, length=4, horizon=2)
    for wanted in (missing, np.stack([missing, ONE], 1)):
        _, targets, _ = cut(TABLE, length=4, horizon=2, targets=wanted)
        np.testing.assert_array_equal(targets, wanted[ends + 2])


def test_a_target_at_every_step():
    _, targets, _ = cut(TABLE, length=4, horizon=2, stride=3, targets=1, per="step")
    ends = series.origins(30, length=4, horizon=2, stride=3)
    expected = [[TABLE[s + 2, 1] for s in range(e - 3, e + 1)] for e in ends]
    np.testing.assert_array_equal(targets, expected)
    _, several, _ = cut(TABLE, length=4, horizon=(1, 2), stride=3, targets=1, per="step")
    np.testing.assert_array_equal(several[..., 1], expected)
    np.testing.assert_array_equal(several[:, 1:, 0], several[:, :-1, 1])


def test_nothing_from_after_the_origin_is_seen():
    """What comes after an origin does not change the row's inputs."""
    ends = series.origins(30, length=5, horizon=1)
    before = cut(ONE, length=5).inputs
    for row, end in enumerate(ends):
        changed = ONE.copy()
        changed[end + 1 :] += 1
        np.testing.assert_array_equal(cut(changed, length=5).inputs[row], before[row])


@pytest.mark.parametrize(
    "values, options, match",
    [
        (ONE, {"length": 30}, "got length 30 and horizon 1, which take 31"),
        (ONE, {"length": 6, "horizon": (1, 25)}, "within 30 steps, got length 6 and horizon 25"),
        (ONE, {"length": 0}, "length: expected a positive integer"),
        (ONE, {"length": 3, "horizon": 0}, "horizon: expected a positive integer, got 0"),
        (ONE, {"length": 3, "horizon": (0, 1)}, "horizon: expected a positive integer, got 0"),
        (ONE, {"length": 3, "horizon": (6, 1)}, "horizon: expected rising integers"),
        (ONE, {"length": 3, "horizon": ()}, "horizon: expected an integer or several"),
        (ONE, {"length": 3, "horizon": "1"}, "horizon: expected a positive integer"),
        (ONE, {"length": 3, "horizon": 1.5}, "horizon: expected a positive integer"),
        (ONE, {"length": 3, "stride": 0}, "stride: expected a positive integer"),
        (TABLE, {"length": 3}, "targets: expected which of 3 columns to forecast, got None"),
        (TABLE, {"length": 3, "targets": 3}, "targets: expected one of 3 columns, 0 to 2, got 3"),
        (TABLE, {"length": 3, "targets": -1}, "targets: expected a whole number from 0 up"),
        (TABLE, {"length": 3, "targets": [0, 5]}, "targets: expected one of 3 columns"),
        (TABLE, {"length": 3, "targets": []}, "targets: expected a column, several, or an array"),
        (TABLE, {"length": 3, "targets": "pm2.5"}, "targets: expected a column, several"),
        (TABLE, {"length": 3, "targets": ONE[:-1]}, "targets: expected 30 steps, .* got 29"),
        (ONE[:0], {"length": 3}, r"values: expected one step or more, got shape \(0,\)"),
        (ONE[:, None, None], {"length": 3}, r"values: expected \[T\] or \[T, D\]"),
        ("text", {"length": 3}, r"values: expected numbers \[T\] or \[T, D\]"),
        (ONE, {"length": 3, "per": "row"}, "per: expected one of sequence, step"),
    ],
)
def test_checks(values, options, match):
    with pytest.raises((ValueError, TypeError), match=match):
        cut(values, **options)


def test_a_data_set_in_order_of_time():
    data = series.windows(TABLE, length=4, horizon=6, targets=1, stride=2)
    inputs, targets, _ = cut(TABLE, length=4, horizon=6, targets=1, stride=2)
    assert len(data) == len(targets) and data.in_time_order
    np.testing.assert_array_equal(data.targets, targets)
    batch = data.read(np.array([0, 3]), 2, 4)
    np.testing.assert_allclose(batch.xs, inputs[[0, 3]].swapaxes(0, 1), rtol=1e-6)
    np.testing.assert_allclose(batch.targets, targets[[0, 3]], rtol=1e-6)
    every = series.windows(TABLE, length=4, targets=1, per="step").read(np.array([5]), 1, 4)
    np.testing.assert_allclose(every.targets[:, 0], TABLE[6:10, 1], rtol=1e-6)


def test_inputs_are_views():
    values = np.arange(1000.0)
    assert np.shares_memory(cut(values, length=100).inputs, values)
    assert np.shares_memory(cut(values, length=100, stride=7).inputs, values)


def test_missing_targets_are_named_or_masked():
    missing = ONE.copy()
    missing[[0, 12, 20]] = np.nan  # step 0 is no target
    with pytest.raises(ValueError, match=r"targets: .*\(missing='mask' .*got nan in row 12, and 2"):
        series.windows(TABLE, length=4, targets=missing)
    data = series.windows(TABLE, length=4, targets=missing, missing="mask")
    ends = series.origins(30, length=4)
    batch = data.read(np.arange(len(data)), len(data), 4)
    np.testing.assert_array_equal(batch.counts, np.isfinite(missing[ends + 1]))
    with pytest.raises(ValueError, match=r"values: .*\(fill_last .*got nan in row 0, and 3 in all"):
        series.windows(missing, length=4)
    table = TABLE.copy()
    table[7, 2] = np.inf
    with pytest.raises(
        ValueError, match="values: expected finite numbers, got inf in row 7, column 2"
    ):
        series.windows(table, length=4, targets=0)


def test_fill_last():
    nan = np.nan
    np.testing.assert_array_equal(series.fill_last([1, nan, nan, 2, nan]), [1, 1, 1, 2, 2])
    table = np.array([[1, nan], [nan, 5], [3, nan]])
    np.testing.assert_array_equal(series.fill_last(table, first=0), [[1, 0], [1, 5], [3, 5]])
    with pytest.raises(ValueError, match="a number in row 0 in column 1 to fill from"):
        series.fill_last(table)
    with pytest.raises(ValueError, match="a number in row 0 to fill from"):
        series.fill_last([nan, 1.0])
