"""``cross_validate``: one model trained and tested on each of several splits of the data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, Key

from lstm_jax._internal import checking, hosts
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.train import folds as folds_of_data
from lstm_jax.train import losses
from lstm_jax.train import metrics as metrics_by_name
from lstm_jax.train.checkpoint import CheckpointError
from lstm_jax.train.data.dataset import Dataset
from lstm_jax.train.data.parts import hold_out, require_rows
from lstm_jax.train.data.source import Source
from lstm_jax.train.epochs import EarlyStopping
from lstm_jax.train.evaluation import evaluate, predict
from lstm_jax.train.fitting import Fitted, fit
from lstm_jax.train.folds import Fold
from lstm_jax.train.losses import Loss
from lstm_jax.train.model import Model
from lstm_jax.train.progress import make_progress


class CrossValidation(NamedTuple):
    """What ``cross_validate`` found.

    scores: of the test part of each fold ``[folds]``: "loss", and each metric by its name.
    mean, std: over the folds, of each score; the deviation is that of a sample (divided by
        ``folds - 1``), and NaN for one fold.
    fitted: what ``fit`` found in each fold.
    folds: the rows that each fold trained on, those held out for validation included, and the rows
        that it was tested on.
    predictions: the answers for each row by the fold that tested it, as from ``predict``, with NaN
        (or None in a list) for rows that no fold tested; None if they were not asked for.
    """

    scores: dict[str, np.ndarray]
    mean: dict[str, float]
    std: dict[str, float]
    fitted: tuple[Fitted, ...]
    folds: tuple[Fold, ...]
    predictions: Any


def cross_validate(
    model: Model,
    data: Dataset | Source,
    splitter: Any,
    *,
    loss: str | Loss,
    metrics: Any = (),
    optimizer: optax.GradientTransformation,
    epochs: int,
    batch_size: int,
    key: Key[Array, ""],
    prepare: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    validation_share: float = 0.0,
    early_stopping: EarlyStopping | int | None = None,
    predictions: bool = False,
    checkpoint: str | Path | None = None,
    buckets: int = 4,
    seconds_between_checkpoints: float = 30.0,
    progress: Any = True,
) -> CrossValidation:
    """Trains a model anew on each fold's training part, and tests it on the rest.

        found = train.cross_validate(
            model, data, StratifiedKFold(10, shuffle=True, random_state=0),
            loss="cross_entropy", metrics=["accuracy"], optimizer=optax.adam(1e-3), epochs=20,
            batch_size=32, validation_share=0.1, early_stopping=3, key=jax.random.key(0),
        )
        print(found.mean["accuracy"], found.std["accuracy"])

    Fold i, counted from 0, is this, and gives the same numbers to the bit:

        key_i = jax.random.fold_in(key, i)
        training, test = prepare(data.take(train_rows), data.take(test_rows))
        training, validation = train.hold_out(training, validation_share, key=key_i)
        fitted = train.fit(model, training, validation=validation, ..., key=key_i)
        train.evaluate(model, fitted.params, test, ...)

    All folds run the same compiled programs. Training never sees the test part: it is early stopped
    by a share of the training part alone.

    Args:
        model, loss, metrics, optimizer, epochs, batch_size, buckets: as in ``fit``. Metrics are
            measured on the test parts, and on the validation parts if there are any.
        data: a ``Dataset`` or a ``Source``.
        splitter: of scikit-learn, such as ``KFold``, ``StratifiedKFold``, ``GroupKFold`` (which
            gets ``data.groups``) or ``TimeSeriesSplit``, or one of ``train.series``; or pairs of
            row numbers ``(train, test)``.
        key: fold i uses ``jax.random.fold_in(key, i)``.
        prepare: ``(training, test) -> (training, test)``, for whatever is fitted to the training
            part alone, such as a scaler; see ``Dataset.replace``.
        validation_share: the share of each training part that is held out for validation
            (``hold_out``): whole groups, the last rows of data in order of time, or random rows.
        early_stopping: as in ``fit``; it needs a ``validation_share``.
        predictions: whether to keep the answers for the test rows.
        checkpoint: a folder, with one for each fold, from which a killed call goes on.
        seconds_between_checkpoints, progress: as in ``fit``; events name the fold.

    Raises:
        ValueError or TypeError: naming the argument, such as for a row that a fold both trains and
            is tested on.

    Warns:
        UserWarning: if a fold trains on rows that are later in time than a row that it is tested
            on, or on rows of a group that it is tested on too.
    """
    require_rows("data", data)
    key = checking.random_key("key", key)
    loss = losses.resolve(loss)
    metrics = metrics_by_name.resolve_all(metrics)
    if not 0 <= checking.real("validation_share", validation_share) < 1:
        raise WrongValue(f"validation_share: expected a number in [0, 1), got {validation_share}")
    if early_stopping is not None and validation_share == 0:
        raise WrongValue("validation_share: expected a share above 0 for early_stopping, got 0")
    folds = folds_of_data.make_folds(data, splitter)
    if checking.flag("predictions", predictions):
        folds_of_data.require_tested_once(folds, len(data))
    if checkpoint is not None:
        folder = Path(checkpoint)
        hosts.on_first(lambda: folds_of_data.require_same(folder, folds), CheckpointError)
    scores: list[dict[str, float]] = []
    fitted: list[Fitted] = []
    answers: list[Any] = []
    with make_progress(progress, epochs) as bar:
        for i, (train_rows, test_rows) in enumerate(folds):
            key_i = jax.random.fold_in(key, i)
            training, test = data.take(train_rows), data.take(test_rows)
            if prepare is not None:
                training, test = _prepared(prepare(training, test), len(test_rows))
            validation = None
            if validation_share > 0:
                training, validation = hold_out(training, validation_share, key=key_i)

            def show(event: Any, fold: int = i + 1) -> None:
                bar.draw(event._replace(fold=fold, folds=len(folds)))

            found = fit(
                model,
                training,
                validation=validation,
                loss=loss,
                metrics=() if validation is None else metrics,
                optimizer=optimizer,
                epochs=epochs,
                batch_size=batch_size,
                early_stopping=early_stopping,
                checkpoint=None if checkpoint is None else Path(checkpoint) / f"fold_{i}",
                key=key_i,
                buckets=buckets,
                seconds_between_checkpoints=seconds_between_checkpoints,
                progress=show if progress else False,
            )
            fitted.append(found)
            scores.append(
                evaluate(
                    model, found.params, test, loss=loss, metrics=metrics, batch_size=batch_size
                )
            )
            if predictions:
                answers.append(predict(model, found.params, test, batch_size=batch_size))
    by_name = {name: np.array([score[name] for score in scores]) for name in scores[0]}
    return CrossValidation(
        by_name,
        {name: float(values.mean()) for name, values in by_name.items()},
        {name: _deviation(values) for name, values in by_name.items()},
        tuple(fitted),
        tuple(folds),
        _by_row(folds, answers, len(data)) if predictions else None,
    )


def _prepared(parts: Any, count: int) -> tuple[Any, Any]:
    if (
        not isinstance(parts, tuple | list)
        or len(parts) != 2
        or not all(isinstance(part, Dataset | Source) for part in parts)
    ):
        raise WrongType(f"prepare: expected it to return two data sets, got {parts!r}")
    if len(parts[1]) != count:
        raise WrongValue(
            f"prepare: expected the {count} rows of the test part, got {len(parts[1])}"
        )
    return parts[0], parts[1]


def _by_row(folds: list[Fold], answers: list[Any], count: int) -> Any:
    """The answers in the order of the data's rows."""
    rows: list[Any] = [None] * count
    for (_, test), found in zip(folds, answers, strict=True):
        for row, answer in zip(test, found, strict=True):
            rows[row] = answer
    first = next(row for row in rows if row is not None)
    if any(row is not None and row.shape != first.shape for row in rows):
        return rows
    if first.dtype.kind != "f" and any(row is None for row in rows):
        return rows
    missing = np.full(first.shape, np.nan) if first.dtype.kind == "f" else first
    return np.stack([missing if row is None else row for row in rows], dtype=first.dtype)


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
