"""Shared by the language models of words and of characters: cells on embeddings, trained on streams
with the state carried along, saved so that text can be generated."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.run import saved_nets
from experiments.harness.run.setting import rename_argument
from experiments.harness.run.study import Trial
from lstm_jax import train
from lstm_jax.tasks.text.ngrams import Ngrams
from lstm_jax.tasks.vocabulary import Vocabulary

SCORED_STEPS = 500  # per program when a text is scored, with the state carried from one to the next


class Recipe(NamedTuple):
    """What a language model is made from; all of JSON, so that it can be rebuilt.

    cell: by its name in ``lj.cells.registry``, with options in brackets.
    layers, size: how many, of how many units.
    embedding_size: None for ``size``.
    dropout: of embeddings, between layers, and of the readout's inputs.
    init_scale, tie: as in ``train.network``.
    """

    cell: str
    layers: int
    size: int
    embedding_size: int | None = None
    dropout: float = 0.0
    init_scale: float | None = None
    tie: bool = False

    def make(self, vocabulary_size: int) -> train.Model:
        layers = [lj.cells.make(self.cell, self.size) for _ in range(self.layers)]
        if self.dropout:
            layers[1:] = [lj.dropout(layer, self.dropout) for layer in layers[1:]]
        return train.network(
            lj.chain(*layers) if len(layers) > 1 else layers[0],
            train.inputs.embedding(vocabulary_size, self.embedding_size or self.size),
            train.heads.classification(vocabulary_size),
            reads="every",
            dropout=self.dropout,
            init_scale=self.init_scale,
            tie=self.tie,
        )


def at_size_of(recipe: Recipe, cell: str, vocabulary_size: int) -> Recipe:
    """The recipe with another cell, of the size that comes nearest to the same parameters."""
    parameters = train.count_parameters(recipe.make(vocabulary_size))

    def of_size(size: int) -> train.Model:
        return recipe._replace(cell=cell, size=size).make(vocabulary_size)

    with rename_argument("budget", f"parameters of {cell}"):
        return recipe._replace(cell=cell, size=train.size_near(of_size, parameters))


class Training(NamedTuple):
    """How a language model is trained.

    window, streams: steps of each batch, through which gradients flow, and rows of it.
    epochs: how many.
    optimizer: ``(steps per epoch) -> optimizer``.
    """

    window: int
    streams: int
    epochs: int
    optimizer: Callable[[int], optax.GradientTransformation]


def train_and_score(
    trial: Trial,
    recipe: Recipe,
    training: Training,
    vocabulary: Vocabulary,
    texts: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """The losses of the held-out texts in nats per token, by their names.

    Each is scored from its beginning to its end with the state carried along, by the params of the
    best epoch on "validation"; "last epoch" is the validation loss of the last one. Curves and the
    net are kept in the trial's folder.

    Args:
        trial: The trial.
        recipe: The model.
        training: How it is trained.
        vocabulary: Of the texts.
        texts: Token ids by part: "train", "validation", and others to score.
    """
    model = recipe.make(len(vocabulary))
    data = train.Streams(texts["train"], window=training.window)
    held_out = {
        name: train.Streams(text, window=SCORED_STEPS, streams=1)
        for name, text in texts.items()
        if name != "train"
    }
    optimizer = training.optimizer(len(data.arrange(training.streams)))
    fitted = train.fit(
        model, data, validation=held_out["validation"], loss="cross_entropy",
        optimizer=optimizer, epochs=training.epochs, batch_size=training.streams,
        checkpoint=trial.checkpoint, key=trial.key, progress=trial.progress,
    )  # fmt: skip
    trial.save_arrays("losses", **fitted.history)
    trial.save_net(fitted.params, recipe=recipe._asdict())
    last = {"last epoch": fitted.history["validation_loss"][-1]}
    return last | {
        name: train.evaluate(model, fitted.params, text, loss="cross_entropy")["loss"]
        for name, text in held_out.items()
    }


def score_counts(
    count: Callable[..., Ngrams], order: int, texts: Mapping[str, np.ndarray], size: int
) -> dict[str, float]:
    """The losses of the held-out texts under a model of n-grams, as ``train_and_score`` has them:
    the first token of a text is not predicted."""
    model = count(texts["train"], size, order)
    return {
        name: float(-model.log_probabilities(text)[1:].mean())
        for name, text in texts.items()
        if name != "train"
    }


def count_parameters(recipe: Recipe, vocabulary: Vocabulary) -> int:
    return train.count_parameters(recipe.make(len(vocabulary)))


def load_net(folder: Path, vocabulary: Vocabulary) -> tuple[train.Model, Any]:
    """The model that a trial has saved in its folder, and its params."""
    description = saved_nets.read_description(folder)
    model = Recipe(**description["recipe"]).make(len(vocabulary))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return model, saved_nets.load_params(folder, shapes)
