"""Probes of labels that were planted in the states, and of labels that are not there."""

import sys

import jax
import numpy as np
import pytest

import lstm_jax as lj

KEY = jax.random.key(0)


@pytest.fixture
def states():
    """``[T, B, S]``, with one direction of large variance that says nothing."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(6, 60, 4)) * [1, 1, 1, 50]).astype(np.float32)


def test_a_planted_number_is_read_and_noise_is_not(states):
    rng = np.random.default_rng(1)
    labels = states @ np.array([1.0, -2, 0.5, 0]) + 3
    probe = lj.insight.probe(states, labels, kind="regression", key=KEY)
    assert probe.mean > 0.999 and probe.interval < 0.01
    assert probe.control.max() < 0.1 and abs(probe.baseline.mean()) < 0.05
    noise = lj.insight.probe(states, rng.normal(size=(6, 60)), kind="regression", key=KEY)
    assert noise.mean < 0.05
    assert str(probe).startswith("R² 1.000 ± 0.00")


def test_the_score_of_a_noisy_label_is_its_share_of_signal(states):
    labels = states[..., 0] + np.random.default_rng(1).normal(size=(6, 60))
    probe = lj.insight.probe(states, labels, kind="regression", key=KEY, splits=20)
    assert abs(probe.mean - 0.5) < 0.1
    assert probe.scores.shape == probe.control.shape == probe.baseline.shape == (20,)


def test_a_planted_class_is_read(states):
    labels = np.where(states[..., 1] > 0.5, "high", "low")
    probe = lj.insight.probe(states, labels, kind="classification", key=KEY, splits=4)
    assert probe.mean > 0.95
    assert abs(probe.baseline.mean() - np.mean(labels == "low")) < 0.05
    assert abs(probe.control.mean() - probe.baseline.mean()) < 0.05


@pytest.mark.slow
def test_rows_are_split_and_not_steps():
    """Each row has a random signature and a random label: steps would leak it, rows do not."""
    rng = np.random.default_rng(0)
    signature, labels = rng.normal(size=(40, 30)), rng.integers(0, 2, 40)
    states = np.broadcast_to(signature, (20, 40, 30)).astype(np.float32)
    by_row = lj.insight.probe(states, labels, kind="classification", key=KEY, splits=6)
    assert by_row.mean < 0.75
    steps = states.reshape(800, 30)
    leaking = lj.insight.probe(steps, np.tile(labels, 20), kind="classification", key=KEY, splits=2)
    assert leaking.mean == 1


def test_masked_samples_change_nothing(states):
    labels = states[..., :2] * 2  # two numbers per step
    mask = np.arange(6)[:, None] < np.arange(60) % 7
    clean = lj.insight.probe(states, labels, kind="regression", key=KEY, mask=mask, splits=2)
    poisoned = np.where(mask[..., None], states, np.nan)
    again = lj.insight.probe(poisoned, labels, kind="regression", key=KEY, mask=mask, splits=2)
    np.testing.assert_array_equal(clean.scores, again.scores)
    assert clean.mean > 0.99


def test_the_interval_is_that_of_nadeau_and_bengio():
    scores = np.array([0.5, 0.6, 0.9])
    probe = lj.insight.Probe(scores, scores, scores, ratio=0.5, kind="regression")
    expected = 4.302653 * np.sqrt(np.var(scores, ddof=1) * (1 / 3 + 0.5))  # t with 2 degrees
    np.testing.assert_allclose(probe.interval, expected, rtol=1e-6)


def test_the_error_without_scikit_learn_names_the_extra(states, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ImportError, match=r"lstm_jax\[experiments\]"):
        lj.insight.probe(states, states[..., 0] > 0, kind="classification", key=KEY)


@pytest.mark.parametrize(
    ("message", "change"),
    {
        "kind: expected one of": {"kind": "ranking"},
        "labels: expected shape": {"labels": np.zeros((6, 59))},
        "labels: expected numbers": {"labels": np.full((6, 60), "a")},
        "labels: expected integers": {"kind": "classification"},
        "mask: expected booleans": {"mask": np.ones((6, 60))},
        "held_out: expected a probability": {"held_out": 1.5},
        "ridge: expected a number above 0": {"ridge": 0.0},
        "states: expected finite": {"states": np.full((6, 60, 2), np.inf)},
        "states: expected at least 3 rows": {"mask": np.arange(60) < np.ones((6, 1)) * 2},
    }.items(),
)  # fmt: skip
def test_bad_input(states, message, change):
    arguments = {"states": states, "labels": np.zeros((6, 60)), "kind": "regression", "key": KEY}
    with pytest.raises(lj.ArgumentError) as error:
        lj.insight.probe(**(arguments | change))
    assert message in str(error.value)
