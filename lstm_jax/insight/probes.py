"""Linear probes: what can be read from a state."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray, Key
from lstm_jax.insight.regression import fit_ridge

KINDS = {"regression": "R²", "classification": "accuracy"}


@dataclasses.dataclass(frozen=True)
class Probe:
    """The scores of a linear probe on held-out rows, one per split.

    Scores are R² for a regression and the share of right answers for a classification.

    Attributes:
        scores: Those of the probe, ``[splits]``.
        control: Those of a probe of the same labels in random order, ``[splits]``.
        baseline: Those of answering the mean, or the most frequent label, of the training rows.
        ratio: The number of held-out samples by that of training samples, for the interval.
        kind: "regression" or "classification".
    """

    scores: np.ndarray
    control: np.ndarray
    baseline: np.ndarray
    ratio: float
    kind: str

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(np.mean(self.scores))

    @property
    def interval(self) -> float:
        """Half the width of the 95 % interval of ``mean``; NaN for one split.

        The splits share rows, so that the plain standard error would be too small; this is the
        corrected one of Nadeau & Bengio 2003, "Inference for the generalization error", section 4.
        """
        if len(self.scores) < 2:
            return float("nan")
        from scipy import stats

        variance = np.var(self.scores, ddof=1) * (1 / len(self.scores) + self.ratio)
        return float(stats.t.ppf(0.975, len(self.scores) - 1) * np.sqrt(variance))

    def __str__(self) -> str:
        return (
            f"{KINDS[self.kind]} {self.mean:.3f} ± {self.interval:.3f} "
            f"(shuffled labels {np.mean(self.control):.3f}, "
            f"baseline {np.mean(self.baseline):.3f})"
        )


class _Samples(NamedTuple):
    states: np.ndarray  # [N, S]
    labels: np.ndarray  # [N, K] for a regression, else [N]
    rows: np.ndarray  # [N], the row that each sample is from


@default_promotion
def probe(
    states: AnyArray,
    labels: Any,
    *,
    kind: str,
    key: Key,
    mask: Any = None,
    splits: int = 10,
    held_out: float = 0.3,
    ridge: float = 1e-3,
) -> Probe:
    """Fits a linear readout of any label to states, and judges it on held-out rows.

        trace = lj.trace(cell, params, xs, lengths=lengths)
        probe = lj.insight.probe(trace.states.c, counts, kind="regression", mask=trace.mask,
                                 key=jax.random.key(0))
        print(probe)  # R² 0.981 ± 0.004 (shuffled labels -0.012, baseline -0.003)

    After Alain & Bengio 2017, "Understanding intermediate layers using linear classifier probes",
    with the control of Hewitt & Liang 2019 in its simplest form: a probe that also reads shuffled
    labels says little about the state. Rows are split, not steps, so that no step of a held-out
    row is trained on. States are standardised by the training rows. A regression is a ridge
    regression; a classification is scikit-learn's logistic regression (the extra ``experiments``).
    It takes ``2 splits`` fits on N samples, O(N S^2) each for a regression. Not to be jitted.

    Args:
        states: Independent rows ``[N, S]``, or the steps of rows ``[T, *batch, S]``.
        labels: A label per row ``[N]``; per step ``[T, *batch]``; or per row of the steps
            ``[*batch]``. For a regression numbers, also several, ``[..., K]`` in the first two
            cases, whose R² are averaged; for a classification integers, booleans or text.
        kind: "regression" or "classification".
        key: The random key of the splits and of the shuffled labels.
        mask: The samples that count, ``[N]`` or ``[T, *batch]``; by default all.
        splits: The number of random splits.
        held_out: The share of rows that are held out.
        ridge: The penalty on the squared weights, as a share of the largest variance of the
            standardised states (regression), or per sample (classification).

    Returns:
        The ``Probe``.

    Raises:
        ValueError, TypeError: For a wrong argument.
        ImportError: For a classification without scikit-learn.
    """
    checking.choice("kind", kind, KINDS)
    key = checking.random_key("key", key)
    splits = checking.positive_int("splits", splits)
    share = checking.rate("held_out", held_out)
    if checking.real("ridge", ridge) <= 0:
        raise WrongValue(f"ridge: expected a number above 0, got {ridge}")
    samples = _samples(states, labels, mask, kind)
    rows = np.unique(samples.rows)
    count = max(1, round(share * len(rows)))
    if len(rows) - count < 2:
        raise WrongValue(f"states: expected at least 3 rows that count, got {len(rows)}")
    fit = _score_regression if kind == "regression" else _score_classification
    scores, control, baseline, ratios = [], [], [], []
    # NumPy's generator, since JAX would compile a sort for each number of samples.
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    for _ in range(splits):
        tested = np.isin(samples.rows, random.permutation(rows)[:count])
        score, plain = fit(samples, tested, ridge)
        order = random.permutation(len(samples.labels))
        shuffled, _ = fit(samples._replace(labels=samples.labels[order]), tested, ridge)
        scores.append(score)
        control.append(shuffled)
        baseline.append(plain)
        ratios.append(tested.sum() / (~tested).sum())
    lists = np.array(scores), np.array(control), np.array(baseline)
    return Probe(*lists, float(np.mean(ratios)), kind)


def _samples(states: Any, labels: Any, mask: Any, kind: str) -> _Samples:
    """The samples that count, one per row or per step of a row, with the row of each."""
    states = np.asarray(checking.float_array("states", states, "[N, S] or [T, *batch, S]", 2))
    shape = states.shape[:-1]
    batch = shape if len(shape) == 1 else shape[1:]
    if not isinstance(labels, np.ndarray | jax.Array | list | tuple):
        raise WrongType(f"labels: expected an array, got {type(labels).__name__}")
    labels = np.asarray(labels)
    several = kind == "regression" and labels.ndim == len(shape) + 1 and labels.shape[:-1] == shape
    if len(shape) > 1 and labels.shape == batch:
        labels = np.broadcast_to(labels, shape)
    if not several and labels.shape != shape:
        raise WrongValue(
            f"labels: expected shape {shape}, that of states without the last axis, got "
            f"{labels.shape}"
        )
    number = np.issubdtype(labels.dtype, np.number) or labels.dtype == np.bool_
    if kind == "regression" and not number:
        raise WrongValue(f"labels: expected numbers for a regression, got dtype {labels.dtype}")
    if kind == "classification" and np.issubdtype(labels.dtype, np.inexact):
        raise WrongValue(
            f"labels: expected integers, booleans or text for a classification, got dtype "
            f"{labels.dtype}"
        )
    counts = np.ones(shape, bool) if mask is None else np.asarray(mask)
    if counts.shape != shape or counts.dtype != np.bool_:
        raise WrongValue(
            f"mask: expected booleans of shape {shape}, got {counts.dtype} of {counts.shape}"
        )
    rows = np.broadcast_to(np.arange(np.prod(batch, dtype=int)).reshape(batch), shape)
    if kind == "regression":
        labels = labels.reshape(*shape, -1).astype(states.dtype)
    chosen = _Samples(states[counts], labels[counts], rows[counts])
    for name, values in (("states", chosen.states), ("labels", chosen.labels)):
        if np.issubdtype(values.dtype, np.inexact) and not np.isfinite(values).all():
            raise WrongValue(f"{name}: expected finite numbers, got NaN or an infinity")
    return chosen


def _standardised(samples: _Samples, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states of training and of held-out samples."""
    train, test = samples.states[~tested], samples.states[tested]
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread == 0, 1.0, spread).astype(train.dtype)
    return (train - mean) / spread, (test - mean) / spread


