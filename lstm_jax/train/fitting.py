"""``fit``: gradient descent over finite data, epoch by epoch."""

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import Params
from lstm_jax.train import data_checks, losses, metrics, resume
from lstm_jax.train.averages import sum_and_count
from lstm_jax.train.data.buckets import epoch_batches, make_buckets
from lstm_jax.train.data.reading import read_ahead
from lstm_jax.train.data.streams import Streams
from lstm_jax.train.evaluation import Data, forward, measure, require_stream
from lstm_jax.train.fit import NonFiniteLoss, TrainState
from lstm_jax.train.losses import Loss
from lstm_jax.train.metrics import Metric
from lstm_jax.train.model import Model
from lstm_jax.train.progress import Progress, make_progress

PENDING = 50  # steps whose losses are looked at together


class EarlyStopping(NamedTuple):
    """When to stop, by a number measured on the validation data after each epoch.

    patience: the epochs without an improvement after which training stops.
    metric: "loss", or the name of one of ``metrics``.
    min_delta: by how much a number has to be better to count as an improvement.
    """

    patience: int = 5
    metric: str = "loss"
    min_delta: float = 0.0


class Fitted(NamedTuple):
    """What ``fit`` found.

    params: of the best epoch by the validation data; of the last one without these.
    best_epoch: its number, counted from 1.
    history: one number for each epoch: "loss", the mean over the targets of the epoch, measured
        while they were learnt from; with validation data also "validation_loss" and
        "validation_" with the name of each metric.
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

    Args:
        model: from ``recurrent`` or ``network``, or your own.
        data: a ``Dataset``, a ``Source`` or ``Streams``.
        validation: data of the same kind, measured after each epoch: the params of the best epoch
            are returned. It must not be the test data.
        loss: by name or as a function of outputs and targets, with one value for each target
            (``losses``).
        metrics: measured on the validation data (``metrics``).
        optimizer: from Optax; those that take the loss as ``value`` are given it.
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
            ``progress.Event``.

    Raises:
        NonFiniteLoss: naming epoch and batch, if the loss becomes NaN or infinite.
        ValueError or TypeError: naming the argument.
        CheckpointError: if the folder has the state of another training, or cannot be read.

    Warns:
        UserWarning: if the validation data have classes that the data have not.
    """
    job = _check(
        model, data, validation, loss, metrics, optimizer, epochs, batch_size, early_stopping, buckets
    )
    key = checking.random_key("key", key)
    key_init, key_noise, key_order = jax.random.split(key, 3)
    words = tuple(int(word) for word in np.ravel(jax.random.key_data(key_order)))
    start = model.init(key_init) if params is None else params
    start = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), start)
    state = TrainState(start, optimizer.init(start), jnp.zeros((), jnp.int32))
    state = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)  # may share no buffer
    epoch_data = _Epochs(job, words)
    at = _Place(state, epoch_data.first_carry(state.params), start, {}, 0, 0, 0.0, 0, 0, False)
    store = None
    if checkpoint is not None:
        settings = resume.settings(job, key, start)
        store = resume.Store(checkpoint, settings, seconds_between_checkpoints)
        at = store.restore(at)
    program = _program(model, job.loss, optimizer, data.per)
    compiled = program.traces()
    with make_progress(progress, job.epochs) as bar:
        at = _run(job, at, epoch_data, program, key_noise, store, bar)
        return Fitted(
            at.best if job.validation is not None else at.state.params,
            at.best_epoch if job.validation is not None else at.epoch,
            at.history,
            at.epoch,
            program.traces() - compiled,
            at.state,
        )


class Job(NamedTuple):
    """The checked arguments of ``fit``."""

    model: Model
    data: Data
    validation: Data | None
    loss: Loss
    metrics: tuple[Metric, ...]
    optimizer: optax.GradientTransformation
    epochs: int
    batch_size: int
    stopping: EarlyStopping | None
    monitor: Metric
    buckets: int


