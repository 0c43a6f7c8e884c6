"""Gradient norms against lag: the curves, the lines fitted to them, and what clipping does."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.tasks import Batch, Task

TRANSIENT = 10  # lags in front of the fit: what the readout and an output gate add
ZERO = 1e-280  # what is below is rounded, even in float64


def norm_curve(cell: lj.Cell, task: Task, params: Any, batch: Batch) -> np.ndarray:
    """The norm of the gradient by the state k steps before the last, over that at the last.

    The loss is that of the task, of one row. Its gradient at the last step is by ``h``, which the
    readout reads; further back it is by all leaves of the state together. The quotient does not
    depend on how large the error still is, which training would otherwise change. In float64, since
    norms below 1e-38 are common.

    Args:
        cell: The cell.
        task: The task, whose answer is read from the last step.
        params: Those of a model of ``train.recurrent``.
        batch: The rows.

    Returns:
        The geometric mean over rows ``[T]``, by lag from 0 to T - 1. Rows whose loss has no
        gradient, because the answer is right to the last digit, are left out; NaN if all are, or if
        the params are not finite.
    """
    with jax.enable_x64(True):
        params, batch = jax.tree.map(_to_float64, (params, batch))
        readout = params["readout"]

        def loss(ys: jax.Array, last: Any) -> jax.Array:
            rows = len(batch.targets)  # the task's loss is their mean
            return rows * task.loss(last.h @ readout["w"] + readout["b"], batch)

        flow = lj.insight.state_gradients(cell, params["cell"], batch.xs, loss, with_last=True)
        norms = np.asarray(flow.by_lag())
    kept = norms[:, (norms[0] > ZERO) & np.isfinite(norms[0])]
    if kept.size == 0:
        return np.full(len(norms), np.nan)
    return np.exp(np.mean(np.log(np.maximum(kept / kept[0], ZERO)), axis=1))


def _to_float64(leaf: Any) -> Any:
    leaf = np.asarray(leaf)
    return jnp.asarray(leaf, jnp.float64 if np.issubdtype(leaf.dtype, np.floating) else leaf.dtype)


def decay_rate(curve: np.ndarray) -> float:
    """How fast a curve ``[T]`` falls, in nats per step: minus the slope of its logarithm, by least
    squares over the lags from ``TRANSIENT`` on. Negative for one that grows; NaN if any is."""
    first = min(TRANSIENT, len(curve) // 2)
    lags = np.arange(first, len(curve))
    heights = np.log(curve[first:])
    centred = lags - lags.mean()
    return float(-np.sum(centred * heights) / np.sum(centred**2))


def half_life(rate: float) -> float:
    """The steps in which a norm halves; infinite if it does not fall, NaN for NaN."""
    return float(np.log(2) / rate) if rate > 0 or np.isnan(rate) else np.inf


class Clipping(NamedTuple):
    """Steps of gradient descent.

    before: the global norm of the gradient, ``[steps]``.
    after: that of what is subtracted, without the learning rate, ``[steps]``.
    loss: ``[steps]``.
    """

    before: np.ndarray
    after: np.ndarray
    loss: np.ndarray


def descend(
    model: train.Model, task: Task, key: jax.Array, *, clip: float | None, steps: int,
    learning_rate: float, batch_size: int,
) -> tuple[Clipping, Any]:  # fmt: skip
    """Trains by plain gradient descent, with or without clipping by the global norm.

    Returns:
        The norms of all steps, NaN from the first step on that is not finite, and the last params.
    """
    key_init, key_data = jax.random.split(key)
    optimizer = train.optimizer("sgd", learning_rate, clip=clip)
    params = model.init(key_init)

    def step(carry: Any, key: jax.Array) -> tuple[Any, tuple[jax.Array, ...]]:
        params, state = carry
        batch = task.sample(key, batch_size)
        loss, gradient = jax.value_and_grad(
            lambda params: task.loss(model.apply(params, batch.xs), batch)
        )(params)
        updates, state = optimizer.update(gradient, state, params)
        norms = optax.tree.norm(gradient), optax.tree.norm(updates) / learning_rate
        return (optax.apply_updates(params, updates), state), (*norms, loss)

    run = jax.jit(lambda carry, keys: jax.lax.scan(step, carry, keys))
    keys = jax.random.split(key_data, steps)
    (last, _), steps_taken = run((params, optimizer.init(params)), keys)
    measured = np.stack(steps_taken)
    valid = np.logical_and.accumulate(np.isfinite(measured).all(axis=0))
    return Clipping(*np.where(valid, measured, np.nan)), last
