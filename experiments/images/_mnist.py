"""Shared by the experiments on MNIST as finite data: the digits, and nets that read them."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.run.study import Column, Entry, Published, Study, Trial
from experiments.images._mnist_figures import draw_accuracy
from lstm_jax import tasks, train
from lstm_jax._internal import checking
from lstm_jax.core import initializers
from lstm_jax.tasks.images.mnist_digits import CLASSES, SIDE, Mnist

VALIDATION = 5000  # of the 60,000 training digits, the last ones in the file's order
TEST, HELD_OUT = "test accuracy in %", "validation accuracy in %"


class Digits(NamedTuple):
    """The three parts, as sequences."""

    train: train.Dataset
    validation: train.Dataset
    test: train.Dataset


class Training(NamedTuple):
    """How a net is trained, by Adam with a rate that falls to zero along a cosine.

    parameters: of each net; its hidden size is the nearest.
    epochs, batch_size, learning_rate: of training.
    t_max: the longest lag that chrono initialisation is made for; 0 for the cells' own biases.
    clip: the largest norm of a gradient.
    """

    parameters: int
    epochs: int
    batch_size: int
    learning_rate: float
    t_max: int = 0
    clip: float = 1.0


def load(pixels_per_step: int, order: np.ndarray | None = None) -> tuple[Mnist, Digits]:
    """The digits as they are in the files, and as sequences.

    Args:
        pixels_per_step: 1, or 28 for a row at each step.
        order: In which pixels are read; None for row by row.
    """
    digits = tasks.images.mnist()

    def sequences(pixels: np.ndarray, classes: np.ndarray) -> train.Dataset:
        ordered = pixels if order is None else pixels[:, order]
        steps = ordered.reshape(len(pixels), -1, pixels_per_step)
        return train.Dataset(steps / np.float32(255), classes)

    cut = len(digits.train_classes) - VALIDATION
    return digits, Digits(
        sequences(digits.train_pixels[:cut], digits.train_classes[:cut]),
        sequences(digits.train_pixels[cut:], digits.train_classes[cut:]),
        sequences(digits.test_pixels, digits.test_classes),
    )


def permutation(seed: int) -> np.ndarray:
    """An order of the pixels. The numbers of RandomState are the same in all versions of NumPy."""
    return np.random.RandomState(seed).permutation(SIDE**2)


def make_study(
    name: str,
    digits: Mnist,
    data: Digits,
    cells: Sequence[str],
    training: Training,
    seeds: int,
    published: Sequence[Published],
) -> Study:
    """Cells beside the commonest class and logistic regression on the pixels."""
    checking.positive_int("epochs", training.epochs)
    entries = [
        Entry("commonest class", "baseline", functools.partial(run_commonest, digits)),
        Entry("logistic regression", "linear", functools.partial(run_logistic, digits)),
    ]
    for cell in cells:
        model = make_model(cell, data, training)
        entries.append(
            Entry(
                f"{cell}, {model.size}", "net",
                functools.partial(run_net, model, data, training), range(seeds),
                train.count_parameters(model),
            )
        )  # fmt: skip
    return Study(
        name,
        f"60,000 digits in the files' order: {60_000 - VALIDATION:,} to train on, {VALIDATION:,} "
        "to choose the epoch; 10,000 digits of other writers for the test.",
        [Column(TEST, True, 2), Column(HELD_OUT, True, 2)],
        entries,
        {"pixels": digits.train_pixels, "test pixels": digits.test_pixels},
        published,
        findings=draw_accuracy,
    )


def make_model(name: str, data: Digits, training: Training) -> train.Model:
    """A cell by its name, whose last output is classified."""
    width = int(data.train.read(np.zeros(1, int), 1, int(data.train.lengths[0])).xs.shape[-1])

    def of_size(size: int) -> train.Model:
        cell = lj.cells.make(name, size)
        if training.t_max:
            cell = lj.initialize(cell, b=initializers.chrono(training.t_max))
        return train.network(
            cell,
            train.inputs.numbers(width),
            train.heads.classification(CLASSES),
        )

    return of_size(train.size_near(of_size, training.parameters))


def run_net(
    model: train.Model, data: Digits, training: Training, trial: Trial
) -> Mapping[str, float]:
    steps = training.epochs * -(-len(data.train) // training.batch_size)
    optimizer = optax.chain(
        optax.clip_by_global_norm(training.clip),
        optax.adam(optax.cosine_decay_schedule(training.learning_rate, steps)),
    )
    fitted = train.fit(
        model, data.train, validation=data.validation, loss="cross_entropy", metrics=["accuracy"],
        early_stopping=train.EarlyStopping(training.epochs, "accuracy"), optimizer=optimizer,
        epochs=training.epochs, batch_size=training.batch_size, checkpoint=trial.checkpoint,
        key=trial.key, progress=trial.progress,
    )  # fmt: skip
    trial.save_arrays("history", **fitted.history)

    def accuracy(part: train.Dataset) -> float:
        return 100 * train.evaluate(model, fitted.params, part, metrics="accuracy")["accuracy"]

    return {TEST: accuracy(data.test), HELD_OUT: accuracy(data.validation)}


def run_commonest(digits: Mnist, trial: Trial) -> Mapping[str, float]:
    commonest = np.bincount(digits.train_classes[:-VALIDATION]).argmax()
    return {
        TEST: 100 * float(np.mean(digits.test_classes == commonest)),
        HELD_OUT: 100 * float(np.mean(digits.train_classes[-VALIDATION:] == commonest)),
    }


def run_logistic(digits: Mnist, trial: Trial) -> Mapping[str, float]:
    """Logistic regression on all pixels at once, which sees no order."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=50, C=0.01)

    def as_floats(pixels: np.ndarray) -> np.ndarray:
        return pixels / np.float32(255)

    model.fit(as_floats(digits.train_pixels[:-VALIDATION]), digits.train_classes[:-VALIDATION])
    held_out = (digits.train_pixels[-VALIDATION:], digits.train_classes[-VALIDATION:])
    return {
        TEST: 100 * model.score(as_floats(digits.test_pixels), digits.test_classes),
        HELD_OUT: 100 * model.score(as_floats(held_out[0]), held_out[1]),
    }
