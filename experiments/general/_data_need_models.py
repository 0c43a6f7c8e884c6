"""Which examples are learnt from, and the models that learn from them.

Of n examples, nets hold back the last fifth to stop on. Simple models choose one of a few settings
on that fifth, and then learn from all n.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from experiments.harness.run.study import Trial
from experiments.language import _reviews
from experiments.language._reviews import Fold
from lstm_jax import train

TESTED = 0.2  # of all examples
HELD_BACK = 0.2  # of those that are learnt from
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)  # C of logistic regression
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # of ridge regression
LEAVES = (3, 20)  # least examples in a leaf of boosted trees


class Learner(NamedTuple):
    """A row of the table.

    score: of what was learnt from a fold, on its test part. The trial is for nets.
    """

    name: str
    kind: Literal["baseline", "linear", "net"]
    score: Callable[[Fold, Trial], float]
    parameters: int | None = None


def balanced(labels: np.ndarray, seed: int) -> np.ndarray:
    """All rows in random order, the first n of which have about as many of each class."""
    rows = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(rows), int)
    for label in np.unique(labels):
        at = np.flatnonzero(labels[rows] == label)
        rank[at] = np.arange(len(at))
    return rows[np.argsort(rank, kind="stable")]


def draw(labels: np.ndarray, seed: int, count: int) -> Fold:
    """A test part, which is the same for any ``count``, and that many of the other rows."""
    rows = balanced(labels, seed)
    tested = round(TESTED * len(rows))
    return cut(rows[tested : tested + count], rows[:tested])


def cut(rows: np.ndarray, test: np.ndarray) -> Fold:
    """Rows to learn from, of which the last are held back, and those of the test."""
    kept = len(rows) - max(1, round(HELD_BACK * len(rows)))
    return Fold(rows[:kept], rows[kept:], test)


def fit(
    model: train.Model,
    data: train.Dataset,
    held_back: train.Dataset,
    *,
    loss: Any,
    rate: float,
    steps: int,
    trial: Trial,
) -> Any:
    """The params with the lowest loss on ``held_back``. Training stops after ``steps`` updates, or
    after an eighth of them without a lower loss."""
    batch = min(64, max(2, len(data) // 8))
    per_epoch = math.ceil(len(data) / batch)
    fitted = train.fit(
        model, data, validation=held_back, loss=loss, optimizer=optimizer(rate),
        epochs=math.ceil(steps / per_epoch), batch_size=batch,
        early_stopping=max(2, math.ceil(steps / 8 / per_epoch)), buckets=2, key=trial.key,
        checkpoint=trial.checkpoint, progress=trial.progress,
    )  # fmt: skip
    return fitted.params


@functools.cache
def optimizer(rate: float) -> Any:
    """The same object for the same rate, so that no program is compiled twice."""
    return _reviews.adamw(rate)


def choose(
    make: Callable[[Any], Any],
    options: Sequence[Any],
    inputs: np.ndarray,
    targets: np.ndarray,
    fold: Fold,
) -> Any:
    """The model of scikit-learn with the option that scores best on the held-back rows, fitted to
    these too."""

    def fit_one(option: Any, rows: np.ndarray) -> Any:
        return make(option).fit(inputs[rows], targets[rows])

    held_back = inputs[fold.validation], targets[fold.validation]
    scores = [fit_one(option, fold.train).score(*held_back) for option in options]
    return fit_one(options[int(np.argmax(scores))], fold.seen)


def commonest_class(labels: np.ndarray) -> Learner:
    def score(fold: Fold, trial: Trial) -> float:
        commonest = np.bincount(labels[fold.seen]).argmax()
        return 100 * float(np.mean(labels[fold.test] == commonest))

    return Learner("commonest class", "baseline", score)


def logistic(strength: float) -> Any:
    """Logistic regression, not yet fitted."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2000)


def ridge(penalty: float) -> Any:
    """Ridge regression on scaled inputs, not yet fitted."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge(alpha=penalty))


def boosting(leaf: int) -> Any:
    """Boosted trees for classes, not yet fitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(min_samples_leaf=leaf, random_state=0)


def boosting_of_numbers(leaf: int) -> Any:
    """Boosted trees for numbers, not yet fitted."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(min_samples_leaf=leaf, random_state=0)
