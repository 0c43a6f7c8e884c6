"""In which direction does the digit set out? A CNN over each frame, with a recurrent cell on top.

    LSTM_JAX_DATA=FOLDER python -m experiments video_class

Films of one moving digit (see ``moving_digits``), of 20 frames. The class is the eighth of the
circle in which the digit moves at first, so the first frames have to be remembered while it bounces
off the edges. The answer of one frame alone is that of chance; a cell reads how the frames follow
each other.

Expect, in three minutes on a GPU: 93.2 % of directions right for the GRU, 92.0 % for the LSTM and
89.5 % for the tanh RNN, where the commonest class has 12.8 %.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Column, Entry, Findings, Results, Study, Trial
from experiments.vision import _films
from lstm_jax import tasks, train
from lstm_jax._internal import checking
from lstm_jax.tasks.images.moving_mnist import DIRECTIONS

TIME = "20 min"
TEST, HELD_OUT = "test accuracy in %", "validation accuracy in %"


@dataclasses.dataclass(frozen=True)
class Config:
    cells: tuple[str, ...] = ("lstm", "gru", "rnn")
    """Cells, by their names in lj.cells.registry."""
    size: int = 64
    """Hidden size of each cell."""
    channels: int = 8
    """Channels of the first convolution; the second has twice as many."""
    side: int = 32
    films: int = 8000
    """Films to train on, and a tenth of it to choose the epoch; as many for the test."""
    frames: int = 20
    seeds: int = 1
    epochs: int = 15
    batch_size: int = 32
    learning_rate: float = 1e-3
    """Rate of Adam at the start; it falls to zero along a cosine."""


def studies(config: Config) -> list[Study]:
    checking.positive_int("epochs", config.epochs)
    held_out = max(config.films // 10, 1)
    films = _films.load((config.films, held_out, held_out), 1, config.side, config.frames)
    entries = [Entry("commonest class", "baseline", functools.partial(run_commonest, films))]
    for name in config.cells:
        cell = lj.cells.make(name, config.size)
        model = _films.film_classifier(cell, config.side, config.channels, DIRECTIONS)
        entries.append(
            Entry(f"CNN + {name}, {config.size}", "net",
                  functools.partial(run_net, model, films, config), range(config.seeds),
                  train.count_parameters(model))
        )  # fmt: skip
    return [
        Study(
            "directions of moving digits",
            f"{config.films:,} films to train on, {held_out:,} of other digits to choose the "
            f"epoch, and {held_out:,} of digits by other writers for the test.",
            [Column(TEST, True, 1), Column(HELD_OUT, True, 1)],
            entries,
            {part: made.frames for part, made in zip(_films.PARTS, films, strict=True)},
            findings=draw_accuracy,
        )
    ]


def classified(films: tasks.images.MovingDigits) -> train.Dataset:
    return train.Dataset(films.frames, films.directions[:, 0])


def run_net(
    model: train.Model, films: _films.Films, config: Config, trial: Trial
) -> Mapping[str, float]:
    data, held_out, test = (classified(part) for part in films)
    steps = config.epochs * -(-len(data) // config.batch_size)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.cosine_decay_schedule(config.learning_rate, steps)),
    )
    fitted = train.fit(
        model, data, validation=held_out, loss="cross_entropy", metrics=["accuracy"],
        early_stopping=train.EarlyStopping(config.epochs, "accuracy"), optimizer=optimizer,
        epochs=config.epochs, batch_size=config.batch_size, checkpoint=trial.checkpoint,
        key=trial.key, progress=trial.progress,
    )  # fmt: skip
    trial.save_arrays("history", **fitted.history)

    def accuracy(part: train.Dataset) -> float:
        return 100 * train.evaluate(model, fitted.params, part, metrics="accuracy")["accuracy"]

    return {TEST: accuracy(test), HELD_OUT: accuracy(held_out)}


def run_commonest(films: _films.Films, trial: Trial) -> Mapping[str, float]:
    commonest = np.bincount(films.train.directions[:, 0]).argmax()
    return {
        column: 100 * float(np.mean(part.directions == commonest))
        for column, part in ((TEST, films.test), (HELD_OUT, films.validation))
    }


def draw_accuracy(results: Results) -> Findings:
    """The validation accuracy of each net by epoch."""
    figure = draw_epochs(results, {"validation_accuracy": "validation accuracy"})
    return Findings(figures={"validation accuracy by epoch": figure})
