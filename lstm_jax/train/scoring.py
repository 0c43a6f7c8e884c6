"""What metrics compute that is no loss: whether a class is right; and of all targets at once, by
scikit-learn, in NumPy, of outputs ``[M, ...]`` and targets ``[M]`` or ``[M, K]``."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import wide
from lstm_jax.core.typing import AnyArray
from lstm_jax.train import losses


@default_promotion
def is_correct(outputs: AnyArray, targets: AnyArray) -> jax.Array:
    """1.0 where the likeliest class is the target, 0.0 where it is not, and NaN for an output that
    is NaN: ``[..., C]`` beside ``[...]``, or one logit per target, which is class 1 if above zero.
    """
    outputs = wide(checking.float_array("outputs", outputs, "logits [..., C]", 0))
    targets = checking.array("targets", targets)
    if outputs.shape[:-1] == targets.shape and outputs.shape[-1:] != (1,) and outputs.ndim:
        targets = losses.classes(targets, targets.shape, outputs.shape)
        correct = jnp.argmax(outputs, axis=-1) == targets
        valid = ~jnp.isnan(outputs).any(axis=-1)
    else:
        outputs, targets = losses.numbers(outputs, targets)
        correct = (outputs > 0) == (targets == 1)
        valid = ~jnp.isnan(outputs) & ((targets == 0) | (targets == 1))
    return jnp.where(valid, correct.astype(outputs.dtype), jnp.nan)


def r2(outputs: Any, targets: Any) -> float:
    """The share of the targets' variance that is explained, averaged over their columns.

    As in scikit-learn, it is 0 for constant targets, or 1 if the outputs are equal to them.
    """
    outputs, targets = _at_least(2, "r2", outputs, targets)
    targets = np.asarray(targets, np.float64)
    if outputs.shape == (*targets.shape, 1):
        outputs = outputs[..., 0]
    if outputs.shape != targets.shape:
        raise _wrong_shapes(outputs, targets)
    columns = (len(targets), -1)
    return float(_sklearn("r2").r2_score(targets.reshape(columns), outputs.reshape(columns)))


def f1(outputs: Any, targets: Any) -> float:
    """The F1 score of class 1 of two; 0 if it is neither predicted nor there."""
    predicted, targets = _classes("f1", outputs, targets)
    if np.ndim(outputs) == 2 and np.shape(outputs)[1] > 2:
        raise WrongValue(
            f"f1: expected outputs of two classes (f1_macro takes more), got {np.shape(outputs)[1]}"
        )
    return float(_sklearn("f1").f1_score(targets, predicted, zero_division=0.0))


def f1_macro(outputs: Any, targets: Any) -> float:
    """The mean of the F1 scores of all classes that are predicted or there."""
    predicted, targets = _classes("f1_macro", outputs, targets)
    return float(
        _sklearn("f1_macro").f1_score(targets, predicted, average="macro", zero_division=0.0)
    )


def auc(outputs: Any, targets: Any) -> float:
    """The area under the ROC curve: the probability that a member of a class has a higher score
    than one that is not, ties counted half. Of more than two classes, the mean of each against the
    rest, by their probabilities.

    Raises ValueError if a class is not among the targets: there is no area then.
    """
    _, targets = _classes("auc", outputs, targets)
    logits = np.asarray(outputs, np.float64).reshape(len(targets), -1)
    count = max(2, logits.shape[1])
    absent = sorted(set(range(count)) - set(np.unique(targets).tolist()))
    if absent:
        raise WrongValue(
            f"auc: expected targets of every class from 0 to {count - 1}, "
            f"got none of class {', '.join(map(str, absent[:10]))}"
        )
    area = _sklearn("auc").roc_auc_score
    if count == 2:
        return float(area(targets, logits[:, -1] - (logits[:, 0] if logits.shape[1] == 2 else 0)))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return float(np.mean([area(targets == c, p[:, c] / p.sum(axis=1)) for c in range(count)]))


def _classes(metric: str, outputs: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest classes and the targets, both integers ``[M]``."""
    outputs, targets = _at_least(1, metric, outputs, targets)
    if targets.ndim != 1 or outputs.shape[:1] != targets.shape or outputs.ndim > 2:
        raise _wrong_shapes(outputs, targets)
    count = 2 if outputs.ndim == 1 else max(2, outputs.shape[1])
    classes = targets.astype(np.int64)
    wrong = (classes != targets) | (classes < 0) | (classes >= count)
    if wrong.any():
        raise WrongValue(
            f"{metric}: expected targets from 0 to {count - 1}, got {targets[wrong][0]}"
        )
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return (outputs.reshape(-1) > 0).astype(np.int64), classes
    return outputs.argmax(axis=1), classes


def _at_least(count: int, metric: str, outputs: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    outputs, targets = np.asarray(outputs, np.float64), np.asarray(targets)
    got = len(targets) if targets.ndim else 0
    if got < count:
        raise WrongValue(f"{metric}: expected {count} targets or more, got {got}")
    bad = ~np.isfinite(outputs)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise WrongValue(f"{metric}: expected finite outputs, got {outputs[bad][0]} in row {row}")
    return outputs, targets


def _wrong_shapes(outputs: np.ndarray, targets: np.ndarray) -> WrongValue:
    return WrongValue(
        f"targets: expected shape [M] of outputs' M rows, or the outputs' shape {outputs.shape} "
        f"if they are numbers, got {targets.shape}"
    )


def _sklearn(metric: str) -> Any:
    try:
        from sklearn import metrics
    except ImportError:
        raise ImportError(
            f"{metric}: needs scikit-learn; pip install 'lstm_jax[experiments]'"
        ) from None
    return metrics