class _Place(NamedTuple):
    """Where training stands: all that has to be kept to go on.

    state, carry: params, optimizer and step; the cells' state of streams.
    best: the params of the best epoch.
    history: of the epochs that are complete.
    epoch, batch: how many epochs, and batches of the next one, are complete.
    total, count: the sum of the losses of the epoch, and of the targets that count.
    best_epoch: 0 before the first.
    finished: whether early stopping has ended it.
    """

    state: TrainState
    carry: Any
    best: Params
    history: dict[str, list[float]]
    epoch: int
    batch: int
    total: float
    count: int
    best_epoch: int
    finished: bool


def _run(
    job: Job,
    at: _Place,
    epoch_data: "_Epochs",
    program: "_Program",
    key: Array,
    store: "resume.Store | None",
    bar: Progress,
) -> _Place:
    while at.epoch < job.epochs and not at.finished:
        if at.batch == 0:
            at = at._replace(carry=epoch_data.first_carry(at.state.params), total=0.0, count=0)
        length = epoch_data.start(at.epoch)
        pending: list[tuple[Any, Any]] = []

        def settle(at: _Place, pending: list[tuple[Any, Any]]) -> _Place:
            """Adds the losses of the steps since the last call, in their order."""
            total, count = at.total, at.count
            for i, (mean, number) in enumerate(jax.device_get(pending)):
                if not math.isfinite(mean):
                    batch = at.batch - len(pending) + i + 1
                    raise NonFiniteLoss(
                        f"the loss is {mean} at epoch {at.epoch + 1}, batch {batch} of {length}"
                        f"{epoch_data.describe(batch - 1)}; try a smaller learning rate, or clip "
                        "the gradient"
                    )
                total += float(mean) * int(number)
                count += int(number)
            pending.clear()
            return at._replace(total=total, count=count)

        try:
            for batch in epoch_data.batches(at.batch):
                state, carry, mean, number = program(at.state, at.carry, batch, key)
                pending.append((mean, number))
                at = at._replace(state=state, carry=carry, batch=at.batch + 1)
                if len(pending) >= PENDING or bar.is_due() or (store and store.is_due()):
                    at = settle(at, pending)
                    bar.show(at.epoch, at.batch, length, at.total / max(at.count, 1), at.history)
                    if store and store.is_due():
                        store.save(at)
            at = settle(at, pending)
        except KeyboardInterrupt:
            if store:
                store.save(settle(at, pending))
            raise
        at = _end_epoch(job, at)
        bar.show(at.epoch, 0, length, at.history["loss"][-1], at.history)
        if store and (store.is_due() or at.finished or at.epoch == job.epochs):
            store.save(at)
    return at


def _end_epoch(job: Job, at: _Place) -> _Place:
    """Measures, keeps the best params and decides whether to stop."""
    if at.count == 0:
        raise WrongValue("data: expected at least one target that counts, got none")
    numbers = {"loss": at.total / at.count}
    epoch = at.epoch + 1
    best, best_epoch, finished = at.best, at.best_epoch, False
    history = {name: list(of) for name, of in at.history.items()}
    if job.validation is not None:
        found = measure(
            job.model, at.state.params, job.validation, job.loss, job.metrics, job.batch_size
        )
        numbers |= {f"validation_{name}": value for name, value in found.items()}
        name = f"validation_{job.monitor.name}"
        value = numbers[name]
        if math.isnan(value):
            raise NonFiniteLoss(f"{name} is nan after epoch {epoch}; try a smaller learning rate")
        delta = 0.0 if job.stopping is None else job.stopping.min_delta
        sign = 1 if job.monitor.higher_is_better else -1
        if best_epoch == 0 or sign * (value - history[name][best_epoch - 1]) > delta:
            best, best_epoch = jax.tree.map(jnp.copy, at.state.params), epoch
        if job.stopping is not None:
            finished = epoch - best_epoch >= job.stopping.patience
    for name, value in numbers.items():
        history.setdefault(name, []).append(value)
    return at._replace(
        best=best, best_epoch=best_epoch, finished=finished, history=history, epoch=epoch, batch=0,
        total=0.0, count=0,
    )  # fmt: skip


