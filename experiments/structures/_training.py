"""Nets that give each node of a tree or a graph a class, and how they are trained."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.run.study import Trial
from lstm_jax import train
from lstm_jax._internal.errors import WrongValue
from lstm_jax.train import checkpoint

SECONDS_BETWEEN_CHECKPOINTS = 60.0


class Item(NamedTuple):
    """A tree or a graph, with numbers at its nodes.

    structure: a ``lj.tree.Tree`` or a ``lj.graph.Graph``.
    ids: the symbol at each node ``[n]``; 0 is none.
    targets: the class of each node ``[n]``.
    weights: how much each node counts ``[n]``; 0 for those that are not asked.
    """

    structure: Any
    ids: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class Batch(NamedTuple):
    """Items packed together: a ``Forest`` or ``Graphs``, and arrays ``[N]``."""

    structure: Any
    ids: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class Net(NamedTuple):
    """A net of nodes.

    init: ``key -> params``.
    logits: ``(params, batch, key) -> [N, classes]``; without a key there is no dropout.
    """

    init: Callable[[jax.Array], Any]
    logits: Callable[[Any, Batch, jax.Array | None], jax.Array]


class Fitted(NamedTuple):
    """The params of the best epoch by validation accuracy, its number from 1, and curves."""

    params: Any
    best_epoch: int
    history: dict[str, np.ndarray]


def node_net(
    cell: Any,
    run: Callable[[Any, Any, jax.Array], jax.Array],
    *,
    symbols: int,
    embedding: int,
    classes: int,
    dropout: float = 0.0,
) -> Net:
    """Vectors of symbols, a cell, and a readout at each node.

    run: ``(params, structure, xs) -> ys``, over the nodes.
    """

    def init(key: jax.Array) -> Any:
        of_table, of_cell, of_readout = jax.random.split(key, 3)
        draw = jax.nn.initializers.glorot_uniform()
        return {
            "table": 0.5 * jax.random.normal(of_table, (symbols, embedding)),
            "cell": cell.init(of_cell, embedding),
            "readout": {
                "w": draw(of_readout, (cell.size, classes)),
                "b": jnp.zeros(classes),
            },
        }

    def drop(values: jax.Array, key: jax.Array | None) -> jax.Array:
        if key is None or dropout == 0.0:
            return values
        kept = jax.random.bernoulli(key, 1.0 - dropout, values.shape)
        return jnp.where(kept, values / (1.0 - dropout), 0.0)

    def logits(params: Any, batch: Batch, key: jax.Array | None) -> jax.Array:
        before, after = (None, None) if key is None else jax.random.split(key)
        ids = jnp.asarray(batch.ids)
        xs = jnp.where(ids[:, None] > 0, params["table"][ids], 0.0)
        ys = run(params["cell"], batch.structure, drop(xs, before))
        return drop(ys, after) @ params["readout"]["w"] + params["readout"]["b"]

    return Net(init, logits)


def make_batches(
    items: Sequence[Item],
    size: int,
    pack: Callable[[list[Any]], Any],
    order: np.ndarray | None = None,
) -> Iterator[Batch]:
    """All items in batches; or in ``order``, without those of an incomplete batch."""
    last = len(items)
    if order is not None:
        items, last = [items[i] for i in order], len(order) // size * size
    for start in range(0, last, size):
        chosen = items[start : start + size]
        structure = pack([item.structure for item in chosen])
        yield Batch(
            structure, *(structure.fill(part) for part in list(zip(*chosen, strict=True))[1:])
        )


class _Place(NamedTuple):
    """Where training stands: all that a checkpoint holds.

    params, state, best: The params, the state of the optimizer, the params of the best epoch.
    total: The sum of the losses of this epoch so far.
    curves: The loss and the validation accuracy of each epoch ``[2, epochs]``.
    numbers: Complete epochs, batches since then, and the best epoch, from 1 ``[3]``.
    """

    params: Any
    state: Any
    best: Any
    total: jax.Array
    curves: np.ndarray
    numbers: np.ndarray


def fit(
    net: Net,
    optimizer: optax.GradientTransformation,
    items: Sequence[Item],
    validation: Sequence[Item],
    pack: Callable[[list[Any]], Any],
    trial: Trial,
    *,
    batch_size: int,
    epochs: int,
    patience: int,
) -> Fitted:
    """Trains on the items, until the validation accuracy has not risen for ``patience`` epochs.

    After a kill, it goes on from the trial's checkpoint to the same bits.
    """
    if len(items) < batch_size:
        raise WrongValue(f"batch_size: expected at most {len(items)} items, got {batch_size}")
    held_out = list(make_batches(validation, batch_size, pack))
    batches = len(items) // batch_size
    params = net.init(trial.key)
    at = _Place(params, optimizer.init(params), params, jnp.zeros(()),
                np.full((2, epochs), np.nan), np.zeros(3, np.int64))  # fmt: skip
    if checkpoint.latest_step(trial.checkpoint) is not None:
        at = checkpoint.restore(trial.checkpoint, at)
    step, measure = step_of(net, optimizer), accuracy_of(net)
    saved = time.monotonic()

    def save(at: _Place) -> None:
        number = int(at.numbers[0]) * (batches + 1) + int(at.numbers[1])
        if number != checkpoint.latest_step(trial.checkpoint):
            checkpoint.save(trial.checkpoint, number, at)

    while at.numbers[0] < epochs and (at.numbers[0] - at.numbers[2] < patience):
        epoch, first, best_epoch = map(int, at.numbers)
        order = np.random.RandomState((trial.seed, epoch)).permutation(len(items))
        keys = jax.random.fold_in(trial.key, epoch + 1)
        left = order[first * batch_size :]
        for number, batch in enumerate(make_batches(items, batch_size, pack, left), first + 1):
            now = step(at.params, at.state, at.total, batch, jax.random.fold_in(keys, number))
            at = at._replace(params=now[0], state=now[1], total=now[2],
                             numbers=np.array([epoch, number, best_epoch]))  # fmt: skip
            trial.show((epoch + number / batches) / epochs, _describe(at, epochs))
            if time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                save(at)
                saved = time.monotonic()
        loss, accuracy = float(at.total) / batches, measure(at.params, held_out)
        if not np.isfinite(loss):
            raise train.NonFiniteLoss(f"the loss is {loss} in epoch {epoch + 1}")
        curves = at.curves.copy()
        curves[:, epoch] = loss, accuracy
        at = at._replace(curves=curves, total=jnp.zeros(()))
        if not best_epoch or accuracy > curves[1, best_epoch - 1]:
            at, best_epoch = at._replace(best=at.params), epoch + 1
        at = at._replace(numbers=np.array([epoch + 1, 0, best_epoch]))
    save(at)
    done = int(at.numbers[0])
    history = {"loss": at.curves[0, :done], "validation_accuracy": at.curves[1, :done]}
    return Fitted(at.best, int(at.numbers[2]), history)


def _describe(at: _Place, epochs: int) -> str:
    epoch = int(at.numbers[0])
    text = f"epoch {epoch + 1} of {epochs}"
    if not epoch:
        return text
    loss, accuracy = at.curves[:, epoch - 1]
    return f"{text}: loss {loss:.3f}, validation accuracy {100 * accuracy:.1f} %"


def step_of(net: Net, optimizer: optax.GradientTransformation) -> Callable:
    """``(params, state, total, batch, key) -> params, state, total``, an update."""

    @jax.jit
    def step(params: Any, state: Any, total: jax.Array, batch: Batch, key: jax.Array) -> Any:
        def loss_of(params: Any) -> jax.Array:
            losses = optax.softmax_cross_entropy_with_integer_labels(
                net.logits(params, batch, key), jnp.asarray(batch.targets)
            )
            weights = jnp.asarray(batch.weights)
            return jnp.sum(weights * losses) / jnp.sum(weights)

        loss, gradients = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, total + loss

    return step


def accuracy_of(net: Net) -> Callable[[Any, Sequence[Batch]], float]:
    """``(params, batches) -> the share of the nodes that count whose class is the likeliest``."""

    @jax.jit
    def count(params: Any, batch: Batch) -> jax.Array:
        right = jnp.argmax(net.logits(params, batch, None), axis=-1) == batch.targets
        return jnp.stack([jnp.sum(batch.weights * right), jnp.sum(batch.weights)])

    def measure(params: Any, batches: Sequence[Batch]) -> float:
        right, asked = np.sum([count(params, batch) for batch in batches], axis=0)
        return float(right / asked)

    return measure


def parameters_of(net: Net) -> int:
    """The number of trained numbers."""
    shapes = jax.eval_shape(net.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
