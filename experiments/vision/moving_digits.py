"""Moving MNIST: ten frames of moving digits are shown, and the ten that follow are to be drawn.

    LSTM_JAX_DATA=FOLDER python -m experiments moving_digits
    LSTM_JAX_DATA=FOLDER python -m experiments moving_digits --digits 2 --side 64 --channels 64 64

Srivastava, Mansimov & Salakhutdinov 2015; Shi et al. 2015, whose ConvLSTM is the encoder-forecaster
here, over patches of 4 by 4 pixels, beside a plain LSTM on flat frames and the last frame. As in
the literature, errors are sums over the pixels of a frame, with ink as 1, means over the frames:
squared errors, and cross-entropies in nats. The published number is for two digits and 64 by 64.

Expect, in three or four minutes on a GPU: squared errors of 7.6 for the ConvLSTM, 9.4 for the LSTM
and 32.6 for the last frame; with two digits and 64 by 64 pixels 78.4, 119.9 and 288.2, where the
published ConvLSTM of 15 million weights has 29.8 after 200 epochs.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.run.study import Column, Entry, Published, Study, Trial
from experiments.vision import _films
from experiments.vision._films_figures import SHOWN, draw_films
from lstm_jax import train
from lstm_jax._internal import checking

TIME = "1 h"
SEEN = 10  # frames
MSE, CROSS_ENTROPY = "test MSE per frame", "test cross-entropy per frame in nats"
CLIP = 1e-3  # of pixels as probabilities, for the cross-entropy of frames that are copied

# Two digits, 64 by 64, 10 frames to 10.
PUBLISHED = (Published("ConvLSTM, 200 epochs", "OpenSTL", {MSE: 29.8}, False, 15_000_000),)


@dataclasses.dataclass(frozen=True)
class Config:
    digits: int = 1
    """Digits in a film."""
    side: int = 32
    """Side of a frame: 32, with digits of half the size, or 64."""
    films: int = 8000
    """Films to train on, and a tenth of it to choose the epoch; as many for the test."""
    channels: tuple[int, ...] = (32, 32)
    """Channels of each layer of the ConvLSTM."""
    kernel: int = 5
    patch: int = 4
    lstm_size: int = 512
    """Hidden size of the plain LSTM."""
    seeds: int = 1
    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 1e-3
    """Rate of Adam at the start; it falls to zero along a cosine."""
    frames: int = 20
    """Frames of a film, of which the first ten are shown."""


def studies(config: Config) -> list[Study]:
    checking.positive_int("epochs", config.epochs)
    held_out = max(config.films // 10, 1)
    films = _films.load((config.films, held_out, held_out), config.digits, config.side,
                        config.frames)  # fmt: skip
    to_come = config.frames - SEEN
    places = (config.side // config.patch,) * 2
    layers = [lj.conv_lstm(size, places, config.kernel) for size in config.channels]
    models = {
        f"ConvLSTM, {' + '.join(map(str, config.channels))}": _films.forecaster(
            lj.chain(*layers), lj.chain(*layers), config.side, to_come, config.patch
        ),
        f"LSTM, {config.lstm_size}": _films.forecaster(
            lj.lstm(config.lstm_size), lj.lstm(config.lstm_size), config.side, to_come
        ),
    }
    entries = [Entry("last frame", "baseline", functools.partial(run_last_frame, films))]
    for name, model in models.items():
        entries.append(
            Entry(name, "net", functools.partial(run_net, model, films, config),
                  range(config.seeds), train.count_parameters(model))
        )  # fmt: skip
    standard = (config.digits, config.side, config.frames) == (2, 64, 20)
    count = f"{config.digits} digit{'s' * (config.digits > 1)}"
    return [
        Study(
            f"Moving MNIST, {count}, {config.side} x {config.side}",
            f"{config.films:,} films to train on, {held_out:,} of other digits to choose the "
            f"epoch, and {held_out:,} of digits by other writers for the test.",
            [Column(MSE, False, 1), Column(CROSS_ENTROPY, False, 1)],
            entries,
            {part: made.frames for part, made in zip(_films.PARTS, films, strict=True)},
            PUBLISHED if standard else (),
            findings=draw_films,
        )
    ]


def run_net(
    model: train.Model, films: _films.Films, config: Config, trial: Trial
) -> Mapping[str, float]:
    data, held_out = (_films.continuations(part, SEEN) for part in (films.train, films.validation))
    steps = config.epochs * -(-len(data) // config.batch_size)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.cosine_decay_schedule(config.learning_rate, steps)),
    )
    fitted = train.fit(
        model, data, validation=held_out, loss="binary_cross_entropy", optimizer=optimizer,
        epochs=config.epochs, batch_size=config.batch_size, checkpoint=trial.checkpoint,
        key=trial.key, progress=trial.progress,
    )  # fmt: skip
    trial.save_arrays("history", **fitted.history)
    test = _films.continuations(films.test, SEEN)
    answers = train.predict(model, fitted.params, test, batch_size=config.batch_size)
    return score(np.asarray(answers), films.test, trial)


def run_last_frame(films: _films.Films, trial: Trial) -> Mapping[str, float]:
    count, frames = films.test.frames.shape[:2]
    last = films.test.frames[:, SEEN - 1].reshape(count, 1, -1) / np.float32(255)
    return score(np.repeat(last, frames - SEEN, axis=1), films.test, trial)


def score(answers: np.ndarray, films: object, trial: Trial) -> Mapping[str, float]:
    """The errors of frames ``[N, T, S * S]`` in [0, 1], the first of which are kept as pictures."""
    shown = np.asarray(films.frames)  # type: ignore[attr-defined]
    count, side = len(shown), shown.shape[-1]
    wanted = shown[:, SEEN:].reshape(answers.shape) / np.float32(255)
    trial.save_arrays(
        "films",
        wanted=shown[:SHOWN],
        drawn=answers[:SHOWN].reshape(min(SHOWN, count), -1, side, side),
    )
    sure = np.clip(answers, CLIP, 1 - CLIP)
    cross_entropies = -wanted * np.log(sure) - (1 - wanted) * np.log(1 - sure)
    return {
        MSE: float(np.mean(np.sum((answers - wanted) ** 2, axis=-1))),
        CROSS_ENTROPY: float(np.mean(np.sum(cross_entropies, axis=-1))),
    }
