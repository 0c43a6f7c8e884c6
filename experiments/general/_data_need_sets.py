"""Data sets of which a part is learnt from, and who learns."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import lstm_jax as lj
from experiments.general import _data_need_models as models
from experiments.general._data_need_models import Learner
from experiments.harness.run.study import Trial
from experiments.language import _reviews
from experiments.language._reviews import Fold
from lstm_jax import train
from lstm_jax.tasks import series, text
from lstm_jax.tasks.images.digits import load
from lstm_jax.tasks.text import MovieReviews

LAGS = 30  # days that a forecast of temperatures sees
WORDS = 7000  # of the vocabulary of nets
COUNTED = 300  # words whose presence boosted trees see


class Nets(NamedTuple):
    """What the nets of all data sets share.

    steps: the most updates.
    """

    cells: tuple[str, ...]
    hidden: int
    steps: int


class DataSet(NamedTuple):
    """Examples, and who learns from some of them.

    name: with what is scored and its unit.
    total: the number of examples to learn from.
    split: in a few sentences.
    data: what the numbers depend on.
    draw: ``(seed, count) -> Fold``.
    learners: the first learns nothing, the second is linear; nets come last.
    """

    name: str
    higher_is_better: bool
    total: int
    split: str
    data: Mapping[str, Any]
    draw: Callable[[int, int], Fold]
    learners: list[Learner]


def digits(nets: Nets) -> DataSet:
    """Handwritten digits of 8 rows of 8 pixels, which nets read row by row."""
    pixels, labels = load()
    images = pixels.reshape(-1, 8, 8)

    def simple(make: Callable[[Any], Any], options: Any, fold: Fold, trial: Trial) -> float:
        model = models.choose(make, options, pixels, labels, fold)
        return 100 * float(model.score(pixels[fold.test], labels[fold.test]))

    def net(cell: str) -> Learner:
        head = train.heads.classification(10)
        inputs = train.inputs.numbers(8)
        model = train.network(lj.cells.make(cell, nets.hidden), inputs, head, dropout=0.3)

        def score(fold: Fold, trial: Trial) -> float:
            learnt, held_back, test = (train.Dataset(images[rows], labels[rows]) for rows in fold)
            params = models.fit(
                model, learnt, held_back, loss=head.loss, rate=3e-3, steps=nets.steps, trial=trial
            )
            return 100 * train.evaluate(model, params, test, metrics="accuracy")["accuracy"]

        return Learner(cell, "net", score, train.count_parameters(model))

    tested = round(models.TESTED * len(labels))
    linear = functools.partial(simple, models.logistic, models.STRENGTHS)
    boosting = functools.partial(simple, models.boosting, models.LEAVES)
    return DataSet(
        name="digits, test accuracy (%)",
        higher_is_better=True,
        total=len(labels) - tested,
        split=f"Each seed draws {tested} digits for the test, and an order of the others, of "
        "which the first are learnt from, about as many of each class. Nets hold back a fifth of "
        "them to stop on; simple models choose a setting on that fifth, and then learn from all.",
        data={"pixels": pixels, "labels": labels},
        draw=functools.partial(models.draw, labels),
        learners=[
            models.commonest_class(labels),
            Learner("logistic regression", "linear", linear),
            Learner("boosting", "baseline", boosting),
            *map(net, nets.cells),
        ],
    )


def reviews(nets: Nets) -> DataSet:
    """Sentences of film reviews, for or against the film."""
    found = text.movie_reviews()
    _, rows = np.unique(found.groups, return_index=True)
    found = MovieReviews(
        [found.sentences[row] for row in rows], [found.tokens[row] for row in rows],
        found.labels[rows], found.groups[rows],
    )  # fmt: skip
    labels = found.labels

    def logistic(fold: Fold, trial: Trial) -> float:
        return _reviews.accuracy(_reviews.logistic(found, fold), found, fold.test)

    def bayes(fold: Fold, trial: Trial) -> float:
        return _reviews.accuracy(_reviews.naive_bayes(found, fold.seen), found, fold.test)

    def boosting(fold: Fold, trial: Trial) -> float:
        from sklearn.feature_extraction.text import CountVectorizer

        words = CountVectorizer(analyzer=list, max_features=COUNTED, binary=True)
        words.fit(_reviews.examples(found, fold.train)[0])
        table = words.transform(found.tokens).toarray()
        model = models.choose(models.boosting, models.LEAVES, table, labels, fold)
        return 100 * float(model.score(table[fold.test], labels[fold.test]))

    def net(cell: str) -> Learner:
        head = train.heads.classification(_reviews.CLASSES)
        inputs = train.inputs.embedding(WORDS, nets.hidden)
        model = train.network(lj.cells.make(cell, nets.hidden), inputs, head, dropout=0.5)

        def score(fold: Fold, trial: Trial) -> float:
            words = _reviews.read_words(found, fold.train, size=WORDS, min_count=1)
            learnt, held_back, test = map(words.dataset, fold)
            params = models.fit(
                model, learnt, held_back, loss=head.loss, rate=2e-3, steps=nets.steps, trial=trial
            )
            return 100 * train.evaluate(model, params, test, metrics="accuracy")["accuracy"]

        return Learner(cell, "net", score, train.count_parameters(model))

    tested = round(models.TESTED * len(labels))
    return DataSet(
        name="MR, test accuracy (%)",
        higher_is_better=True,
        total=len(labels) - tested,
        split=f"Each seed draws {tested} sentences for the test, and an order of the others, of "
        "which the first are learnt from, half of them positive, no two of them equal. Nets hold "
        "back a fifth of them to stop on; logistic regression (tf-idf of words and pairs) and "
        f"boosting (the {COUNTED} commonest words) choose a setting on that fifth, and then learn "
        "from all. Vocabularies are those of what is learnt from.",
        data={"sentences": found.sentences, "labels": labels},
        draw=functools.partial(models.draw, labels),
        learners=[
            models.commonest_class(labels),
            Learner("logistic regression", "linear", logistic),
            Learner("naive Bayes", "baseline", bayes),
            Learner("boosting", "baseline", boosting),
            *map(net, nets.cells),
        ],
    )


def temperatures(nets: Nets) -> DataSet:
    """Tomorrow's lowest temperature from those of the last days."""
    values = series.temperatures().column("temperature")
    windows = np.lib.stride_tricks.sliding_window_view(values, LAGS + 1)
    inputs, targets = windows[:, :LAGS], windows[:, LAGS]
    tested = round(models.TESTED * len(values))
    total = len(windows) - tested
    test = np.arange(total, len(windows))

    def draw(seed: int, count: int) -> Fold:
        first = np.random.default_rng(seed).integers(total - count + 1)
        return models.cut(np.arange(first, first + count), test)

    def rmse(forecasts: np.ndarray) -> float:
        return float(np.sqrt(np.mean((forecasts - targets[test]) ** 2)))

    def simple(make: Callable[[Any], Any], options: Any, fold: Fold, trial: Trial) -> float:
        return rmse(models.choose(make, options, inputs, targets, fold).predict(inputs[test]))

    def net(cell: str) -> Learner:
        head = train.heads.regression()
        inputs = train.inputs.numbers(1)
        model = train.network(lj.cells.make(cell, nets.hidden), inputs, head)

        def score(fold: Fold, trial: Trial) -> float:
            seen = windows[fold.train]
            mean, scale = seen.mean(), seen.std()

            def data(rows: np.ndarray) -> train.Dataset:
                scaled = ((windows[rows] - mean) / scale).astype(np.float32)
                return train.Dataset(scaled[:, :LAGS, None], scaled[:, LAGS], in_time_order=True)

            params = models.fit(
                model, data(fold.train), data(fold.validation), loss=head.loss, rate=3e-3,
                steps=nets.steps, trial=trial,
            )  # fmt: skip
            return rmse(mean + scale * np.asarray(train.predict(model, params, data(test))))

        return Learner(cell, "net", score, train.count_parameters(model))

    linear = functools.partial(simple, models.ridge, models.PENALTIES)
    boosting = functools.partial(simple, models.boosting_of_numbers, models.LEAVES)
    return DataSet(
        name="temperatures, test RMSE (°C)",
        higher_is_better=False,
        total=total,
        split=f"The last {tested} days are the test part. n examples are n consecutive days before "
        f"it, each with the {LAGS} days that its forecast sees; the seed draws where they begin. "
        "The last fifth of them is held back: nets stop on it, simple models choose a setting on "
        "it and then learn from all n. Nets see values scaled by those that they learn from.",
        data={"temperatures": values},
        draw=draw,
        learners=[
            Learner("last value", "baseline", lambda fold, trial: rmse(inputs[test, -1])),
            Learner("ridge regression", "linear", linear),
            Learner("boosting", "baseline", boosting),
            *map(net, nets.cells),
        ],
    )


SETS: dict[str, Callable[[Nets], DataSet]] = {
    "digits": digits,
    "reviews": reviews,
    "temperatures": temperatures,
}
