"""How positive is a sentence, from very negative to very positive? With its tree, and without.

    LSTM_JAX_DATA=FOLDER python -m experiments treebank

The Stanford Sentiment Treebank (Socher et al. 2013): 8,544 sentences of film reviews to train on,
parsed, with one of five classes at each node. Tai, Socher & Manning 2015 report 51.0 % of sentences
for a Tree-LSTM and 46.4 % for an LSTM, both of which start from pretrained GloVe vectors. Nets here
learn their vectors from the treebank alone, and are compared with naive Bayes on the same words.

All nets learn from the classes of all nodes: the BiLSTM reads the words below each of them.

Expect, in 8 minutes on a GPU, or about 20 on two cores (estimated): 46.2 and 45.8 % for the
Tree-LSTMs, 44.1 % for the BiLSTM and 39.4 % for naive Bayes, with a standard error of one point.
"""

import dataclasses
from typing import Any

import numpy as np

import lstm_jax as lj
from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Column, Entry, Findings, Published, Results, Study, Trial
from experiments.structures import _phrases, _training
from lstm_jax import train
from lstm_jax._internal import checking
from lstm_jax.tasks import text

TIME = "20 min"
ACCURACY, EPOCH = "test accuracy in %", "best epoch"


@dataclasses.dataclass(frozen=True)
class Config:
    size: int = 128
    """Hidden size of the Tree-LSTMs; the BiLSTM has half of it in each direction."""
    embedding: int = 100
    """Size of the vectors of words."""
    min_count: int = 2
    """Rarer words are unknown."""
    dropout: float = 0.5
    """Of the vectors and of the outputs."""
    weight_decay: float = 1e-4
    """Of AdamW."""
    learning_rate: float = 1e-3
    """Of AdamW."""
    batch_size: int = 25
    """Sentences per step; the BiLSTM takes as many phrases as they have on average."""
    epochs: int = 20
    """Most epochs of each net."""
    patience: int = 4
    """Epochs without a better validation score after which a net stops."""
    seeds: int = 1
    """Trials of each net."""


def studies(config: Config) -> list[Study]:
    checking.positive_int("seeds", config.seeds)
    read = text.sentiment_treebank()
    parts = _phrases.read(read)
    words = _phrases.vocabulary_of(parts.train, config.min_count)
    answers = _phrases.root_labels(parts.test)

    def majority(trial: Trial) -> dict[str, float]:
        common = np.bincount(_phrases.root_labels(parts.train)).argmax()
        return {ACCURACY: 100 * float(np.mean(answers == common))}

    def bayes(trial: Trial) -> dict[str, float]:
        model = _phrases.naive_bayes(parts.train)
        found = model.predict([sentence.words for sentence in parts.test])
        return {ACCURACY: 100 * float(np.mean(found == answers))}

    return [
        Study(
            "treebank",
            split="The published parts: train to learn from, with the classes of all nodes, dev to "
            "stop on and test to score once, both on whole sentences. The vocabulary is that of "
            "the training sentences.",
            columns=[
                Column(ACCURACY, higher_is_better=True, digits=1),
                Column(EPOCH, digits=0),
            ],
            entries=[
                Entry("commonest class", "baseline", majority),
                Entry("naive Bayes, uni- and bigrams", "baseline", bayes),
                sequence_entry(config, parts, words),
                tree_entry("child-sum Tree-LSTM", lj.tree.child_sum_lstm(config.size), config,
                           parts, words),
                tree_entry("binary Tree-LSTM", lj.tree.nary_lstm(config.size, 2), config,
                           parts, words),
            ],
            data=read._asdict(),
            published=[
                Published("LSTM, GloVe", "Tai 2015", {ACCURACY: 46.4}, checked=False),
                Published("Tree-LSTM, GloVe", "Tai 2015", {ACCURACY: 51.0}, checked=False),
            ],
            findings=find,
        )
    ]  # fmt: skip


def tree_entry(name: str, cell: Any, config: Config, parts: _phrases.Treebank, words: Any) -> Entry:
    """A Tree-LSTM from the words to the root."""

    def run_cell(params, forest, xs):
        return lj.tree.unroll(cell, params, forest, xs)[1]

    net = _training.node_net(
        cell, run_cell, symbols=len(words.tokens), embedding=config.embedding,
        classes=_phrases.CLASSES, dropout=config.dropout,
    )  # fmt: skip

    def pack(trees: list) -> lj.tree.Forest:
        return lj.tree.pack(trees, children=2)

    def run(trial: Trial) -> dict[str, float]:
        seen = _phrases.tree_items(parts.train, words, every_node=True)
        held_out, asked = (
            _phrases.tree_items(part, words, every_node=False)
            for part in (parts.validation, parts.test)
        )
        fitted = _training.fit(
            net, optimizer_of(config), seen, held_out, pack, trial, batch_size=config.batch_size,
            epochs=config.epochs, patience=config.patience,
        )  # fmt: skip
        trial.save_arrays("history", **fitted.history)
        batches = list(_training.make_batches(asked, config.batch_size, pack))
        accuracy = _training.accuracy_of(net)(fitted.params, batches)
        return {ACCURACY: 100 * accuracy, EPOCH: fitted.best_epoch}

    return Entry(name, "net", run, range(config.seeds), _training.parameters_of(net))


def sequence_entry(config: Config, parts: _phrases.Treebank, words: Any) -> Entry:
    """A bidirectional LSTM that reads phrases as sequences."""
    half = lj.lstm(max(config.size // 2, 1))
    inputs = train.inputs.embedding(len(words.tokens), config.embedding)
    head = train.heads.classification(_phrases.CLASSES)
    model = train.network(
        lj.bidirectional(half, half), inputs, head, reads="mean", dropout=config.dropout
    )

    def run(trial: Trial) -> dict[str, float]:
        seen = train.Dataset(*_phrases.phrases(parts.train, words))
        held_out, asked = (
            train.Dataset(*_phrases.roots(part, words)) for part in (parts.validation, parts.test)
        )
        each = max(len(seen) // len(parts.train), 1)
        fitted = train.fit(
            model, seen, validation=held_out, loss="cross_entropy", metrics=["accuracy"],
            optimizer=optimizer_of(config), epochs=config.epochs,
            batch_size=min(config.batch_size * each, len(seen)),
            early_stopping=train.EarlyStopping(config.patience, "accuracy"), key=trial.key,
            checkpoint=trial.checkpoint, progress=trial.progress,
        )  # fmt: skip
        trial.save_arrays("history", **fitted.history)
        measured = train.evaluate(model, fitted.params, asked, metrics="accuracy")
        return {ACCURACY: 100 * measured["accuracy"], EPOCH: fitted.best_epoch}

    parameters = train.count_parameters(model)
    return Entry("BiLSTM, mean of its outputs", "net", run, range(config.seeds), parameters)


def optimizer_of(config: Config) -> Any:
    """AdamW with clipped gradients."""
    return train.optimizer(
        f"adamw(weight_decay={config.weight_decay})", config.learning_rate, clip=5.0
    )


def find(results: Results) -> Findings:
    """The curves."""
    curves = {"loss": "training loss, with dropout", "validation_accuracy": "validation accuracy"}
    return Findings(figures={"curves by epoch": draw_epochs(results, curves)})
