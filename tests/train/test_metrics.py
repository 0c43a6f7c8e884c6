"""Metrics equal scikit-learn's, or a loop by hand, on random data."""

import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as reference

from lstm_jax.train import metrics, scoring
from lstm_jax.train.metrics import Metric

RNG = np.random.default_rng(0)
ROWS = 40
LOGITS = RNG.normal(size=(ROWS, 4)).astype(np.float32)
CLASSES = RNG.integers(0, 4, ROWS)
ONE = RNG.normal(size=(ROWS, 1)).astype(np.float32)
BINARY = RNG.integers(0, 2, ROWS)
NUMBERS = RNG.normal(size=(ROWS, 3)).astype(np.float32)
TRUTH = (NUMBERS + RNG.normal(size=(ROWS, 3))).astype(np.float32)
BAD = np.arange(ROWS)[:, None] == 3
LEVELS = (0.1, 0.5, 0.9)


def value_of(metric, outputs, targets):
    """As training and evaluation compute it."""
    metric = metrics.resolve(metric)
    if metric.of_all is not None:
        return metric.of_all(outputs, targets)
    return metric.finish(float(np.mean(metric.of_target(jnp.asarray(outputs), targets))))


def softmax(logits):
    p = np.exp(logits.astype(np.float64))
    return p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("mse", reference.mean_squared_error(TRUTH, NUMBERS)),
        ("rmse", math.sqrt(reference.mean_squared_error(TRUTH, NUMBERS))),
        ("mae", reference.mean_absolute_error(TRUTH, NUMBERS)),
        ("r2", reference.r2_score(TRUTH, NUMBERS)),
    ],
)
def test_numbers(name, expected):
    assert value_of(name, NUMBERS, TRUTH) == pytest.approx(expected, rel=1e-5)
    one = value_of(name, NUMBERS[:, :1], TRUTH[:, 0])
    assert one == pytest.approx(value_of(name, NUMBERS[:, 0], TRUTH[:, 0]), rel=1e-6)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("accuracy", reference.accuracy_score(CLASSES, LOGITS.argmax(1))),
        ("f1_macro", reference.f1_score(CLASSES, LOGITS.argmax(1), average="macro")),
        ("auc", reference.roc_auc_score(CLASSES, softmax(LOGITS), multi_class="ovr")),
        ("cross_entropy", reference.log_loss(CLASSES, softmax(LOGITS))),
        ("perplexity", math.exp(reference.log_loss(CLASSES, softmax(LOGITS)))),
        ("bits", reference.log_loss(CLASSES, softmax(LOGITS)) / math.log(2)),
    ],
)
def test_classes(name, expected):
    assert value_of(name, LOGITS, CLASSES) == pytest.approx(expected, rel=1e-6)


TWO = np.concatenate([np.zeros((ROWS, 1), np.float32), ONE], axis=1) + 3


@pytest.mark.parametrize("outputs", [ONE, ONE[:, 0], TWO], ids=["[M, 1]", "[M]", "[M, 2]"])
@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float32, bool])
def test_two_classes(outputs, kind):
    predicted = ONE[:, 0] > 0
    targets = BINARY.astype(kind)
    assert value_of("f1", outputs, targets) == pytest.approx(reference.f1_score(BINARY, predicted))
    assert value_of("f1_macro", outputs, targets) == pytest.approx(
        reference.f1_score(BINARY, predicted, average="macro")
    )
    assert value_of("auc", outputs, targets) == pytest.approx(
        reference.roc_auc_score(BINARY, ONE[:, 0])
    )
    if outputs is not TWO or kind is not np.float32:
        assert value_of("accuracy", outputs, targets) == pytest.approx(
            reference.accuracy_score(BINARY, predicted), rel=1e-6
        )
    if outputs is not TWO:
        assert value_of("binary_cross_entropy", outputs, targets) == pytest.approx(
            reference.log_loss(BINARY, 1 / (1 + np.exp(-ONE.astype(float)))), rel=1e-6
        )


def test_ties_count_half():
    assert value_of("auc", np.zeros(ROWS, np.float32), BINARY) == 0.5
    scores = np.float32([0.0, 0.0, 1.0])
    assert value_of("auc", scores, np.array([0, 1, 1])) == 0.75


