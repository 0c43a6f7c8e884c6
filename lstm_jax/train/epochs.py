"""The epochs of ``fit``: where training stands, its batches, its step, and its end."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.typing import Params
from lstm_jax.train import resume
from lstm_jax.train.data.buckets import epoch_batches, make_buckets
from lstm_jax.train.data.reading import read_ahead
from lstm_jax.train.data.streams import Streams
from lstm_jax.train.evaluation import Data, measure, with_loss
from lstm_jax.train.losses import Loss
from lstm_jax.train.metrics import Metric
from lstm_jax.train.model import Model
from lstm_jax.train.pace import Pace
from lstm_jax.train.placement import Placement
from lstm_jax.train.program import Program
from lstm_jax.train.progress import Progress
from lstm_jax.train.steps import NonFiniteLoss, TrainState


class EarlyStopping(NamedTuple):
    """When to stop, by a number measured on the validation data after each epoch.

    patience: the epochs without an improvement after which training stops.
    metric: "loss", or the name of one of ``metrics``.
    min_delta: by how much a number has to be better to count as an improvement.
    """

    patience: int = 5
    metric: str = "loss"
    min_delta: float = 0.0


class Job(NamedTuple):
    """The checked arguments of ``fit``."""

    model: Model
    data: Data
    validation: Data | None
    loss: Loss
    metrics: tuple[Metric, ...]  # without the loss
    optimizer: optax.GradientTransformation
    epochs: int
    batch_size: int
    stopping: EarlyStopping | None
    monitor: Metric
    buckets: int
    placement: Placement


class Place(NamedTuple):
    """Where training stands: all that has to be kept to go on.

    state, carry: params, optimizer and step; the cells' state of streams.
    best: the params of the best epoch.
    history: of the epochs that are complete.
    epoch, batch: how many epochs, and batches of the next one, are complete.
    total, targets: the sum of the losses of the epoch so far, and how many targets counted.
    pending: the mean loss and the targets that counted of steps that are not in ``total`` yet.
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
    targets: int
    pending: tuple[Any, ...]
    best_epoch: int
    finished: bool


def run(
    job: Job,
    at: Place,
    epoch_data: "Epochs",
    program: Program,
    key: Array,
    store: "resume.Store | None",
    bar: Progress,
) -> Place:
    """Trains from ``at`` to the end. Where it stands is always one value, so that an interrupt at
    any moment finds it whole."""
    pace = Pace(bar, store)
    try:
        while at.epoch < job.epochs and not at.finished:
            if at.batch == 0:
                at = at._replace(carry=epoch_data.first_carry(at.state.params))
            length = epoch_data.start(at.epoch)
            for batch in epoch_data.batches(at.batch):
                at = _take_step(at, program, batch, key)
                look, save = pace.after_step(len(at.pending))
                if look:
                    at = _settle(at, epoch_data)
                    bar.show(at.epoch, at.batch, length, at.total / max(at.targets, 1), at.history)
                    if store and save:
                        store.save(at)
            at = _settle(at, epoch_data)
            at = _end_epoch(job, at)
            bar.show(at.epoch, 0, length, at.history["loss"][-1], at.history)
            save = pace.after_epoch()
            if store and (save or at.finished or at.epoch == job.epochs):
                store.save(at)
    except KeyboardInterrupt:
        # An interrupt within a step may have left it without the arrays that were given away. Of
        # several processes each is interrupted at another step, and all have to save one together.
        gone = any(leaf.is_deleted() for leaf in jax.tree.leaves(at.state))
        if store and not gone and jax.process_count() == 1:
            store.save(_settle(at, epoch_data))
        raise
    return at


def _take_step(at: Place, program: Program, batch: Any, key: Array) -> Place:
    state, carry, mean, number = program(at.state, at.carry, batch, key)
    pending = (*at.pending, (mean, number))
    return at._replace(state=state, carry=carry, batch=at.batch + 1, pending=pending)


def _settle(at: Place, epoch_data: "Epochs") -> Place:
    """Adds the losses of the steps since the last call, in their order."""
    total, count = at.total, at.targets
    for i, (mean, number) in enumerate(jax.device_get(at.pending)):
        if not math.isfinite(mean):
            batch = at.batch - len(at.pending) + i + 1
            raise NonFiniteLoss(
                f"the loss is {mean} at epoch {at.epoch + 1}, {epoch_data.describe(batch)}; try a "
                "smaller learning rate, or clip the gradient"
            )
        total += float(mean) * int(number)
        count += int(number)
    return at._replace(total=total, targets=count, pending=())


def _end_epoch(job: Job, at: Place) -> Place:
    """Measures, keeps the best params and decides whether to stop."""
    if at.targets == 0:
        raise WrongValue("data: expected at least one target that counts, got none")
    if not _are_finite(at.state.params):
        raise NonFiniteLoss(
            f"the params are not finite after epoch {at.epoch + 1}, though its losses are; try a "
            "smaller learning rate, or clip the gradient"
        )
    numbers = {"loss": at.total / at.targets}
    epoch = at.epoch + 1
    best, best_epoch, finished = at.best, at.best_epoch, False
    history = {name: list(of) for name, of in at.history.items()}
    if job.validation is not None:
        metrics = with_loss(job.loss, job.metrics)
        found = measure(
            job.model, at.state.params, job.validation, metrics, job.batch_size, job.placement
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
        total=0.0, targets=0,
    )  # fmt: skip


@jax.jit
def _are_finite(params: Params) -> jax.Array:
    floats = [leaf for leaf in jax.tree.leaves(params) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.stack([jnp.array(True), *(jnp.isfinite(leaf).all() for leaf in floats)]).all()


class Epochs:
    """The batches of each epoch, for rows and for streams."""

    def __init__(self, job: Job, words: tuple[int, ...]):
        self._job, self._words = job, words
        self._plan: list[Any] = []
        if isinstance(job.data, Streams):
            self._streams = job.data.arrange(job.data.streams or job.batch_size)
        else:
            self._buckets = make_buckets(
                job.data.lengths, job.buckets, job.batch_size, job.data.whole_lengths
            )

    def first_carry(self, params: Params) -> Any:
        if not isinstance(self._job.data, Streams):
            return None
        assert self._job.model.initial_state is not None
        carry = self._job.model.initial_state(params, self._streams.streams)
        return self._job.placement.put(carry)

    def start(self, epoch: int) -> int:
        """Chooses the epoch, and gives its number of batches."""
        if isinstance(self._job.data, Streams):
            self._plan = list(range(len(self._streams)))
        else:
            self._plan = epoch_batches(self._buckets, self._job.batch_size, self._words, epoch)
        return len(self._plan)

    def batches(self, first: int) -> Iterator[Any]:
        for batch in read_ahead(self._plan[first:], self._read, far=self._job.data.far):
            yield self._put(batch)

    def describe(self, number: int) -> str:
        """The batch, counted from 1, for an error."""
        text = f"batch {number} of {len(self._plan)}"
        if isinstance(self._job.data, Streams):
            return text
        item = self._plan[number - 1]
        rows = ", ".join(map(str, item.rows[: min(item.real, 5)]))
        return f"{text} (rows {rows}{', ...' if item.real > 5 else ''})"

    def first_batch(self) -> Any:
        """For its shapes."""
        self.start(0)
        return self._put(self._read(self._plan[0]))

    def _put(self, batch: Any) -> Any:
        return self._job.placement.put_batch(batch, self._job.data)

    def _read(self, item: Any) -> Any:
        if isinstance(self._job.data, Streams):
            return self._streams.read(item)
        return self._job.data.read(item.rows, item.real, self._buckets[item.bucket].longest)