class _Epochs:
    """The batches of each epoch, for rows and for streams."""

    def __init__(self, job: Job, words: tuple[int, ...]):
        self._job, self._words = job, words
        self._plan: list[Any] = []
        if isinstance(job.data, Streams):
            self._streams = job.data.arrange(job.data.streams or job.batch_size)
        else:
            self._buckets = make_buckets(job.data.lengths, job.buckets, job.batch_size)

    def first_carry(self, params: Params) -> Any:
        if not isinstance(self._job.data, Streams):
            return None
        assert self._job.model.initial_state is not None
        return self._job.model.initial_state(params, self._streams.streams)

    def start(self, epoch: int) -> int:
        """Chooses the epoch, and gives its number of batches."""
        if isinstance(self._job.data, Streams):
            self._plan = list(range(len(self._streams)))
        else:
            self._plan = epoch_batches(self._buckets, self._job.batch_size, self._words, epoch)
        return len(self._plan)

    def batches(self, first: int) -> Iterator[Any]:
        return read_ahead(self._plan[first:], self._read, far=self._job.data.far)

    def describe(self, number: int) -> str:
        if isinstance(self._job.data, Streams):
            return ""
        item = self._plan[number]
        rows = ", ".join(map(str, item.rows[: min(item.count, 5)]))
        return f" (rows {rows}{', ...' if item.count > 5 else ''})"

    def _read(self, item: Any) -> Any:
        if isinstance(self._job.data, Streams):
            return self._streams.read(item)
        return self._job.data.read(item.rows, item.count, self._buckets[item.bucket].longest)


class _Program:
    """A step of training, jitted, which knows how often it was compiled."""

    def __init__(self, step: Callable[..., Any]):
        self._traces = 0

        def counted(*args: Any) -> Any:
            self._traces += 1
            return step(*args)

        self._jitted = jax.jit(counted, donate_argnums=0)

    def __call__(self, *args: Any) -> Any:
        return self._jitted(*args)

    def traces(self) -> int:
        return self._traces


@functools.lru_cache(maxsize=32)
def _program(
    model: Model, loss: Loss, optimizer: optax.GradientTransformation, per: str
) -> _Program:
    """``(state, carry, batch, key) -> (state, carry, mean loss, targets that count)``."""
    axes = 1 if per == "sequence" else 2
    takes_value = optax.with_extra_args_support(optimizer)

    @default_promotion
    def step(
        state: TrainState, carry: Any, batch: Any, key: Key[Array, ""]
    ) -> tuple[TrainState, Any, Float[Array, ""], Int[Array, ""]]:
        def loss_of(params: Params) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            new_carry, outputs = forward(
                model, params, carry, batch, jax.random.fold_in(key, state.step)
            )
            total, count = sum_and_count(loss(outputs, batch.targets), batch.counts, axes)
            return total / jnp.maximum(count, 1).astype(total.dtype), (new_carry, count)

        value_and_gradient = jax.value_and_grad(loss_of, has_aux=True)
        (mean, (new_carry, count)), gradient = value_and_gradient(state.params)
        updates, opt_state = takes_value.update(
            gradient, state.opt_state, state.params, value=mean
        )
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state, state.step + 1), new_carry, mean, count

    return _Program(step)


def _check(
    model: Any, data: Any, validation: Any, loss: Any, wanted: Any, optimizer: Any, epochs: Any,
    batch_size: Any, early_stopping: Any, buckets: Any,
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
    if validation is not None:
        data_checks.check("validation", validation)
        data_checks.require_same_kind(data, validation)
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
    found = metrics.resolve_all(wanted)
    if found and validation is None:
        raise WrongValue("metrics: expected validation data to measure on, got validation=None")
    resolved = losses.resolve(loss)
    job = Job(
        model, data, validation, resolved, found, optimizer,
        checking.positive_int("epochs", epochs), batch_size, stopping,
        _monitor(stopping, resolved, found), checking.positive_int("buckets", buckets),
    )  # fmt: skip
    data_checks.check_outputs(model, data, validation, resolved)
    return job


def _monitor(
    stopping: EarlyStopping | None, loss: Loss, found: tuple[Metric, ...]
) -> Metric:
    by_name = {"loss": Metric("loss", False, loss), **{metric.name: metric for metric in found}}
    name = "loss" if stopping is None else stopping.metric
    metric = by_name[checking.choice("early_stopping.metric", name, by_name)]
    if metric.higher_is_better is None:
        raise WrongValue(
            f"early_stopping.metric: expected one that says whether higher is better, got {name!r}"
        )
    return metric