def test_accuracy_of_every_step_and_of_several_labels():
    values = scoring.is_correct(LOGITS.reshape(8, 5, 4), CLASSES.reshape(8, 5))
    np.testing.assert_array_equal(values, (LOGITS.argmax(1) == CLASSES).reshape(8, 5))
    labels = NUMBERS > 0.5
    np.testing.assert_array_equal(scoring.is_correct(NUMBERS, labels), (NUMBERS > 0) == labels)
    nan = scoring.is_correct(np.where(np.eye(ROWS, 4) == 1, np.nan, LOGITS), CLASSES)
    np.testing.assert_array_equal(np.isnan(nan), np.arange(ROWS) < 4)
    assert np.isnan(scoring.is_correct(ONE, np.full(ROWS, -1))).all()
    assert np.isnan(scoring.is_correct(ONE * np.nan, BINARY)).all()


def test_pinball_is_scikit_learns():
    expected = [
        reference.mean_pinball_loss(TRUTH[:, 0], NUMBERS[:, n], alpha=q)
        for n, q in enumerate(LEVELS)
    ]
    for metric in (metrics.pinball(LEVELS), "pinball(levels=(0.1, 0.5, 0.9))"):
        assert value_of(metric, NUMBERS, TRUTH[:, 0]) == pytest.approx(np.mean(expected), rel=1e-6)


def test_crps_of_a_sample_is_exact():
    """Of the empirical distribution: E|X - y| - E|X - X'| / 2 (Gneiting & Raftery 2007, eq. 21)."""
    members = 8
    sample = np.sort(RNG.normal(size=(ROWS, members)).astype(np.float32), axis=1)
    y = TRUTH[:, 0]
    spread = np.abs(sample[:, :, None] - sample[:, None, :]).mean(axis=(1, 2))
    expected = np.abs(sample - y[:, None]).mean(axis=1) - spread / 2
    metric = metrics.crps((np.arange(members) + 0.5) / members)
    np.testing.assert_allclose(metric.of_target(sample, y), expected, rtol=1e-4, atol=1e-6)
    assert value_of(metrics.crps([0.5]), NUMBERS[:, :1], y) == pytest.approx(
        value_of("mae", NUMBERS[:, :1], y), rel=1e-6
    )


def test_coverage():
    quantiles = np.sort(NUMBERS, axis=1)
    y = TRUTH[:, 0].copy()
    y[0], y[1] = quantiles[0, 0], quantiles[1, 2]  # the ends are inside
    inside = (quantiles[:, 0] <= y) & (y <= quantiles[:, 2])
    metric = metrics.coverage(0.1, 0.9, levels=LEVELS)
    assert metric.name == "coverage(0.1, 0.9)" and metric.higher_is_better is None
    np.testing.assert_array_equal(metric.of_target(quantiles, y), inside)
    two = metrics.resolve("coverage(low=0.1, high=0.9)")
    np.testing.assert_array_equal(two.of_target(quantiles[:, ::2], y), inside)
    for arguments, match in [
        ((0.1, 0.8), "high: expected one of levels, .*, got 0.8"),
        ((0.2, 0.9), "low: expected one of levels"),
        ((0.9, 0.1), "high: expected a level above low, 0.9, got 0.1"),
    ]:
        with pytest.raises(ValueError, match=match):
            metrics.coverage(*arguments, levels=LEVELS)


def test_the_metric_of_one_quantile():
    y = TRUTH[:, 0]
    for name in ("rmse", "r2"):
        metric = metrics.at_level(name, 0.5, levels=LEVELS)
        assert metric.name == name
        assert value_of(metric, NUMBERS, y) == pytest.approx(value_of(name, NUMBERS[:, 1], y))
        with pytest.raises(ValueError, match=r"quantiles \[..., 3\], .* got shape \(40, 2\)"):
            value_of(metric, NUMBERS[:, :2], y)
    with pytest.raises(ValueError, match="level: expected one of levels"):
        metrics.at_level("mae", 0.4, levels=LEVELS)


