"""The Stanford Sentiment Treebank: sentences of film reviews as trees, classes at every node."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import files

FOLDER = "treebank"
ADDRESS = "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip"
PARTS = ("train", "dev", "test")
CHECKSUMS = {  # of the contents
    "train": "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7",
    "dev": "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40",
    "test": "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761",
}


class SentimentTreebank(NamedTuple):
    """Trees in brackets, one per sentence, for ``lj.tree.from_brackets``.

    train, validation, test: such as ``(3 (2 It) (4 (4 's) (4 lovely)))``, with classes from 0,
    very negative, to 4, very positive.
    """

    train: list[str]
    validation: list[str]
    test: list[str]


def sentiment_treebank(
    *, folder: str | os.PathLike[str] | None = None, verify: bool = True
) -> SentimentTreebank:
    """The treebank of Socher et al. 2013, "Recursive deep models for semantic compositionality
    over a sentiment treebank": 8,544 sentences to train on, 1,101 to validate and 2,210 to test,
    each as a binary tree whose nodes have one of five classes.

    Args:
        folder: has the files ``train.txt``, ``dev.txt`` and ``test.txt``, or the same as ``.gz``.
            None: the folder ``treebank`` in the one that the environment variable LSTM_JAX_DATA
            names. They are in trainDevTestTrees_PTB.zip at nlp.stanford.edu/sentiment, and are not
            downloaded.
        verify: compare the SHA-256 of their contents with the known ones.

    Raises:
        FileNotFoundError, ValueError: for missing files, and for others than these.
    """
    verify = checking.flag("verify", verify)
    if folder is None:
        data = os.environ.get(files.FOLDER_VARIABLE)
        if not data:
            raise FileNotFoundError(
                f"folder: expected the folder of train.txt, dev.txt and test.txt (from {ADDRESS}), "
                f"or {files.FOLDER_VARIABLE} to name the one that has them in {FOLDER}, got neither"
            )
        folder = Path(data) / FOLDER
    return SentimentTreebank(*(_read(Path(folder), part, verify) for part in PARTS))


def _read(folder: Path, part: str, verify: bool) -> list[str]:
    path = folder / f"{part}.txt"
    if path.is_file():
        data = path.read_bytes()
    elif (packed := folder / f"{part}.txt.gz").is_file():
        path, data = packed, files.unpack(packed, "trees in brackets")
    else:
        raise FileNotFoundError(f"folder: expected {path} or {path}.gz (from {ADDRESS}), got none")
    got = hashlib.sha256(data).hexdigest()
    if verify and got != CHECKSUMS[part]:
        raise WrongValue(
            f"folder: expected the {part} part of SHA-256 {CHECKSUMS[part]} (or verify=False), got "
            f"{path} of {got}"
        )
    lines = [line.strip() for line in data.decode("utf-8").removesuffix("\n").split("\n")]
    for number, line in enumerate(lines, start=1):
        if not (line.startswith("(") and line.endswith(")")):
            raise WrongValue(
                f"{path}, line {number}: expected a tree in brackets, got {line[:40]!r}"
            )
    if not lines:
        raise WrongValue(f"{path}: expected trees in brackets, got an empty file")
    return lines
