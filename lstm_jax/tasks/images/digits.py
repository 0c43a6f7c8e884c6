"""Real handwritten digits, read one pixel at a time."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax.tasks.classes import accuracy_score, cross_entropy, lookup_accuracy, majority_accuracy
from lstm_jax.tasks.rows import sample_rows
from lstm_jax.tasks.settings import under_default_settings
from lstm_jax.tasks.task import Batch, Task

CLASSES = 10
HELD_OUT_SHARE = 0.2  # of each class for test, and as much for validation


class Split(NamedTuple):
    """Indices into the data set; the three parts are disjoint and cover it."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@under_default_settings
def digits(split_seed: int = 0) -> Task:
    """The 1797 digits of 8 by 8 pixels that scikit-learn carries, one pixel per step (T = 64).

    They are the test part of the UCI "Optical recognition of handwritten digits" (Alpaydin &
    Kaynak 1998). Pixels come row by row from the top left, scaled from 0..16 to [0, 1]: inputs
    ``[64, B, 1]``, classes ``[B]`` asked for at the last step. Loss: cross-entropy in nats.
    Score: accuracy; chance is the share of the commonest class in the test part, and the best
    memoryless answer the commonest class of the training digits with the same last pixel.

    Args:
        split_seed: shuffles each class before it is cut into train, validation and test (60, 20
            and 20 %). The writers are unknown, so a writer's digits may stand on both sides of the
            cut.

    Raises:
        ImportError: if scikit-learn is missing.
    """
    split_seed = checking.seed("split_seed", split_seed)
    pixels, labels = load()
    split = stratified(labels, split_seed)
    train = part(pixels, labels, split.train)
    test = part(pixels, labels, split.test)

    return Task(
        name=f"digits(split_seed={split_seed})" if split_seed else "digits",
        input_size=1,
        output_size=CLASSES,
        sample=sample_rows(
            len(split.train), lambda rows: Batch(train.xs[:, rows], train.targets[rows])
        ),
        validation=part(pixels, labels, split.validation),
        test=test,
        loss=cross_entropy,
        score=accuracy_score(
            majority_accuracy(test.targets),
            lookup_accuracy((train.xs[-1], train.targets), (test.xs[-1], test.targets)),
        ),
    )


def load() -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``[1797, 64]`` in [0, 1], and labels ``[1797]``."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            "digits: the data come with scikit-learn; pip install 'lstm_jax[experiments]'"
        ) from None
    data = load_digits()
    return (data.data / 16.0).astype(np.float32), data.target.astype(np.int32)


def stratified(labels: np.ndarray, seed: int) -> Split:
    """Each class cut in the same proportions, so that all parts have the same mix."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]] = ([], [], [])
    for label in range(CLASSES):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held_out = round(HELD_OUT_SHARE * len(rows))
        cuts = np.split(rows, [held_out, 2 * held_out])
        for rows_of_part, cut in zip(parts, cuts, strict=True):
            rows_of_part.append(cut)
    test, validation, train = (np.sort(np.concatenate(rows)) for rows in parts)
    return Split(train, validation, test)


def part(pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> Batch:
    """Chosen digits with time first: ``[64, N, 1]``, and ``[N]``."""
    return Batch(jnp.asarray(pixels[rows].T[:, :, None]), jnp.asarray(labels[rows]))