def test_measure_leaves_out_what_is_missing():
    y = np.where(BAD[:, 0], np.nan, TRUTH[:, 0])
    kept = ~BAD[:, 0]
    found = metrics.measure(("mse", "rmse", "r2"), NUMBERS[:, 0], y)
    assert list(found) == ["mse", "rmse", "r2"]
    for name, value in found.items():
        assert value == pytest.approx(value_of(name, NUMBERS[kept, 0], TRUTH[kept, 0]), rel=1e-6)
    classes = np.where(BAD[:, 0], -1, CLASSES)
    for name, value in metrics.measure(["accuracy", "auc", "bits"], LOGITS, classes).items():
        assert value == pytest.approx(value_of(name, LOGITS[kept], CLASSES[kept]), rel=1e-6)
    holes = np.where(BAD & (np.arange(3) == 1), np.nan, TRUTH)
    found = metrics.measure(["mae", "r2"], NUMBERS, holes)
    assert found["mae"] == pytest.approx(np.nanmean(np.abs(NUMBERS - holes)), rel=1e-6)
    assert found["r2"] == pytest.approx(reference.r2_score(TRUTH[kept], NUMBERS[kept]), rel=1e-6)
    with pytest.raises(ValueError, match="one or more that are not missing, got none"):
        metrics.measure("mse", NUMBERS[:, 0], TRUTH[:, 0] * np.nan)
    with pytest.raises(ValueError, match="one or more that are not missing, got none"):
        metrics.measure("mse", NUMBERS[:0, 0], TRUTH[:0, 0])


@pytest.mark.parametrize("season", [1, 12])
def test_mase(season):
    series = RNG.normal(size=60).cumsum()
    scale = np.mean([abs(series[t] - series[t - season]) for t in range(season, 60)])
    expected = np.abs(NUMBERS[:, 0] - TRUTH[:, 0]).mean() / scale
    metric = metrics.mase(series, season)
    assert value_of(metric, NUMBERS[:, 0], TRUTH[:, 0]) == pytest.approx(expected, rel=1e-5)
    assert value_of(metric, NUMBERS[:, :1], TRUTH[:, 0]) == pytest.approx(expected, rel=1e-5)
    gaps = np.concatenate([series, [np.nan, np.nan]])
    assert value_of(metrics.mase(gaps, season), NUMBERS[:, 0], TRUTH[:, 0]) == pytest.approx(
        expected, rel=1e-5
    )


def test_mase_scales_each_column():
    training = RNG.normal(size=(50, 3)).cumsum(0) * [1, 10, 100]
    scale = np.abs(np.diff(training, axis=0)).mean(axis=0)
    expected = (np.abs(NUMBERS - TRUTH) / scale).mean()
    assert value_of(metrics.mase(training), NUMBERS, TRUTH) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"expected \[..., 3\], one for each column"):
        value_of(metrics.mase(training), NUMBERS[:, 0], TRUTH[:, 0])


@pytest.mark.parametrize(
    "training, season, match",
    [
        (np.ones(5), 1, "numbers that differ from those 1 steps before, got a mean .* 0.0"),
        (np.stack([np.arange(5), np.ones(5)], 1), 1, "before in column 1"),
        (np.arange(5.0), 5, "season: expected fewer steps than training has, 5, got 5"),
        (np.arange(5.0), 0, "season: expected a positive integer"),
        (np.full(5, np.nan), 1, "training: expected finite numbers"),
        (np.ones((2, 2, 2)), 1, r"training: expected \[T\] or \[T, D\]"),
        ("abc", 1, "training: expected numbers"),
    ],
)
def test_mase_checks(training, season, match):
    with pytest.raises((ValueError, TypeError), match=match):
        metrics.mase(training, season)


