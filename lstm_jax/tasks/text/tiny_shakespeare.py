"""Tiny Shakespeare: a megabyte of his plays, character by character."""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import files
from lstm_jax.tasks.vocabulary import Vocabulary

NAME = "input.txt"
PUBLISHED = files.Published(
    task="shakespeare",
    folder="tinyshakespeare",
    address="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",
    checksums={NAME: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
)


class Shakespeare(NamedTuple):
    """The ids of all characters of each part, in the file's order, and their vocabulary.

    ``"".join(vocabulary.decode(train))`` is the text.
    """

    train: Int32[np.ndarray, "N"]
    validation: Int32[np.ndarray, "V"]
    vocabulary: Vocabulary


def shakespeare(
    *,
    validation_share: float = 0.1,
    folder: str | os.PathLike[str] | None = None,
    verify: bool = True,
) -> Shakespeare:
    """The plays of Karpathy's char-rnn (2015, "The unreasonable effectiveness of recurrent neural
    networks"): 1,115,394 characters, 65 different ones.

        First Citizen:
        Before we proceed any further, hear me speak.

    The first 90 % are for training, 1,003,854 characters, and the rest, 111,540, for validation,
    as in nanoGPT; char-rnn holds back 5 %. There is no third part, so what is chosen by the
    validation loss has a loss that is somewhat too low.

    The vocabulary has all characters of the text in the order of Unicode, so line end and space
    come first, and no special tokens. All of them occur in the first 90 %.

    Args:
        validation_share: above 0 and below 1.
        folder: has the file ``input.txt``. None: the folder ``tinyshakespeare`` in the one that
            LSTM_JAX_DATA names, or a download, as in ``files.find``.
        verify: compare the file's SHA-256 with the published one. Downloads always are compared.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    share = checking.rate("validation_share", validation_share)
    path = files.find(NAME, PUBLISHED, folder, checking.flag("verify", verify))
    text = files.read_text(path, "text")
    count = int((1 - share) * len(text))
    if not 0 < count < len(text):
        raise WrongValue(
            f"validation_share: expected characters in both parts, got {validation_share} of "
            f"{len(text)}"
        )
    vocabulary = Vocabulary(tuple(sorted(set(text))), specials=False)
    ids = vocabulary.encode(text)
    return Shakespeare(ids[:count], ids[count:], vocabulary)
