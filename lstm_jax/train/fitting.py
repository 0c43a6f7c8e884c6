"""``fit``: gradient descent over finite data, epoch by epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import Params
from lstm_jax.train import data_checks, losses, resume
from lstm_jax.train import metrics as metrics_by_name
from lstm_jax.train.data.streams import Streams
from lstm_jax.train.epochs import EarlyStopping, Epochs, Job, Place, run
from lstm_jax.train.evaluation import Data, require_stream, with_loss
from lstm_jax.train.losses import Loss
from lstm_jax.train.metrics import Metric
from lstm_jax.train.model import Model
from lstm_jax.train.placement import make_placement, require_even
from lstm_jax.train.program import make_program, strong
from lstm_jax.train.progress import make_progress
from lstm_jax.train.steps import TrainState


class Fitted(NamedTuple):
    """What ``fit`` found.

    params: of the best epoch by the validation data; of the last one without these.
    best_epoch: its number, counted from 1.
    history: one number for each epoch: "loss", the mean over the targets of the epoch, measured
        while they were learnt from; with validation data also "validation_loss" and
        each metric, such as "validation_accuracy".
    epochs: how many there were.
    compiles: how many programs were compiled for training in this call: one for each bucket of
        lengths, and none if an earlier call had compiled them.
    last: params, the optimizer's state and the number of steps at the end.
    """

    params: Params
    best_epoch: int
    history: dict[str, list[float]]
    epochs: int
    compiles: int
    last: TrainState


@default_promotion
def fit(
    model: Model,
    data: Data,
    *,
    validation: Data | None = None,
    loss: str | Loss,
    metrics: Any = (),
    optimizer: optax.GradientTransformation,
    epochs: int,
    batch_size: int,
    early_stopping: EarlyStopping | int | None = None,
    checkpoint: str | Path | None = None,
    key: Key[Array, ""],
    params: Params | None = None,
    buckets: int = 4,
    seconds_between_checkpoints: float = 30.0,
    progress: Any = True,
    devices: Sequence[jax.Device] | None = None,
) -> Fitted:
    """Trains a model on finite data.

        model = train.network(lj.lstm(64), train.inputs.numbers(7), train.heads.regression())
        fitted = train.fit(
            model, data, validation=held_out, loss="mse", metrics=["mae"],
            optimizer=optax.adam(1e-3), epochs=20, batch_size=32, early_stopping=3,
            key=jax.random.key(0),
        )
        train.evaluate(model, fitted.params, test, metrics=["mae"])

    Each epoch sees every row once, in an order that is a function of the key and the epoch alone.
    Rows whose lengths differ are sorted into a few buckets of similar lengths, each padded to its
    longest row: one program is compiled for each. The loss of a batch is the mean over its targets
    that count, so padding changes nothing. ``Streams`` are read from beginning to end in each
    epoch, and begin at the initial state.

    In a job of several processes each of them makes this call, with the same arguments and data.
    The numbers are those of one device except for rounding, noise included, and each process gets
    the same ``Fitted``, of ordinary arrays of its own. The checkpoint's folder is one that all of
    them share; a job that was killed goes on to the same bits if it has as many devices as before,
    and to the same numbers except for rounding if it has more or fewer.

    Args:
        model: from ``recurrent`` or ``network``, or your own.
        data: a ``Dataset``, a ``Source`` or ``Streams``.
        validation: data of the same kind, measured after each epoch: the params of the best epoch
            are returned. It must not be the test data.
        loss: by name or as a function of outputs and targets, with one value for each target
            (``losses``).
        metrics: measured on the validation data (``metrics``).
        optimizer: from Optax; those that take ``value``, ``grad`` and ``value_fn``, such as line
            searches, are given them, of the batch.
        epochs: how many at most.
        batch_size: rows per step, at most as many as there are; the number of streams of
            ``Streams``.
        early_stopping: after how many epochs without a better validation loss to stop, or an
            ``EarlyStopping``; None to go on.
        checkpoint: a folder for the state of training. The same call goes on from there after the
            process was killed, with the same numbers to the bit as if it had not been; with more
            ``epochs`` it continues a finished training.
        key: draws the params, the noise and the order of the rows.
        params: to start from, in place of those that ``model.init`` draws.
        buckets: the largest number of buckets of lengths. Small data have fewer.
        seconds_between_checkpoints: a killed process loses this much.
        progress: whether to show a progress bar on stderr; or a function that is called with a
            ``train.Event``. Of several processes, in the first alone.
        devices: over which each batch is spread, so that ``batch_size`` must be a multiple of their
            number; by default all devices of all processes if there are several
            (``lj.initialize_hosts``), and otherwise JAX's default device.

    Raises:
        NonFiniteLoss: naming epoch and batch, if the loss becomes NaN or infinite.
        ValueError or TypeError: naming the argument.
        CheckpointError: if the folder has the state of another training, or cannot be read.

    Warns:
        UserWarning: if the validation data have classes that the data have not.
    """
    job = _check(
        model, data, validation, loss, metrics, optimizer, epochs, batch_size, early_stopping,
        buckets, params, devices,
    )  # fmt: skip
    placement = job.placement
    key = checking.random_key("key", key)
    key_init, key_noise, key_order = jax.random.split(key, 3)
    words = tuple(int(word) for word in np.ravel(jax.random.key_data(key_order)))
    start = _own(model.init(key_init) if params is None else params)
    state = placement.put(_own(TrainState(start, optimizer.init(start), jnp.zeros((), jnp.int32))))
    best, key_noise = placement.put(start), placement.put(key_noise)
    epoch_data = Epochs(job, words)
    at = Place(state, epoch_data.first_carry(best), best, {}, 0, 0, 0.0, 0, (), 0, False)
    program = make_program(model, job.loss, optimizer, data.per, placement.whole)
    compiled = program.traces()
    store = None
    if checkpoint is not None or jax.process_count() > 1:
        checksum = program.checksum(at.state, at.carry, epoch_data.first_batch(), key_noise)
        settings = resume.settings(job, key, start, checksum)
        resume.require_same_everywhere(
            settings | {"epochs": job.epochs, "checkpoint": None if checkpoint is None else True}
        )
    if checkpoint is not None:
        store = resume.Store(checkpoint, settings, seconds_between_checkpoints, placement)
        at = store.restore(at)
        if at.epoch > job.epochs or (at.epoch == job.epochs and at.batch > 0):
            raise WrongValue(
                f"epochs: expected at least those that {checkpoint} has already, got {epochs}"
            )
    with make_progress(progress, job.epochs) as bar:
        at = run(job, at, epoch_data, program, key_noise, store, bar)
        return Fitted(
            placement.take(at.best if job.validation is not None else at.state.params),
            at.best_epoch if job.validation is not None else at.epoch,
            at.history,
            at.epoch,
            program.traces() - compiled,
            placement.take(at.state),
        )


def _own(tree: Any) -> Any:
    """Copies of all arrays: the buffers of those that are given away may be shared by no other."""
    return jax.tree.map(lambda leaf: strong(jnp.array(leaf, copy=True)), tree)


def _check(
    model: Any, data: Any, validation: Any, loss: Any, wanted: Any, optimizer: Any, epochs: Any,
    batch_size: Any, early_stopping: Any, buckets: Any, params: Any, devices: Any,
) -> Job:  # fmt: skip
    if not isinstance(model, Model):
        raise WrongType(f"model: expected a train.Model, got {type(model).__name__}")
    if not isinstance(optimizer, optax.GradientTransformation):
        raise WrongType(
            "optimizer: expected one of Optax, such as optax.adam(1e-3), got "
            f"{type(optimizer).__name__}"
        )
    batch_size = checking.positive_int("batch_size", batch_size)
    data_checks.check("data", data)
    if isinstance(data, Streams):
        require_stream(model)
        if data.streams not in (None, batch_size):
            raise WrongValue(
                f"batch_size: expected {data.streams}, the streams of data, got {batch_size}"
            )
    if batch_size > len(data):
        raise WrongValue(
            f"batch_size: expected at most {len(data)}, the rows of data, got {batch_size}"
        )
    placement = make_placement(devices)
    require_even(placement, "batch_size", batch_size)
    resolved = losses.resolve(loss)
    if validation is not None:
        data_checks.check("validation", validation)
        data_checks.require_same_kind(data, validation, resolved)
    stopping = early_stopping
    if isinstance(early_stopping, int) and not isinstance(early_stopping, bool):
        stopping = EarlyStopping(early_stopping)
    if stopping is not None:
        if not isinstance(stopping, EarlyStopping):
            raise WrongType(
                "early_stopping: expected a number of epochs or an EarlyStopping, got "
                f"{early_stopping!r}"
            )
        checking.positive_int("patience", stopping.patience)
        if validation is None:
            raise WrongValue("early_stopping: expected validation data beside it, got None")
    found = metrics_by_name.resolve_all(wanted)
    if found and validation is None:
        raise WrongValue("metrics: expected validation data to measure on, got validation=None")
    with_loss(resolved, found)
    job = Job(
        model, data, validation, resolved, found, optimizer,
        checking.positive_int("epochs", epochs), batch_size, stopping,
        _monitor(stopping, resolved, found), checking.positive_int("buckets", buckets), placement,
    )  # fmt: skip
    data_checks.check_outputs(job, params)
    return job


def _monitor(stopping: EarlyStopping | None, loss: Loss, found: tuple[Metric, ...]) -> Metric:
    by_name = {"loss": Metric("loss", False, loss), **{metric.name: metric for metric in found}}
    name = "loss" if stopping is None else stopping.metric
    metric = by_name[checking.choice("early_stopping.metric", name, by_name)]
    if metric.higher_is_better is None:
        raise WrongValue(
            f"early_stopping.metric: expected one that says whether higher is better, got {name!r}"
        )
    return metric
