"""Text: corpora for language models, and sentences to classify.

Each is read from the folder that the environment variable LSTM_JAX_DATA names, or downloaded once
into the user's cache and compared with the published checksum.
"""

from lstm_jax.tasks.text.movie_review_sentences import MovieReviews, movie_reviews
from lstm_jax.tasks.text.penn_treebank import PennTreebank, ptb
from lstm_jax.tasks.text.tiny_shakespeare import Shakespeare, shakespeare

__all__ = [
    "MovieReviews",
    "PennTreebank",
    "Shakespeare",
    "movie_reviews",
    "ptb",
    "shakespeare",
]
