"""Letter by letter on Shakespeare's plays, and text that the nets write.

    LSTM_JAX_DATA=FOLDER python -m experiments shakespeare
    LSTM_JAX_DATA=FOLDER python -m experiments generate runs/shakespeare --prompt "ROMEO:"

Karpathy's "tiny Shakespeare": the first 90 % of 1,115,394 characters for training and the rest for
validation, as in nanoGPT, which reaches 1.4697 nats per character on a GPU with 10.7 million
parameters, and 1.88 in its small configuration for a CPU. The whole validation text is scored from
its beginning to its end with the state carried along. There is no third part: the epoch with the
lowest loss is chosen on the text that is reported, as in nanoGPT, which makes the loss a little too
low; the last epoch's loss stands beside it.

Expect, in 40 minutes on two cores (one seed; results in experiments/results/shakespeare): 1.466
nats for the LSTM, and below 1.60 after five of the 20 epochs. Counts of n-grams are at 1.669
(Witten-Bell, 5 characters), 1.561 and 1.516 (Kneser-Ney, 5 and 7).
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optax

from experiments.harness.run.language_model import LanguageModel
from experiments.harness.run.study import Column, Entry, Published, Study, Trial
from experiments.language import _language_models as models
from experiments.language._language_models import Recipe, Training
from experiments.language._losses_figures import draw_losses
from lstm_jax.tasks import text
from lstm_jax.tasks.text import ngrams
from lstm_jax.tasks.text.ngrams import Ngrams
from lstm_jax.tasks.text.tiny_shakespeare import Shakespeare

TIME = "40 min"
BEST, LAST = "validation nats per character", "after the last epoch"

CLIP = 1.0
COUNTS: dict[str, tuple[Callable[..., Ngrams], int]] = {  # and the order of the n-grams
    "frequencies of characters": (ngrams.kneser_ney, 1),
    "Witten-Bell, 5 characters": (ngrams.witten_bell, 5),
    "Kneser-Ney, 5 characters": (ngrams.kneser_ney, 5),
    "Kneser-Ney, 7 characters": (ngrams.kneser_ney, 7),
}


@dataclasses.dataclass(frozen=True)
class Config:
    cells: tuple[str, ...] = ("lstm",)
    """Cells, by their names in lj.cells.registry, at the LSTM's number of parameters."""
    seeds: int = 1
    """How often each net is trained, with other first weights."""
    layers: int = 1
    size: int = 512
    """Units of the LSTM in each layer."""
    embedding_size: int = 64
    dropout: float = 0.3
    """Share of units set to zero in embeddings, between layers and before the readout."""
    epochs: int = 20
    window: int = 100
    """Steps through which gradients flow."""
    streams: int = 32
    """Rows of a batch."""
    learning_rate: float = 2e-3
    """Rate of Adam at the start; it falls to zero along a cosine."""


def studies(config: Config) -> list[Study]:
    data = text.shakespeare()
    training = Training(
        config.window, config.streams, config.epochs, functools.partial(optimizer, config)
    )
    base = Recipe("lstm", config.layers, config.size, config.embedding_size, config.dropout)
    entries = [
        Entry(name, "baseline", functools.partial(run_counts, data, *options))
        for name, options in COUNTS.items()
    ]
    for cell in config.cells:
        recipe = base if cell == "lstm" else models.at_size_of(base, cell, len(data.vocabulary))
        entries.append(
            Entry(
                f"{cell}, {recipe.layers} x {recipe.size}", "net",
                functools.partial(run, data, recipe, training), range(config.seeds),
                models.count_parameters(recipe, data.vocabulary),
            )
        )  # fmt: skip
    published = [
        Published("nanoGPT on a GPU", "its repository", {BEST: 1.4697}, parameters=10_700_000),
        Published("nanoGPT on a CPU", "its repository", {BEST: 1.88}),
        Published("minGRU", "Feng 2024", {BEST: 1.548}, checked=False),
    ]
    return [
        Study(
            "tiny Shakespeare",
            "By position: the first 90 % of the characters for training, the rest for validation; "
            "there is no test part.",
            [Column(BEST, False, 3), Column(LAST, False, 3)],
            entries,
            {"text": data.train, "validation": data.validation},
            published,
            findings=draw_losses,
        )
    ]


def optimizer(config: Config, steps_per_epoch: int) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.epochs * steps_per_epoch)
    return optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(schedule))


def run_counts(
    data: Shakespeare, count: Callable[..., Ngrams], order: int, trial: Trial
) -> dict[str, float]:
    losses = models.score_counts(count, order, parts_of(data), len(data.vocabulary))
    return {BEST: losses["validation"], LAST: losses["validation"]}


def parts_of(data: Shakespeare) -> dict[str, np.ndarray]:
    return {"train": data.train, "validation": data.validation}


def run(data: Shakespeare, recipe: Recipe, training: Training, trial: Trial) -> dict[str, float]:
    losses = models.train_and_score(trial, recipe, training, data.vocabulary, parts_of(data))
    return {BEST: losses["validation"], LAST: losses["last epoch"]}


def load_language_model(folder: Path) -> LanguageModel:
    """The net of a trial, for ``python -m experiments generate``."""
    data = text.shakespeare()
    model, params = models.load_net(folder, data.vocabulary)
    return LanguageModel(model, params, data.vocabulary, data.train, "characters", "\n")
