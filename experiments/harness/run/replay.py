"""Runs whose loss is not finite: their params and batch are stored, so that the step can be
replayed.

    FOLDER/not_finite/RUN/   a checkpoint: the state before the step whose loss was not finite, the
                             key of the step and its batch
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness.run.jobs import Job
from lstm_jax import train


class Replay(NamedTuple):
    """The step, computed again from the stored params and batch.

    gradient_norms: by parameter.
    """

    loss: float
    gradient_norms: dict[str, float]


def keep(
    job: Job, before: train.TrainState, steps: train.Steps, lines: list[dict[str, Any]], path: Path
) -> None:
    """Stores the first bad step of each run whose loss stopped being finite in the last chunk.

    Args:
        job: The job.
        before: The state of all runs before the chunk.
        steps: The record of the chunk's steps, with runs as the first axis.
        lines: All measurements so far, including the chunk's.
        path: The folder ``not_finite``.
    """
    for run, losses in enumerate(steps.loss):
        bad = np.flatnonzero(~np.isfinite(losses))
        folder = path / str(run)
        ended = len(lines) > 1 and lines[-2]["train_loss"][run] is None
        if bad.size and not ended and train.checkpoint.latest_step(folder) is None:
            state = jax.tree.map(lambda leaf, run=run: leaf[run], jax.device_get(before))
            kept = state_before_step(job, run, state, int(bad[0]))
            train.checkpoint.save(folder, int(kept["state"].step), kept)


def state_before_step(job: Job, run: int, state: train.TrainState, steps: int) -> dict[str, Any]:
    """``steps`` steps after ``state``: the state, and the key and batch of the next step."""
    from experiments.harness.run.compiled import start

    task, batch_size = job.setting.task, job.setting.budget.batch_size
    _, key = start(job, run)
    if steps:
        optimizer = job.optimizer(job.learning_rates[run])
        go = jax.jit(
            lambda state: train.take_steps(
                job.model, task, optimizer, state, key, steps=steps, batch_size=batch_size
            )[0]
        )
        state = go(state)
    step_key = jax.random.fold_in(key, state.step)
    return {
        "state": state,
        "key": step_key,
        "batch": train.draw_batch(task, step_key, batch_size)[0],
    }


def replay(job: Job, run: int, path: Path) -> Replay:
    """Computes the loss and the gradient of the stored step again.

    Args:
        job: The job.
        run: The index of the run.
        path: The job's folder.

    Raises:
        CheckpointError: if no step of this run was stored.
    """
    from experiments.harness.run.compiled import start

    like = jax.eval_shape(lambda: state_before_step(job, run, start(job, run)[0], 0))
    kept = train.checkpoint.restore(path / "not_finite" / str(run), like)
    batch, (_, key_noise) = kept["batch"], jax.random.split(kept["key"])

    def loss_of(params: Any) -> jax.Array:
        return job.setting.task.loss(job.model.apply(params, batch.xs, key=key_noise), batch)

    loss, gradient = jax.jit(jax.value_and_grad(loss_of))(kept["state"].params)
    norms = {
        jax.tree_util.keystr(path, simple=True, separator="."): float(np.linalg.norm(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
    }
    return Replay(float(loss), norms)
