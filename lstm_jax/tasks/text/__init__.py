"""Text: corpora for language models, and sentences to classify.

Each is read from the folder that the environment variable LSTM_JAX_DATA names, or (all but
``sentiment_treebank``) downloaded once into the user's cache and compared with the published
checksum. ``ngrams`` has the baselines, and ``longest_copied`` finds out what a model that writes
has learnt by heart.
"""

from lstm_jax.tasks.text import ngrams
from lstm_jax.tasks.text.copied import Copied, longest_copied
from lstm_jax.tasks.text.movie_review_sentences import MovieReviews, movie_reviews
from lstm_jax.tasks.text.penn_treebank import PennTreebank, ptb
from lstm_jax.tasks.text.sentiment_treebank import SentimentTreebank, sentiment_treebank
from lstm_jax.tasks.text.tiny_shakespeare import Shakespeare, shakespeare

__all__ = [
    "Copied",
    "MovieReviews",
    "PennTreebank",
    "SentimentTreebank",
    "Shakespeare",
    "longest_copied",
    "movie_reviews",
    "ngrams",
    "ptb",
    "sentiment_treebank",
    "shakespeare",
]
