"""Checks of the data that a model is given, before anything is compiled."""

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import Params
from lstm_jax.train import losses
from lstm_jax.train.averages import sum_and_count
from lstm_jax.train.data.streams import Streams
from lstm_jax.train.evaluation import Data, forward, require_data
from lstm_jax.train.losses import Loss
from lstm_jax.train.model import Model

if TYPE_CHECKING:
    from lstm_jax.train.epochs import Job

SHOWN = 5  # classes in a warning
OF_NUMBERS = (losses.mse, losses.mae, losses.huber, losses.qlike)


def check(argument: str, data: Any) -> None:
    """Raises ValueError or TypeError for data without rows or targets."""
    require_data(argument, data)
    if "targets" not in data.kinds():
        raise WrongValue(f"{argument}: expected targets, got a Dataset without")


def require_same_kind(data: Data, validation: Data, loss: Loss) -> None:
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
    known, held_out = data.classes(), validation.classes()
    of_numbers = getattr(loss, "func", loss) in OF_NUMBERS
    if known is None or held_out is None or of_numbers:
        return
    only = np.setdiff1d(held_out[held_out >= 0], known)
    if only.size:
        some = ", ".join(map(str, only[:SHOWN])) + (", ..." if only.size > SHOWN else "")
        warnings.warn(
            f"validation: {only.size} of its classes never occur in data, and cannot be learnt: "
            f"{some}",
            UserWarning,
            stacklevel=5,
        )


def check_outputs(job: "Job", params: Params | None) -> None:
    """Runs the model, the loss and the metrics on shapes alone, so that a mistake shows before
    anything is compiled.

    Raises:
        ValueError: for classes that the outputs have not, and for whatever the functions refuse.
    """
    for argument, data in (("data", job.data), ("validation", job.validation)):
        if data is None:
            continue
        functions = [("loss", job.loss)]
        if argument == "validation":
            functions += [(m.name, m.of_target) for m in job.metrics if m.of_target is not None]
        outputs, batch = _shapes(job.model, params, data, functions)
        classes = data.classes()
        binary = job.loss is losses.binary_cross_entropy
        logits = outputs.shape[:-1] == np.shape(batch.targets) and outputs.shape[-1:] != (1,)
        if classes is not None and classes.min() < 0 and not (logits or binary):
            raise WrongValue(
                f"{argument}: expected integer targets to be classes, with -1 for one that is "
                f"missing, got {classes.min()}; numbers to forecast have to be floats"
            )
        count = None
        if job.loss is losses.cross_entropy:
            count = outputs.shape[-1]
        elif binary:
            count = 2
        if classes is not None and count is not None and classes.max(initial=0) >= count:
            raise WrongValue(
                f"{argument}: expected classes from 0 to {count - 1}, for which the model has "
                f"outputs, got {classes.max()}"
            )


def _shapes(
    model: Model, params: Params | None, data: Data, functions: list[tuple[str, Loss]]
) -> tuple[Any, Any]:
    """The outputs of one row or stream, as shapes, and its batch."""
    if isinstance(data, Streams):
        batch: Any = data.arrange(1).read(0)
    else:
        batch = data.read(np.zeros(1, int), 1, int(data.whole_lengths.max()))
    run = _program(model, tuple(functions), data.per, isinstance(data, Streams))
    return jax.eval_shape(run, params, batch), batch


@functools.lru_cache(maxsize=32)
def _program(
    model: Model, functions: tuple[tuple[str, Loss], ...], per: str, streams: bool
) -> Callable[..., Any]:
    """``(params, batch) -> outputs``, which is traced once for all parts of a data set."""

    @jax.jit
    @default_promotion
    def run(params: Params | None, batch: Any) -> Any:
        if params is None:
            params = model.init(jax.random.key(0))
        state = None
        if streams:
            assert model.initial_state is not None
            state = model.initial_state(params, 1)
        outputs = forward(model, params, state, batch, None)[1]
        for name, function in functions:
            values = function(outputs, batch.targets)
            sum_and_count(values, batch.counts, 1 if per == "sequence" else 2, name)
        return outputs

    return run
