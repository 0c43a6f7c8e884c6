"""Inputs, loss, scores and success of the tasks that ask for classes.

Targets are classes ``[B]``, or ``[T, B]`` with -1 at the steps that ask for nothing.
"""

import math
from collections import Counter, defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import wide
from lstm_jax.tasks.means import mean_where
from lstm_jax.tasks.task import Batch, Score, Success


@default_promotion
def one_hot(symbols: Int[Array, "*batch"], count: int) -> Float[Array, "*batch {count}"]:
    """1 in the place of the symbol; only zeros if it is not from 0 to ``count - 1``."""
    return jax.nn.one_hot(symbols, count, dtype=jnp.float32)


def classes_from_uniform(
    uniform: Float[Array, "*batch"], count: int | jax.Array
) -> Int[Array, "*batch"]:
    """Classes 0 to ``count - 1``, each as likely, from numbers drawn in [0, 1)."""
    return jnp.floor(uniform * count).astype(jnp.int32)


def answer_mask(batch: Batch) -> jax.Array:
    """Where an answer is asked for, in the shape of the targets."""
    return batch.targets >= 0


@default_promotion
def cross_entropy(outputs: Float[Array, "*batch K"], batch: Batch) -> Float[Array, ""]:
    """The mean cross-entropy of all answers that are asked for, in nats."""
    mask = answer_mask(batch)
    classes = jnp.where(mask, batch.targets, 0)
    losses = optax.softmax_cross_entropy_with_integer_labels(wide(outputs), classes)
    return mean_where(mask, losses)


@default_promotion
def is_correct(outputs: Float[Array, "*batch K"], batch: Batch) -> jax.Array:
    """Where the most active output is the class asked for, in the shape of the targets."""
    best = jnp.argmax(outputs, axis=-1).astype(batch.targets.dtype)
    return (best == batch.targets) & answer_mask(batch)


@default_promotion
def accuracy(outputs: Float[Array, "*batch K"], batch: Batch) -> Float[Array, ""]:
    """The share of correct answers among those that are asked for."""
    return mean_where(answer_mask(batch), is_correct(outputs, batch))


@default_promotion
def error_rate(outputs: Float[Array, "*batch K"], batch: Batch) -> Float[Array, "B"]:
    """Each row's share of wrong answers, of those asked for."""
    steps = tuple(range(batch.targets.ndim - 1))
    return 1.0 - mean_where(answer_mask(batch), is_correct(outputs, batch), steps)


def accuracy_score(chance: float, memoryless: float | None) -> Score:
    return Score("accuracy", accuracy, higher_is_better=True, chance=chance, memoryless=memoryless)


def accuracy_success(share: float, rows: int, source: str) -> Success:
    """Solved if more than ``share`` of the answers are right, each row having the same weight."""
    return Success(error_rate, limit=math.inf, mean_limit=1.0 - share, rows=rows, source=source)


def majority_accuracy(classes: jax.typing.ArrayLike) -> float:
    """The accuracy of always answering the commonest of ``classes [N]``: chance, on real data."""
    return float(np.unique(np.asarray(classes), return_counts=True)[1].max() / np.size(classes))


def lookup_accuracy(
    train: tuple[jax.typing.ArrayLike, jax.typing.ArrayLike],
    test: tuple[jax.typing.ArrayLike, jax.typing.ArrayLike],
) -> float:
    """The accuracy of a table of inputs: the memoryless score on real data.

    It answers each input of ``test`` by its commonest class in ``train``, or by the commonest
    class of all if the input is not in it.

    Args:
        train, test: inputs ``[N, D]``, such as those at the last step, and their classes ``[N]``.
    """
    seen: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
    everything: Counter[int] = Counter()
    for one, its_class in zip(*map(np.asarray, train), strict=True):
        seen[one.tobytes()][int(its_class)] += 1
        everything[int(its_class)] += 1
    inputs, classes = map(np.asarray, test)
    answers = [seen.get(one.tobytes(), everything).most_common(1)[0][0] for one in inputs]
    return float(np.mean(answers == classes))
