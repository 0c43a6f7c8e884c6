"""``evaluate`` and ``predict``: finite data through a trained model, whatever their lengths."""

import functools
from collections.abc import Iterator
from typing import Any, overload

import jax
import numpy as np
from jax.sharding import Sharding

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray, Params
from lstm_jax.train import losses
from lstm_jax.train import metrics as metrics_by_name
from lstm_jax.train.averages import sum_and_count
from lstm_jax.train.data.buckets import RowBatch, epoch_batches, make_buckets
from lstm_jax.train.data.dataset import Dataset
from lstm_jax.train.data.reading import read_ahead
from lstm_jax.train.data.source import Source
from lstm_jax.train.data.streams import Streams
from lstm_jax.train.losses import Loss
from lstm_jax.train.metrics import Metric
from lstm_jax.train.model import Model
from lstm_jax.train.placement import Placement

BUCKETS = 8
ONE_DEVICE = Placement()
WAITING = 16  # batches that may wait for the device
Data = Dataset | Source | Streams


@default_promotion
def evaluate(
    model: Model,
    params: Params,
    data: Data,
    *,
    loss: str | Loss | None = None,
    metrics: Any = (),
    batch_size: int = 256,
) -> dict[str, float]:
    """The loss and the metrics of a trained model, without noise.

        train.evaluate(model, params, data, loss="mse", metrics=["rmse", "r2"])

    Args:
        model, params: such as ``Fitted.params``.
        data: of ``Streams`` the state is carried from beginning to end.
        loss: by name or as a function (``losses``); None if it is not wanted.
        metrics: by name, as a ``Metric`` or as a function (``metrics``), one or several.
        batch_size: rows at a time; changes nothing beyond rounding. Not used for ``Streams``.

    Returns:
        ``"loss"``, if one was given, and each metric by its name: means over all targets that
        count, not over batches.

    Raises:
        ValueError or TypeError: naming the argument.
    """
    found = metrics_by_name.resolve_all(metrics)
    if loss is None and not found:
        raise WrongValue("metrics: expected at least one metric, or a loss, got neither")
    require_data("data", data)
    if isinstance(data, Dataset) and data.targets is None:
        raise WrongValue("data: expected targets to compare with, got a Dataset without")
    if loss is not None:
        found = with_loss(losses.resolve(loss), found)
    return measure(model, params, data, found, batch_size)


