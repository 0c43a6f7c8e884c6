"""Nets that give each node of a tree or a graph a class, and how they are trained."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.run.study import Trial
from lstm_jax import train
from lstm_jax._internal.errors import WrongValue


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
    history: dict[str, list[float]]


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
    rng: np.random.RandomState | None = None,
) -> Iterator[Batch]:
    """All items in batches, in their order; or shuffled, without those of an incomplete batch."""
    order = np.arange(len(items)) if rng is None else rng.permutation(len(items))
    last = len(items) if rng is None else len(items) // size * size
    for start in range(0, last, size):
        chosen = [items[i] for i in order[start : start + size]]
        structure = pack([item.structure for item in chosen])
        yield Batch(
            structure, *(structure.fill(part) for part in list(zip(*chosen, strict=True))[1:])
        )


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
    """Trains on the items, until the validation accuracy has not risen for ``patience`` epochs."""
    if len(items) < batch_size:
        raise WrongValue(f"batch_size: expected at most {len(items)} items, got {batch_size}")
    held_out = list(make_batches(validation, batch_size, pack))
    rng = np.random.RandomState(trial.seed)
    params = net.init(trial.key)
    carry = (params, optimizer.init(params))
    history: dict[str, list[float]] = {"loss": [], "validation_accuracy": []}
    best, best_accuracy = params, -1.0
    step, best_epoch = _step_of(net, optimizer), 0
    for epoch in range(epochs):
        losses, keys = [], jax.random.fold_in(trial.key, epoch + 1)
        for number, batch in enumerate(make_batches(items, batch_size, pack, rng)):
            carry, loss = step(carry, batch, jax.random.fold_in(keys, number))
            losses.append(loss)
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise train.NonFiniteLoss(f"the loss is {loss} in epoch {epoch + 1}")
        accuracy = accuracy_of(net, carry[0], held_out)
        history["loss"].append(loss)
        history["validation_accuracy"].append(accuracy)
        trial.show((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}: loss {loss:.3f}, "
                                         f"validation accuracy {100 * accuracy:.1f} %")  # fmt: skip
        if accuracy > best_accuracy:
            best, best_accuracy, best_epoch = carry[0], accuracy, epoch + 1
        elif epoch + 1 - best_epoch >= patience:
            break
    return Fitted(best, best_epoch, history)


def _step_of(net: Net, optimizer: optax.GradientTransformation) -> Callable:
    @jax.jit
    def step(carry: Any, batch: Batch, key: jax.Array) -> Any:
        params, state = carry

        def loss_of(params: Any) -> jax.Array:
            losses = optax.softmax_cross_entropy_with_integer_labels(
                net.logits(params, batch, key), jnp.asarray(batch.targets)
            )
            weights = jnp.asarray(batch.weights)
            return jnp.sum(weights * losses) / jnp.sum(weights)

        loss, gradients = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), loss

    return step


def accuracy_of(net: Net, params: Any, batches: Sequence[Batch]) -> float:
    """The share of the nodes that count whose class is the likeliest one."""

    @jax.jit
    def count(params: Any, batch: Batch) -> jax.Array:
        right = jnp.argmax(net.logits(params, batch, None), axis=-1) == batch.targets
        return jnp.stack([jnp.sum(batch.weights * right), jnp.sum(batch.weights)])

    right, asked = np.sum([count(params, batch) for batch in batches], axis=0)
    return float(right / asked)


def parameters_of(net: Net) -> int:
    """The number of trained numbers."""
    shapes = jax.eval_shape(net.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
