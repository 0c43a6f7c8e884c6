"""Checks of the data that a model is given, before anything is compiled."""

import warnings
from typing import Any

import jax
import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.train.data.dataset import Dataset
from lstm_jax.train.data.source import Source
from lstm_jax.train.data.streams import Streams
from lstm_jax.train.evaluation import Data, forward, require_data
from lstm_jax.train.losses import Loss
from lstm_jax.train.model import Model

SHOWN = 5  # classes in a warning


def check(argument: str, data: Any) -> None:
    """Raises ValueError or TypeError for data without rows or targets."""
    require_data(argument, data)
    if isinstance(data, Dataset) and data.targets is None:
        raise WrongValue(f"{argument}: expected targets, got a Dataset without")


def require_same_kind(data: Data, validation: Data) -> None:
    """Raises ValueError if the columns differ, and warns about classes of ``validation`` that
    ``data`` has not: nothing about them can be learnt."""
    if isinstance(data, Streams) != isinstance(validation, Streams) or data.per != validation.per:
        raise WrongValue(
            f"validation: expected {type(data).__name__} with a target per {data.per}, got "
            f"{type(validation).__name__} with one per {validation.per}"
        )
    ours, theirs = data.kinds(), validation.kinds()
    for name in [*ours, *theirs]:
        if ours.get(name) != theirs.get(name):
            raise WrongValue(
                f"validation: expected {name} to be {ours.get(name)}, as in data, got "
                f"{theirs.get(name)}"
            )
    known, held_out = classes_of(data), classes_of(validation)
    if known is None or held_out is None:
        return
    only = np.setdiff1d(held_out, known)
    only = only[only >= 0]
    if only.size:
        some = ", ".join(map(str, only[:SHOWN])) + (", ..." if only.size > SHOWN else "")
        warnings.warn(
            f"validation: {only.size} of its classes never occur in data, and cannot be learnt: "
            f"{some}",
            UserWarning,
            stacklevel=4,
        )


def classes_of(data: Data) -> np.ndarray | None:
    """The classes that occur in the targets; None if these are numbers, or not known."""
    if isinstance(data, Source):
        return None
    targets = data.targets
    rows = targets if isinstance(targets, list) else [targets]
    if np.issubdtype(rows[0].dtype, np.floating) or isinstance(rows[0], np.memmap):
        return None
    return np.unique(np.concatenate([np.ravel(row) for row in rows]))


def check_outputs(model: Model, data: Data, validation: Data | None, loss: Loss) -> None:
    """Runs the model and the loss on shapes alone, so that a mistake shows before compiling, and
    raises ValueError for classes that the outputs have not."""
    for argument, part in (("data", data), ("validation", validation)):
        if part is None:
            continue
        if isinstance(part, Streams):
            batch: Any = part.arrange(1).read(0)
        else:
            batch = part.read(np.zeros(1, int), 1, int(part.lengths[0]))

        def run(batch: Any, part: Any = part) -> Any:
            params = model.init(jax.random.key(0))
            state = None
            if isinstance(part, Streams):
                assert model.initial_state is not None
                state = model.initial_state(params, 1)
            outputs = forward(model, params, state, batch, None)[1]
            return outputs, loss(outputs, batch.targets)

        outputs, _ = jax.eval_shape(default_promotion(run), batch)
        classes = classes_of(part)
        logits = outputs.shape[:-1] == batch.targets.shape and outputs.shape[-1:] != (1,)
        if classes is not None and classes.min() < (-1 if logits else 0):
            raise WrongValue(
                f"{argument}: expected integer targets to be classes, from 0 on, with -1 for one "
                f"that is missing, got {classes.min()}; numbers to forecast have to be floats"
            )
        if classes is not None and logits and classes.max() >= outputs.shape[-1]:
            raise WrongValue(
                f"{argument}: expected classes from 0 to {outputs.shape[-1] - 1}, for which the "
                f"model has outputs, got {classes.max()}"
            )