def with_loss(loss: Loss, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    """The loss as the first of the metrics."""
    if any(metric.name == "loss" for metric in metrics):
        raise WrongValue("metrics: expected another name than 'loss', which is the loss's")
    return (Metric("loss", False, loss), *metrics)


def measure(
    model: Model,
    params: Params,
    data: Data,
    metrics: tuple[Metric, ...],
    batch_size: int,
    placement: Placement = ONE_DEVICE,
) -> dict[str, float]:
    """As ``evaluate``, of arguments that are checked, and params that ``placement`` has put."""
    means = tuple(metric for metric in metrics if metric.of_target is not None)
    whole = len(means) < len(metrics)
    of_target = tuple(metric.of_target for metric in means)
    program = _program(model, of_target, whole, data.per, placement.whole)
    sums, totals = np.zeros(len(means)), np.zeros(len(means))
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    waiting: list[Any] = []

    def take_oldest() -> None:
        batch, (pairs, outputs) = waiting.pop(0)
        for i, (value, count) in enumerate(jax.device_get(pairs)):
            sums[i] += float(value)
            totals[i] += int(count)
        if whole:
            axes = 1 if data.per == "sequence" else 2
            counts = batch.counts.all(axis=tuple(range(axes, batch.counts.ndim)))
            kept.append((np.asarray(outputs)[counts], batch.targets[counts]))

    for batch, run in _batches(model, params, data, batch_size, placement):
        waiting.append((batch, run(program, batch)))
        if len(waiting) > WAITING:
            take_oldest()
    while waiting:
        take_oldest()
    if (totals == 0).any() or (whole and not any(len(targets) for _, targets in kept)):
        raise WrongValue("data: expected at least one target that counts, got none")
    averages = iter(sums / np.maximum(totals, 1))
    parts = [np.concatenate(part) for part in zip(*kept, strict=True)]
    return {
        metric.name: float(
            metric.finish(float(next(averages))) if metric.of_all is None else metric.of_all(*parts)
        )
        for metric in metrics
    }


@overload
def predict(
    model: Model, params: Params, inputs: AnyArray | Streams, *, batch_size: int = 256
) -> np.ndarray: ...


@overload
def predict(
    model: Model, params: Params, inputs: Any, *, batch_size: int = 256
) -> np.ndarray | list[np.ndarray]: ...


@default_promotion
def predict(
    model: Model, params: Params, inputs: Any, *, batch_size: int = 256
) -> np.ndarray | list[np.ndarray]:
    """The answers of a trained model, row by row, in the order of the rows.

    Args:
        model, params: such as ``Fitted.params``.
        inputs: as ``Dataset`` takes them; or a ``Dataset``, whose targets are not looked at, a
            ``Source`` or ``Streams``.
        batch_size: rows at a time; changes nothing beyond rounding.

    Returns:
        ``model.answer`` of each row, as a NumPy array ``[N, ...]``. Of a model that answers at
        every step ``[N, T, ...]``, or a list of ``[T, ...]`` if rows differ in length; of
        ``Streams`` ``[N, ...]``.
    """
    data = inputs if isinstance(inputs, Dataset | Source | Streams) else Dataset(inputs)
    if isinstance(data, Streams):
        arranged = data.arrange(data.streams or 1)
        run = _stream_answers(model)
        state = _initial_state(model, params, arranged.streams)
        windows = []
        for window in read_ahead([*range(len(arranged))], arranged.read, far=data.far):
            state, answers = run(params, state, window.xs, window.resets)
            windows.append(np.asarray(answers))
        return arranged.join(windows)
    batch_size = rows_at_a_time(batch_size, len(data))
    run = _answers(model)
    every = _answers_every_step(model, params, data)
    rows: list[Any] = [None] * len(data)
    lengths = data.lengths
    for plan, batch in _read(data, batch_size):
        answers = np.asarray(run(params, batch.xs))
        for i, row in enumerate(plan.rows[: plan.real]):
            rows[row] = answers[: lengths[row], i] if every else answers[i]
    return rows if every and np.ptp(lengths) > 0 else np.stack(rows)


def rows_at_a_time(batch_size: int, count: int) -> int:
    """``batch_size``, or the next power of two if there are fewer rows: parts of a data set whose
    sizes differ a little are not compiled one by one."""
    return min(checking.positive_int("batch_size", batch_size), 2 ** (count - 1).bit_length())


def require_data(argument: str, data: Any) -> None:
    if not isinstance(data, Dataset | Source | Streams):
        raise WrongType(
            f"{argument}: expected a train.Dataset, Source or Streams, got {type(data).__name__}"
        )
    if len(data) == 0:
        raise WrongValue(f"{argument}: expected at least one row, got none")


def _batches(
    model: Model, params: Params, data: Data, batch_size: int, placement: Placement
) -> Iterator[tuple[Any, Any]]:
    """Batches, and how to run a program on each."""
    if isinstance(data, Streams):
        arranged = data.arrange(data.streams or 1)
        state = placement.put(_initial_state(model, params, arranged.streams))

        def run_window(program: Any, window: Any) -> Any:
            nonlocal state
            state, pairs, outputs = program(params, state, placement.put_batch(window, data))
            return pairs, outputs

        for window in read_ahead([*range(len(arranged))], arranged.read, far=data.far):
            yield window, run_window
        return

    def run_rows(program: Any, batch: Any) -> Any:
        return program(params, None, placement.put_batch(batch, data))[1:]

    # An incomplete batch is filled up, so that a few rows more change nothing.
    devices = placement.devices
    batch_size = -(-rows_at_a_time(batch_size, len(data)) // devices) * devices
    for _, batch in _read(data, batch_size):
        yield batch, run_rows


def _read(data: Dataset | Source, batch_size: int) -> Iterator[tuple[RowBatch, Any]]:
    buckets = make_buckets(data.lengths, BUCKETS, batch_size, data.whole_lengths)
    plan = epoch_batches(buckets, batch_size, None, 0)

    def read(item: RowBatch) -> Any:
        return data.read(item.rows, item.real, buckets[item.bucket].longest)

    yield from zip(plan, read_ahead(plan, read, far=data.far), strict=True)


def _initial_state(model: Model, params: Params, streams: int) -> Any:
    require_stream(model)
    assert model.initial_state is not None
    return model.initial_state(params, streams)


def require_stream(model: Model) -> None:
    """Raises ValueError for a model whose state cannot be carried."""
    if model.stream is None:
        raise WrongValue(
            "model: expected one that reads every step, with a state to carry, for Streams, got "
            "one without `stream`; use reads='every' and a cell that goes forward only"
        )


@functools.lru_cache(maxsize=32)
def _program(
    model: Model, of_target: tuple[Loss, ...], whole: bool, per: str, sharding: Sharding | None
) -> Any:
    """The jitted ``(params, state, batch) -> (state, ((sum, count), ...), outputs)``, with the
    results in the given sharding."""
    axes = 1 if per == "sequence" else 2

    @functools.partial(jax.jit, out_shardings=sharding)
    @default_promotion
    def program(params: Params, state: Any, batch: Any) -> Any:
        state, outputs = forward(model, params, state, batch, None)
        pairs = tuple(
            sum_and_count(function(outputs, batch.targets), batch.counts, axes, "metrics")
            for function in of_target
        )
        return state, pairs, outputs if whole else None

    return program


def forward(model: Model, params: Params, state: Any, batch: Any, key: Any) -> tuple[Any, Any]:
    """The carried state and the outputs of rows, whose state is None, or of a window of streams."""
    if state is None:
        return None, model.apply(params, batch.xs, key=key)
    assert model.stream is not None
    return model.stream(params, state, batch.xs, resets=batch.resets, key=key)


@functools.lru_cache(maxsize=32)
def _answers(model: Model) -> Any:
    return jax.jit(default_promotion(model.answer))


@functools.lru_cache(maxsize=32)
def _stream_answers(model: Model) -> Any:
    @jax.jit
    @default_promotion
    def run(params: Params, state: Any, xs: Any, resets: Any) -> Any:
        require_stream(model)
        assert model.stream is not None
        state, outputs = model.stream(params, state, xs, resets=resets)
        return state, outputs if model.answer_of is None else model.answer_of(outputs)

    return run


def _answers_every_step(model: Model, params: Params, data: Dataset | Source) -> bool:
    """Whether answers are ``[T, B, ...]``: found by the axis that grows with the batch."""
    shapes = []
    for rows in (1, 2):
        batch = data.read(np.zeros(rows, int), rows, int(data.whole_lengths.max()))
        shapes.append(jax.eval_shape(_answers(model), params, batch.xs).shape)
    axis = next((i for i, (a, b) in enumerate(zip(*shapes, strict=True)) if a != b), None)
    if axis not in (0, 1):
        raise WrongValue(
            f"model: expected answers [B, ...] or [T, B, ...], got shape {shapes[1]} for 2 rows"
        )
    return axis == 1