def test_qlike():
    forecasts, variances = np.exp(NUMBERS), np.exp(TRUTH)
    expected = np.mean([r - math.log(r) - 1 for r in (variances / forecasts).ravel().tolist()])
    assert value_of("qlike", forecasts, variances) == pytest.approx(expected, rel=1e-5)
    by_logs = metrics.qlike(log_outputs=True)
    assert value_of(by_logs, NUMBERS, variances) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "name, outputs, targets, match",
    [
        ("auc", ONE, np.ones(ROWS, int), "every class from 0 to 1, got none of class 0"),
        ("auc", LOGITS, np.where(CLASSES == 2, 0, CLASSES), "got none of class 2"),
        ("auc", ONE, BINARY + 1, "auc: expected targets from 0 to 1, got 2"),
        ("f1", ONE, BINARY - 1, "f1: expected targets from 0 to 1, got -1"),
        ("f1", LOGITS, CLASSES, r"two classes \(f1_macro takes more\), got 4"),
        ("f1", ONE, BINARY + 0.5, r"f1: expected targets from 0 to 1, got .\.5"),
        ("auc", ONE[:0], BINARY[:0], "auc: expected 1 targets or more, got 0"),
        ("r2", ONE[:1], TRUTH[:1, :1], "r2: expected 2 targets or more, got 1"),
        ("r2", ONE[:0], TRUTH[:0, :1], "r2: expected 2 targets or more, got 0"),
        ("r2", np.where(BAD, np.nan, ONE), BINARY, "finite outputs, got nan in row 3"),
        ("auc", np.where(BAD, np.inf, ONE), BINARY, "finite outputs, got inf in row 3"),
        ("r2", NUMBERS, TRUTH[:, 0], r"targets: .*\(40, 3\).*got \(40,\)"),
        ("r2", NUMBERS[:, 0], TRUTH[:, :1], r"targets: .*\(40,\).*got \(40, 1\)"),
        ("auc", ONE, BINARY[:, None], r"targets: expected shape \[M\].*got \(40, 1\)"),
        ("mse", ONE, TRUTH, r"targets: expected the outputs' shape \(40, 1\)"),
        ("accuracy", LOGITS, TRUTH[:, 0], "targets: expected classes, as integers"),
        ("accuracy", LOGITS, CLASSES[:-1], "targets: expected the outputs' shape"),
    ],
)
def test_what_has_no_value_is_an_error(name, outputs, targets, match):
    with pytest.raises(ValueError, match=match):
        value_of(name, outputs, targets)


def test_values_by_convention():
    zeros = np.zeros(ROWS, int)
    assert value_of("f1", ONE * 0 - 1, zeros) == 0.0
    assert value_of("r2", NUMBERS[:, 0], np.ones(ROWS)) == 0.0
    assert value_of("r2", np.ones(ROWS, np.float32), np.ones(ROWS)) == 1.0
    assert metrics.resolve("perplexity").finish(1e6) == math.inf


def spread(outputs, targets):
    return np.ptp(outputs - targets)


def test_resolve():
    assert metrics.resolve("mse").name == "mse"
    custom = Metric("largest", False, of_all=lambda o, t: float(np.abs(o - t).max()))
    assert metrics.resolve(custom) is custom
    metric = metrics.resolve(spread)
    assert metric.name == "spread" and metric.higher_is_better is None
    assert metric.of_all(NUMBERS, TRUTH) == spread(NUMBERS, TRUTH)
    for wrong, match in [
        ("rms", "did you mean 'rmse'"),
        ("mae(delta=1)", "mae without options"),
        ("coverage", "expected coverage"),
        (3, "expected names, Metrics or functions, got int"),
        (Metric("none", True), "expected none with of_target or of_all, got neither"),
        (Metric("two", True, spread, of_all=spread), "got both"),
        (reference.r2_score, r"wrap it, as in lambda outputs, targets: r2_score\(targets"),
    ]:
        with pytest.raises((ValueError, TypeError), match=match):
            metrics.resolve(wrong)
    with pytest.raises(ValueError, match="one number from <lambda>"):
        metrics.resolve(lambda outputs, targets: outputs).of_all(NUMBERS, TRUTH)


def test_resolve_all():
    names = [metric.name for metric in metrics.resolve_all(("mse", "auc", spread))]
    assert names == ["mse", "auc", "spread"]
    assert [metric.name for metric in metrics.resolve_all("mse")] == ["mse"]
    assert [metric.name for metric in metrics.resolve_all(metrics.METRICS["r2"])] == ["r2"]
    assert metrics.resolve_all(()) == ()
    with pytest.raises(ValueError, match="expected different names, got 'mse' twice"):
        metrics.resolve_all(["mse", "mae", "mse"])


def test_of_target_under_jit():
    for metric, outputs, targets in [
        ("accuracy", LOGITS, CLASSES),
        ("perplexity", LOGITS, CLASSES),
        ("coverage(low=0.1, high=0.9)", NUMBERS[:, :2], TRUTH[:, 0]),
        (metrics.mase(np.arange(9.0)), ONE, TRUTH[:, 0]),
    ]:
        of_target = metrics.resolve(metric).of_target
        np.testing.assert_allclose(
            jax.jit(of_target)(outputs, targets), of_target(outputs, targets), rtol=1e-5
        )


def test_scikit_learn_is_imported_only_when_it_is_needed():
    program = (
        "import sys; from lstm_jax import train; train.metrics.resolve('auc');"
        "assert not any(name.startswith('sklearn') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"auc: needs scikit-learn; pip install 'lstm_jax\["):
        value_of("auc", ONE, BINARY)
