"""The folds of a cross-validation, checked."""

import json
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax._internal import storage
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.train.checkpoint import CheckpointError
from lstm_jax.train.data.dataset import Dataset
from lstm_jax.train.data.rows import numbers_of_rows
from lstm_jax.train.data.source import Source

FILE = "folds.json"
Fold = tuple[np.ndarray, np.ndarray]


def make_folds(data: Dataset | Source, splitter: Any) -> list[Fold]:
    """The rows to train on and those to test on, of each fold.

    Raises:
        ValueError or TypeError: for a fold without rows, and for a row in both parts.

    Warns:
        UserWarning: of rows that are later in time than the test, and of groups in both parts.
    """
    if hasattr(splitter, "split") and not isinstance(splitter, str):
        per_row = data.per == "sequence" and data.targets is not None
        try:
            with warnings.catch_warnings():
                # Of splitters that do not look at groups; whether that matters is checked below.
                warnings.filterwarnings("ignore", "The groups parameter is ignored")
                pairs = list(
                    splitter.split(
                        np.zeros((len(data), 1)), data.targets if per_row else None, data.groups
                    )
                )
        except (TypeError, ValueError) as error:
            raise WrongValue(
                f"splitter: expected one that can split these {len(data)} rows, got "
                f"{type(splitter).__name__}: {error}"
            ) from error
    elif isinstance(splitter, Iterable) and not isinstance(splitter, str):
        pairs = list(splitter)
    else:
        raise WrongType(
            "splitter: expected one of scikit-learn, or pairs of row numbers, got "
            f"{type(splitter).__name__}"
        )
    if not pairs:
        raise WrongValue("splitter: expected at least one fold, got none")
    folds = [_fold(i, pair, len(data)) for i, pair in enumerate(pairs)]
    _warn_of_leaks(data, folds)
    return folds


def _fold(number: int, pair: Any, count: int) -> Fold:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise WrongType(f"splitter: expected pairs (train, test), got {pair!r} as fold {number}")
    try:
        training, test = (numbers_of_rows(rows, count) for rows in pair)
    except WrongValue as error:
        raise WrongValue(f"splitter: fold {number}: {error}") from None
    if not len(training) or not len(test):
        raise WrongValue(
            f"splitter: expected rows to train on and to test on, got {len(training)} and "
            f"{len(test)} in fold {number}"
        )
    both = np.intersect1d(training, test)
    if both.size:
        raise WrongValue(
            f"splitter: expected other rows to test on than to train on, got row {both[0]} in both "
            f"parts of fold {number}"
        )
    return training, test


def _warn_of_leaks(data: Dataset | Source, folds: list[Fold]) -> None:
    def warn(text: str) -> None:
        warnings.warn(f"splitter: {text}", UserWarning, stacklevel=5)

    if data.in_time_order:
        late = [i for i, (training, test) in enumerate(folds) if training.max() > test.min()]
        if late:
            warn(
                f"fold {late[0]} trains on rows that are later in time than rows that it is tested "
                "on, so that its score may be too good; use TimeSeriesSplit, or "
                "train.series.ExpandingWindow"
            )
    groups = data.groups
    if groups is not None:
        for i, (training, test) in enumerate(folds):
            shared = np.intersect1d(groups[training], groups[test])
            if shared.size:
                warn(
                    f"fold {i} trains on rows of group {shared[0]}, on which it is tested too, so "
                    "that its score may be too good; use GroupKFold"
                )
                return


def require_tested_once(folds: list[Fold], count: int) -> None:
    times = np.bincount(np.concatenate([test for _, test in folds]), minlength=count)
    if times.max() > 1:
        raise WrongValue(
            f"predictions: expected a splitter that tests each row once at most, got one that "
            f"tests row {int(times.argmax())} {times.max()} times"
        )


def require_same(folder: Path, folds: list[Fold]) -> None:
    """Raises CheckpointError if the folder has other folds, as after a splitter that draws them
    anew in each process."""
    digest = 0
    for rows in (rows for fold in folds for rows in fold):
        digest = zlib.crc32(rows.astype(np.int64).tobytes(), digest)
    text = json.dumps({"folds": len(folds), "checksum": digest}) + "\n"
    file = folder / FILE
    if file.is_file():
        if file.read_text(encoding="utf-8") != text:
            raise CheckpointError(
                f"checkpoint: expected a folder of the same folds, got {folder}; a splitter that "
                "shuffles needs a random_state"
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with storage.replacing(file, "w") as out:
            out.write(text)
    except OSError as error:
        raise CheckpointError(f"checkpoint: {file} not written: {error}") from error
