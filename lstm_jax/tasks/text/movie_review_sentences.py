"""MR: sentences of film reviews, for or against the film."""

import os
import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import files

NAMES = ("rt-polarity.neg", "rt-polarity.pos")  # their positions are the labels
PUBLISHED = files.Published(
    task="movie_reviews",
    folder="sentiment",
    address="https://raw.githubusercontent.com/dennybritz/cnn-text-classification-tf/master/data/"
    "rt-polaritydata/",
    checksums={
        "rt-polarity.neg": "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd",
        "rt-polarity.pos": "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58",
    },
)

OTHER = re.compile(r"[^a-z0-9(),!?'`]")
CLITIC = re.compile(r"'(?:s|ve|re|d|ll)|n't")
SIGN = re.compile(r"[,!?()]")


class MovieReviews(NamedTuple):
    """Sentences, row by row; first all negative ones, then all positive ones.

    sentences: as they stand in the files, without the spaces around them.
    tokens: those of ``clean``.
    labels: 1 for a positive sentence, 0 for a negative one.
    groups: rows with the same tokens have the same number, whatever their labels.
    """

    sentences: list[str]
    tokens: list[list[str]]
    labels: Int32[np.ndarray, "N"]
    groups: Int32[np.ndarray, "N"]


def movie_reviews(
    *, folder: str | os.PathLike[str] | None = None, verify: bool = True
) -> MovieReviews:
    """The sentence polarity data set of Pang & Lee 2005, "Seeing stars: exploiting class
    relationships for sentiment categorization with respect to rating scales": 5,331 positive and
    5,331 negative sentences or fragments from Rotten Tomatoes.

        "simplistic , silly and tedious . "    0

    There is no split into parts: ten folds are usual, with a part of each fold's training rows to
    stop on. No two lines are equal. One pair has the same tokens, both negative ("a pretentious
    mess"), and so has one of ``groups``: a splitter by group keeps such rows in one fold.

    Args:
        folder: has the files ``rt-polarity.neg`` and ``rt-polarity.pos``, in UTF-8 or, like those
            from Cornell (``verify=False``), in the code page 1252. None: the folder ``sentiment``
            in the one that LSTM_JAX_DATA names, or a download, as in ``files.find``.
        verify: compare the files' SHA-256 with the published ones. Downloads always are compared.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    verify = checking.flag("verify", verify)
    sentences: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(NAMES):
        path = files.find(name, PUBLISHED, folder, verify)
        lines = [line.strip() for line in files.read_lines(path, "sentences", ("utf-8", "cp1252"))]
        if "" in lines:
            raise WrongValue(
                f"{path}, line {lines.index('') + 1}: expected a sentence, got an empty line"
            )
        sentences += lines
        labels += [label] * len(lines)
    tokens = [clean(sentence) for sentence in sentences]
    numbers: dict[tuple[str, ...], int] = {}
    groups = [numbers.setdefault(tuple(row), len(numbers)) for row in tokens]
    return MovieReviews(sentences, tokens, np.array(labels, np.int32), np.array(groups, np.int32))


def clean(sentence: str) -> list[str]:
    """The tokens of Kim 2014, "Convolutional neural networks for sentence classification".

    Lower case; every character but a to z, digits, ``(),!?``, apostrophes and backquotes ends
    a token and is left out, full stops and letters with accents too; the signs ``(),!?`` are tokens
    of their own, and ``'s``, ``'ve``, ``n't``, ``'re``, ``'d``, ``'ll`` begin one. (Kim's code
    writes brackets and question marks with a backslash, which changes no other token.)
    """
    text = OTHER.sub(" ", sentence.lower())
    return SIGN.sub(r" \g<0> ", CLITIC.sub(r" \g<0>", text)).split()
