"""A run whose loss is not finite: its batch and the params that met it are kept, to be looked at.

FOLDER/not_finite/RUN/   a checkpoint: the state before the step that went bad, the run's key,
                         and the batch of that step
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness.run.jobs import Job
from lstm_jax import train


class Replayed(NamedTuple):
    """loss: of the kept params on the kept batch. gradient_norms: by the parameter's name."""

    loss: float
    gradient_norms: dict[str, float]


def keep(
    job: Job, before: train.TrainState, told: train.Steps, lines: list[dict[str, Any]], path: Path
) -> None:
    """Keeps, of each run whose loss became not finite in the last chunk, what its first bad step
    was made of.

    before: all runs before the chunk. told: of the chunk's steps, runs first. lines: measurements
    so far, the chunk's included.
    """
    for run, losses in enumerate(told.loss):
        bad = np.flatnonzero(~np.isfinite(losses))
        folder = path / str(run)
        ended = len(lines) > 1 and lines[-2]["train_loss"][run] is None
        if bad.size and not ended and train.checkpoint.latest_step(folder) is None:
            state = jax.tree.map(lambda leaf, run=run: leaf[run], jax.device_get(before))
            kept = at_step(job, run, state, int(bad[0]))
            train.checkpoint.save(folder, int(kept["state"].step), kept)


def at_step(job: Job, run: int, state: train.TrainState, steps: int) -> dict[str, Any]:
    """``steps`` steps on from ``state``: the state, the key and the batch of the step to come."""
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
    return {"state": state, "key": step_key, "batch": train.drawn(task, step_key, batch_size)[0]}


def replay(job: Job, run: int, path: Path) -> Replayed:
    """Computes the loss and the gradient of the kept step again.

    path: the job's folder. Raises CheckpointError where no such run was kept.
    """
    from experiments.harness.run.compiled import start

    like = jax.eval_shape(lambda: at_step(job, run, start(job, run)[0], 0))
    kept = train.checkpoint.restore(path / "not_finite" / str(run), like)
    batch, (_, key_noise) = kept["batch"], jax.random.split(kept["key"])

    def loss_of(params: Any) -> jax.Array:
        return job.setting.task.loss(job.model.apply(params, batch.xs, key=key_noise), batch)

    loss, gradient = jax.jit(jax.value_and_grad(loss_of))(kept["state"].params)
    norms = {
        jax.tree_util.keystr(path, simple=True, separator="."): float(np.linalg.norm(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
    }
    return Replayed(float(loss), norms)
