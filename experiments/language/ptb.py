"""Word by word on the Penn Treebank: the small LSTM of Zaremba et al. 2014 beside other cells.

    LSTM_JAX_DATA=FOLDER python -m experiments ptb

Zaremba, Sutskever & Vinyals 2014, "Recurrent neural network regularization": two layers of 200
units without dropout, 20 streams of 20 steps with the state carried along, initial weights within
0.1, gradient descent at rate 1, halved after each epoch from the fifth on, gradients (summed over
the steps of a window) of norm 5 at most, 13 epochs. The other cells have as many parameters and the
same training. Perplexities count the end of each line as a word, and are those of the params of the
best epoch on the validation part; validation and test are scored from beginning to end with the
state carried along.

The medium net, which needs a GPU (not yet run):

    python -m experiments ptb --net medium --cells lstm

Expect, in an hour for each cell on two cores or four minutes on an NVIDIA H200 (one seed; results
in experiments/results/ptb): the LSTM 114.4 on the test part (the paper has 114.5; a Kneser-Ney
model of 5 words 141.1), the sLSTM 116.6, and the GRU 155.5, for which the paper's rate of 1 is too
high.
"""

import dataclasses
import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.run.language_model import LanguageModel
from experiments.harness.run.study import Column, Entry, Published, Study, Trial
from experiments.language import _language_models as models
from experiments.language._language_models import Recipe, Training
from experiments.language._losses_figures import draw_losses
from lstm_jax._internal import checking
from lstm_jax.tasks import text
from lstm_jax.tasks.text import ngrams
from lstm_jax.tasks.text.penn_treebank import END_OF_LINE, PennTreebank

TIME = "3 h"
TEST, VALIDATION = "test perplexity", "validation perplexity"

NETS = {
    "small": Recipe("lstm", 2, 200, init_scale=0.1),
    "medium": Recipe("lstm", 2, 650, dropout=0.5, init_scale=0.05),
}
EPOCHS = {"small": 13, "medium": 39}
WINDOW = {"small": 20, "medium": 35}
STREAMS = 20
CLIP = 5.0
COUNTS = {"frequencies of words": 1, "Kneser-Ney, 5 words": 5}  # and the order of the n-grams


@dataclasses.dataclass(frozen=True)
class Config:
    net: str = "small"
    """The configuration of the paper, "small" or "medium"."""
    cells: tuple[str, ...] = ("lstm", "gru", "slstm")
    """Cells, by their names in lj.cells.registry, at the LSTM's number of parameters."""
    seeds: int = 1
    """How often each net is trained, with other first weights."""
    epochs: int | None = None
    """Number of epochs; by default as in the paper, 13 or 39."""


def studies(config: Config) -> list[Study]:
    checking.choice("net", config.net, NETS)
    data = text.ptb()
    training = Training(
        WINDOW[config.net], STREAMS, config.epochs or EPOCHS[config.net],
        functools.partial(optimizer, config.net),
    )  # fmt: skip
    entries = [
        Entry(name, "baseline", functools.partial(run_counts, data, order))
        for name, order in COUNTS.items()
    ]
    for cell in config.cells:
        recipe = NETS[config.net]
        if cell != recipe.cell:
            recipe = models.at_size_of(recipe, cell, len(data.vocabulary))
        entries.append(
            Entry(
                f"{cell}, {recipe.layers} x {recipe.size}", "net",
                functools.partial(run, data, recipe, training), range(config.seeds),
                models.count_parameters(recipe, data.vocabulary),
            )
        )  # fmt: skip
    published = [
        Published("LSTM, small", "Zaremba 2014", {TEST: 114.5}),
        Published("LSTM, medium", "Zaremba 2014", {VALIDATION: 86.2, TEST: 82.7}),
        Published("AWD-LSTM", "Merity 2018", {VALIDATION: 60.0, TEST: 57.3}),
    ]
    return [
        Study(
            "Penn Treebank",
            "Mikolov's three files: trained on 929,589 words, the epoch chosen on 73,760, "
            "tested on 82,430.",
            [Column(TEST, False, 1), Column(VALIDATION, False, 1)],
            entries,
            {"text": data.train, "validation": data.validation, "test": data.test},
            published,
            findings=draw_losses,
        )
    ]


def optimizer(net: str, steps_per_epoch: int) -> optax.GradientTransformation:
    """Gradient descent with the paper's schedule, on the sum over the steps of a window."""
    constant, factor = {"small": (4, 0.5), "medium": (6, 1 / 1.2)}[net]

    def rate(count: jax.Array) -> jax.Array:
        epoch = count // steps_per_epoch + 1
        return factor ** jnp.maximum(epoch - constant, 0).astype(jnp.float32)

    return optax.chain(optax.scale(WINDOW[net]), optax.clip_by_global_norm(CLIP), optax.sgd(rate))


def run_counts(data: PennTreebank, order: int, trial: Trial) -> dict[str, float]:
    losses = models.score_counts(ngrams.kneser_ney, order, parts_of(data), len(data.vocabulary))
    return {TEST: math.exp(losses["test"]), VALIDATION: math.exp(losses["validation"])}


def parts_of(data: PennTreebank) -> dict[str, np.ndarray]:
    return {"train": data.train, "validation": data.validation, "test": data.test}


def run(data: PennTreebank, recipe: Recipe, training: Training, trial: Trial) -> dict[str, float]:
    losses = models.train_and_score(trial, recipe, training, data.vocabulary, parts_of(data))
    return {
        TEST: math.exp(losses["test"]),
        VALIDATION: math.exp(losses["validation"]),
    }


def load_language_model(folder: Path) -> LanguageModel:
    """The net of a trial, for ``python -m experiments generate``."""
    data = text.ptb()
    model, params = models.load_net(folder, data.vocabulary)
    return LanguageModel(model, params, data.vocabulary, data.train, "words", END_OF_LINE)
