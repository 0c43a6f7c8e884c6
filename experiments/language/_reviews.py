"""Film reviews: folds, what nets and simple models read, and how a net is trained on them."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import optax

from experiments.harness.run.study import Trial
from lstm_jax import train
from lstm_jax.tasks import Vocabulary
from lstm_jax.tasks.text import MovieReviews

CLASSES = 2
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)  # C of logistic regression, of which validation data choose


class Fold(NamedTuple):
    """The rows of one fold of a cross-validation, in three parts without a sentence in common.

    train: what is learnt from.
    validation: held back from the training part, to stop and to choose on.
    test: scored once, at the end.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """All rows but those of the test part, for models that have nothing to stop."""
        return np.concatenate([self.train, self.validation])


def folds(reviews: MovieReviews, count: int, seed: int = 0) -> list[Fold]:
    """A cross-validation whose folds have as many positive sentences as negative ones, and rows
    with the same tokens in one part. A tenth of what is not tested is held back for validation.
    """
    everything = np.arange(len(reviews.labels))
    found = []
    for number, (seen, test) in enumerate(_split(reviews, everything, count, seed)):
        kept, held_back = next(_split(reviews, seen, 10, seed + number))
        found.append(Fold(kept, held_back, test))
    return found


def _split(reviews: MovieReviews, rows: np.ndarray, count: int, seed: int) -> Any:
    """Pairs of some rows and the others, ``count`` of them, stratified and by group."""
    try:
        from sklearn.model_selection import StratifiedKFold
    except ImportError:
        raise ImportError(
            "folds: needs scikit-learn; pip install 'lstm_jax[experiments]'"
        ) from None
    groups, first = np.unique(reviews.groups[rows], return_index=True)
    labels = reviews.labels[rows[first]]
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    for _, chosen in splitter.split(labels, labels):
        inside = np.isin(reviews.groups[rows], groups[chosen])
        yield rows[~inside], rows[inside]


class Words(NamedTuple):
    """Sentences as ids, for nets. The vocabulary knows the training rows alone."""

    reviews: MovieReviews
    vocabulary: Vocabulary

    def dataset(self, rows: np.ndarray) -> train.Dataset:
        """Sentences as rows of ids, and their labels."""
        ids = [self.vocabulary.encode(self.reviews.tokens[row]) for row in rows]
        return train.Dataset(ids, self.reviews.labels[rows])


def read_words(reviews: MovieReviews, rows: np.ndarray, *, size: int, min_count: int = 2) -> Words:
    """The ``size`` commonest tokens of the training rows, specials included; others are unknown,
    as are those that occur less than ``min_count`` times, which is how the net learns what an
    unknown word means."""
    tokens = [reviews.tokens[row] for row in rows]
    return Words(reviews, Vocabulary.from_rows(tokens, min_count=min_count, max_size=size))


def ngrams(tokens: Sequence[str]) -> list[str]:
    """The words of a sentence, and the pairs of neighbours."""
    return [*tokens, *(f"{one} {other}" for one, other in itertools.pairwise(tokens))]


def naive_bayes(reviews: MovieReviews, rows: np.ndarray) -> Any:
    """Multinomial naive Bayes on counts of n-grams, with one added to each count."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(CountVectorizer(analyzer=ngrams), MultinomialNB())
    return model.fit(*examples(reviews, rows))


def logistic(reviews: MovieReviews, fold: Fold) -> Any:
    """Logistic regression on tf-idf of n-grams. The validation rows choose its C, and are then
    learnt from too."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def fit(strength: float, rows: np.ndarray) -> Any:
        counts = TfidfVectorizer(analyzer=ngrams, sublinear_tf=True)
        model = make_pipeline(counts, LogisticRegression(C=strength, max_iter=1000))
        return model.fit(*examples(reviews, rows))

    accuracies = [accuracy(fit(c, fold.train), reviews, fold.validation) for c in STRENGTHS]
    return fit(STRENGTHS[int(np.argmax(accuracies))], fold.seen)


def examples(reviews: MovieReviews, rows: np.ndarray) -> tuple[list[list[str]], np.ndarray]:
    """Tokens and labels, for scikit-learn."""
    return [reviews.tokens[row] for row in rows], reviews.labels[rows]


def accuracy(model: Any, reviews: MovieReviews, rows: np.ndarray) -> float:
    """The share of right answers of a fitted model of scikit-learn, in percent."""
    return 100 * float(model.score(*examples(reviews, rows)))


class Budget(NamedTuple):
    """How long a net is trained.

    patience: the epochs without a lower validation loss after which it stops; None to go on.
    buckets: of lengths, each with a program of its own: fewer are better for short trainings.
    """

    batch_size: int
    epochs: int
    patience: int | None
    buckets: int = 4


def adamw(learning_rate: float, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """AdamW with the gradient's norm clipped at 5."""
    return train.optimizer(f"adamw(weight_decay={weight_decay})", learning_rate, clip=5.0)


def fit_net(
    model: train.Model,
    optimizer: optax.GradientTransformation,
    words: Words,
    fold: Fold,
    budget: Budget,
    trial: Trial,
) -> train.Fitted:
    """Trains a net on the training rows; the validation loss decides which epoch is the best."""
    return train.fit(
        model, words.dataset(fold.train), validation=words.dataset(fold.validation),
        loss="cross_entropy", metrics=["accuracy"], optimizer=optimizer, epochs=budget.epochs,
        batch_size=budget.batch_size, early_stopping=budget.patience, key=trial.key,
        checkpoint=trial.checkpoint, buckets=budget.buckets, progress=trial.progress,
    )  # fmt: skip
