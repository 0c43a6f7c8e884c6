"""Gradient descent, many steps inside one scan, with the data drawn inside."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from lstm_jax._internal import checking
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import Params
from lstm_jax.tasks.contract import check_draws
from lstm_jax.tasks.task import AnyTask, B
from lstm_jax.train.model import Model


class TrainState(NamedTuple):
    """All that training carries from step to step, and all that a checkpoint has to hold."""

    params: Params
    opt_state: Any
    step: Int[Array, ""]


class Steps(NamedTuple):
    """The measurements of training steps, one entry per step.

    loss: before the step's update.
    errors: of each sequence, before it is learnt from, by the task's criterion of success; None
        unless success is judged on the training stream.
    """

    loss: Float[Array, "steps"]
    errors: Float[Array, "steps B"] | None


class NonFiniteLoss(FloatingPointError):
    """A loss or a score became infinite or not a number."""


@default_promotion
def start(model: Model, optimizer: optax.GradientTransformation, key: Key[Array, ""]) -> TrainState:
    """Step 0: fresh params drawn from ``key``."""
    params = model.init(key)
    return TrainState(params, optimizer.init(params), jnp.zeros((), jnp.int32))


@default_promotion
def take_steps(
    model: Model,
    task: AnyTask[B],
    optimizer: optax.GradientTransformation,
    state: TrainState,
    key: Key[Array, ""],
    *,
    steps: int,
    batch_size: int,
) -> tuple[TrainState, Steps]:
    """``steps`` steps in one ``jax.lax.scan``: the new state, and the measurements of each step.

    The batch and the noise of step ``n`` are drawn from ``fold_in(key, n)``, n counting from the
    start of training: chunks of any size, put end to end, give the same numbers. A pure
    function, to be jitted by the caller (with the state's buffers donated, if wanted).

    Raises:
        ValueError: for a task whose ``sample`` does not draw from its key: NumPy would draw once,
            when the program is traced, and every step would learn from that one batch.
    """
    key = checking.random_key("key", key)
    checking.positive_int("steps", steps)
    checking.positive_int("batch_size", batch_size)
    check_draws(task)

    success = task.success

    def loss_of(params: Params, key: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        batch, key_noise = draw_batch(task, key, batch_size)
        outputs = model.apply(params, batch.xs, key=key_noise)
        errors = None
        if success is not None and success.on == "training":
            errors = success.error(outputs, batch)
        return task.loss(outputs, batch), errors

    def step(state: TrainState, _: None) -> tuple[TrainState, Steps]:
        step_key = jax.random.fold_in(key, state.step)
        value_and_gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, errors), gradient = value_and_gradient(state.params, step_key)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state, state.step + 1), Steps(loss, errors)

    return jax.lax.scan(step, state, None, length=steps)


def draw_batch(
    task: AnyTask[B], step_key: Key[Array, ""], batch_size: int
) -> tuple[B, Key[Array, ""]]:
    """The batch of a training step, and the key of the model's noise in it."""
    key_batch, key_noise = jax.random.split(checking.random_key("step_key", step_key))
    return task.sample(key_batch, batch_size), key_noise


def require_finite(values: Any, who: str, first_step: int = 0) -> None:
    """Raises NonFiniteLoss at the first step of ``values [steps]`` that is not finite.

    One NaN in a gradient makes all of it NaN under ``optax.clip_by_global_norm``, so training
    cannot recover by itself.

    Args:
        who: the cell and the seed, for the message.
        first_step: the step of the first value.
    """
    bad = np.flatnonzero(~np.isfinite(np.asarray(values)))
    if bad.size:
        value = np.asarray(values)[bad[0]]
        raise NonFiniteLoss(
            f"{who}: the loss is {value} at step {first_step + int(bad[0])}; "
            "try a smaller learning rate"
        )
