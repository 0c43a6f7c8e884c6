"""Is a film review for or against the film? Nets without pretrained vectors against naive Bayes.

    LSTM_JAX_DATA=FOLDER python -m experiments sentiment

The sentence polarity data of Pang & Lee 2005 (MR): 10,662 sentences of 20 words, in ten folds. Kim
2014 reports 76.1 % for a convolutional net whose word vectors start at random, and 81.5 % for one
that starts from vectors trained on 100 billion words. An LSTM here has to learn what words mean
from 9,000 sentences.

Expect, in 15 minutes on two cores (results in experiments/results/sentiment): naive Bayes on words
and pairs of words 78.8 %, logistic regression 78.1 %, and all nets below them: LSTM 76.0 %, BiLSTM
with attention pooling 76.4 %, CNN + LSTM 76.0 %. The nets overfit after two epochs. The report
colours words by what they contribute to the LSTM's answer.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.harness.run.study import Column, Entry, Published, Study, Trial
from experiments.language import _reviews, _sentiment_figures
from experiments.language._reviews import Budget, Fold, Words
from experiments.language._sentiment_figures import ACCURACY, BAYES, EPOCH, EXPLAINED, LINEAR, LOSS
from lstm_jax import train
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import text
from lstm_jax.tasks.text import MovieReviews
from lstm_jax.tasks.vocabulary import UNKNOWN
from lstm_jax.train.model import last_of

TIME = "15 min"
CHOOSING = 2  # folds whose validation parts decide between candidates
POINTS = 32  # of the integral of integrated gradients


class Net(NamedTuple):
    """What is chosen for a net. Without ``filters`` there is no convolution."""

    hidden: int
    filters: int = 0
    both_directions: bool = False
    reads: str = "last"
    dropout: float = 0.3
    learning_rate: float = 2e-3
    weight_decay: float = 0.0

    def model(self, config: "Config") -> train.Model:
        inputs = train.inputs.embedding(config.words, config.embedding)
        if self.filters:
            inputs = train.inputs.convolution(inputs, self.filters, config.width)
        cell: lj.Cell = lj.lstm(self.hidden)
        if self.both_directions:
            cell = lj.bidirectional(cell, cell)
        head = train.heads.classification(_reviews.CLASSES)
        return train.network(cell, inputs, head, reads=self.reads, dropout=self.dropout)


# The dropout was chosen by python -m experiments sentiment --choose, for the LSTM: its mean
# validation loss on two folds is 0.481 at 0.3, 0.492 at 0.5 and 0.482 at 0.7. It was taken for the
# other nets too. Half the learning rate, and 32 units and numbers in place of 64 and 50, made no
# difference on the validation parts of three folds.
NETS = {
    EXPLAINED: Net(64),
    "BiLSTM, attention pooling": Net(48, both_directions=True, reads="attention"),
    "CNN + LSTM": Net(64, filters=64),
}
# How each of them may differ from what was chosen.
CHANGES: dict[str, dict[str, Any]] = {
    "as chosen": {},
    "dropout 0.5": {"dropout": 0.5},
    "dropout 0.7": {"dropout": 0.7},
}


@dataclasses.dataclass(frozen=True)
class Config:
    folds: int = 10
    """Folds of the cross-validation."""
    words: int = 8500
    """Size of the vocabulary, the commonest words of what is learnt from."""
    embedding: int = 50
    """Size of the vectors of words."""
    width: int = 3
    """Words that a filter of the convolution sees."""
    batch_size: int = 64
    """Sentences per step."""
    epochs: int = 12
    """Most epochs of each net."""
    patience: int = 2
    """Epochs without a lower validation loss after which a net stops."""
    choose: bool = False
    """Compare settings of each net on validation data, and look at no test data."""


def studies(config: Config) -> list[Study]:
    if checking.positive_int("folds", config.folds) < 2:
        raise WrongValue(f"folds: expected 2 or more, got {config.folds}")
    reviews = text.movie_reviews()
    folds = _reviews.folds(reviews, config.folds)
    data = {"sentences": reviews.sentences, "labels": reviews.labels}
    if config.choose:
        return [choice(config, reviews, folds[:CHOOSING], data)]
    return [
        Study(
            "MR",
            split=f"{config.folds} folds with as many positive as negative sentences, and equal "
            "sentences in one fold. Vocabulary, counts and params know nothing of the test fold. "
            "Nets hold back a tenth of the other folds to stop on, and so does logistic "
            "regression to choose its C, after which it learns from that tenth as naive Bayes "
            "does. The dropout of the nets was chosen on the held-back tenths of two folds, which "
            "are test data of other folds.",
            columns=[
                Column(ACCURACY, higher_is_better=True, digits=1),
                Column(LOSS, higher_is_better=False),
                Column(EPOCH, digits=1),
            ],
            entries=[
                *simple_entries(reviews, folds),
                *(net_entry(name, net, config, reviews, folds) for name, net in NETS.items()),
            ],
            data=data,
            published=[
                Published("CNN, random vectors", "Kim 2014", {ACCURACY: 76.1}, checked=False),
                Published("CNN, pretrained vectors", "Kim 2014", {ACCURACY: 81.5}, checked=False),
            ],
            over="folds",
            findings=_sentiment_figures.find,
        )
    ]


def choice(config: Config, reviews: MovieReviews, folds: list[Fold], data: dict[str, Any]) -> Study:
    """Settings of the nets, on the validation data of some folds."""
    entries = []
    for name, net in NETS.items():
        for change, options in CHANGES.items():
            changed = net._replace(**options)
            entries.append(
                net_entry(f"{name}, {change}", changed, config, reviews, folds, tested=False)
            )
    return Study(
        "choice",
        split=f"The held-back tenths of the training parts of {len(folds)} folds.",
        columns=[
            Column(LOSS, higher_is_better=False),
            Column(_sentiment_figures.VALIDATION_ACCURACY, higher_is_better=True, digits=1),
            Column(EPOCH, digits=1),
        ],
        entries=entries,
        data=data,
        over="folds",
    )


def simple_entries(reviews: MovieReviews, folds: list[Fold]) -> list[Entry]:
    """The commonest class, naive Bayes and logistic regression."""

    def majority(trial: Trial) -> dict[str, float]:
        fold = folds[trial.seed]
        commonest = np.bincount(reviews.labels[fold.seen]).argmax()
        return {ACCURACY: 100 * float(np.mean(reviews.labels[fold.test] == commonest))}

    def bayes(trial: Trial) -> dict[str, float]:
        fold = folds[trial.seed]
        model = _reviews.naive_bayes(reviews, fold.seen)
        names, classes = model[0].get_feature_names_out().astype(str), model[-1]
        words = np.array([" " not in name for name in names])
        odds = classes.feature_log_prob_[1] - classes.feature_log_prob_[0]
        trial.save_arrays("log_odds", words=names[words], values=odds[words])
        return {ACCURACY: _reviews.accuracy(model, reviews, fold.test)}

    def linear(trial: Trial) -> dict[str, float]:
        fold = folds[trial.seed]
        model = _reviews.logistic(reviews, fold)
        return {ACCURACY: _reviews.accuracy(model, reviews, fold.test)}

    trials = range(len(folds))
    return [
        Entry("commonest class", "baseline", majority, trials),
        Entry(BAYES, "baseline", bayes, trials),
        Entry(LINEAR, "linear", linear, trials),
    ]


def net_entry(
    name: str,
    net: Net,
    config: Config,
    reviews: MovieReviews,
    folds: list[Fold],
    *,
    tested: bool = True,
) -> Entry:
    """A net, scored on test data or, for a choice, on the validation data alone."""
    model = net.model(config)
    optimizer = _reviews.adamw(net.learning_rate, net.weight_decay)
    budget = Budget(config.batch_size, config.epochs, config.patience)

    def run(trial: Trial) -> dict[str, float]:
        fold = folds[trial.seed]
        words = _reviews.read_words(reviews, fold.train, size=config.words)
        fitted = _reviews.fit_net(model, optimizer, words, fold, budget, trial)
        trial.save_arrays("history", **fitted.history)
        at = fitted.best_epoch - 1
        scores = {LOSS: fitted.history["validation_loss"][at], EPOCH: fitted.best_epoch}
        if not tested:
            accuracy = fitted.history["validation_accuracy"][at]
            return {**scores, _sentiment_figures.VALIDATION_ACCURACY: 100 * accuracy}
        test = words.dataset(fold.test)
        measured = train.evaluate(model, fitted.params, test, metrics="accuracy")
        if name == EXPLAINED and trial.seed == 0:
            explained = explain(lj.lstm(net.hidden), fitted.params, words, fold.test)
            trial.save_arrays("explained", **explained)
        return {**scores, ACCURACY: 100 * measured["accuracy"]}

    parameters = train.count_parameters(model)
    return Entry(name, "net", run, seeds=range(len(folds)), parameters=parameters)


def explain(cell: Any, params: Any, words: Words, rows: np.ndarray) -> dict[str, Any]:
    """What each word contributed to the log odds of "positive", by integrated gradients.

    From vectors of zeros to those of the words, over sentences ``rows`` that a cell reads to the
    end.
    """
    tokens = [words.reviews.tokens[row] for row in rows]
    lengths = jnp.array([len(row) for row in tokens], jnp.int32)
    ids = np.zeros((max(map(len, tokens)), len(rows)), np.int32)
    for number, row in enumerate(tokens):
        ids[: len(row), number] = words.vocabulary.encode(row)
    readout = params["readout"]

    def log_odds(ys: jax.Array) -> jax.Array:
        logits = last_of(ys, lengths) @ readout["w"] + readout["b"]
        return logits[:, 1] - logits[:, 0]

    shares = lj.insight.integrated_gradients(
        cell, params["cell"], params["inputs"]["table"][ids], log_odds, lengths=lengths,
        steps=POINTS,
    )  # fmt: skip
    return {
        "sentences": np.array([" ".join(row) for row in tokens]),
        "known": ids.T != UNKNOWN,
        "labels": words.reviews.labels[rows],
        "log_odds": shares.output,
        "gap": shares.gap,
        "values": shares.of_steps.T,
    }