def _score_regression(samples: _Samples, tested: np.ndarray, ridge: float) -> tuple[float, float]:
    train, test = _standardised(samples, tested)
    targets, truth = samples.labels[~tested], samples.labels[tested]
    predicted = np.asarray(_predict(train, targets, test, ridge))
    mean = np.broadcast_to(targets.mean(axis=0), truth.shape)
    return _r2(predicted, truth), _r2(mean, truth)


@jax.jit
def _predict(train: Any, targets: Any, test: Any, ridge: float) -> jax.Array:
    return fit_ridge(train, targets, ridge)(test)


def _r2(predicted: np.ndarray, truth: np.ndarray) -> float:
    errors = np.square(predicted - truth).sum(axis=0)
    spread = np.square(truth - truth.mean(axis=0)).sum(axis=0)
    return float(np.mean(1 - errors / np.where(spread == 0, 1.0, spread)))


def _score_classification(
    samples: _Samples, tested: np.ndarray, ridge: float
) -> tuple[float, float]:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise ImportError(
            'kind: "classification" needs scikit-learn: pip install "lstm_jax[experiments]"'
        ) from error
    train, test = _standardised(samples, tested)
    labels, truth = samples.labels[~tested], samples.labels[tested]
    names, counts = np.unique(labels, return_counts=True)
    majority = float(np.mean(truth == names[np.argmax(counts)]))
    if len(names) == 1:  # nothing to separate
        return majority, majority
    model = LogisticRegression(C=1 / (ridge * len(train)), max_iter=1000).fit(train, labels)
    return float(model.score(test, truth)), majority
