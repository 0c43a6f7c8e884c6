"""Made-up film reviews in the form of the real ones."""

import itertools

import numpy as np

from lstm_jax.tasks.text import MovieReviews

FILMS = ("film", "story", "cast", "plot", "music", "end", "start", "idea", "camera", "joke")
PRAISE = ("fine", "great", "moving", "warm")
BLAME = ("dull", "poor", "silly", "cold")


def reviews() -> MovieReviews:
    """80 sentences, of which two negative ones are the same."""
    negative, positive = (
        [f"the {film} is {word}" for film, word in itertools.product(FILMS, words)]
        for words in (BLAME, PRAISE)
    )
    negative[-1] = negative[0]
    sentences = negative + positive
    tokens = [sentence.split() for sentence in sentences]
    labels = np.repeat([0, 1], [len(negative), len(positive)]).astype(np.int32)
    groups = np.arange(len(sentences), dtype=np.int32)
    groups[len(negative) - 1] = 0
    return MovieReviews(sentences, tokens, labels, groups)
