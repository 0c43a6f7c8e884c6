"""A task that tiny nets solve within a few batches, and compiled jobs that many tests share."""

import functools

import jax
import jax.numpy as jnp

from experiments.harness.run.compiled import Programs
from experiments.harness.run.jobs import comparison_jobs
from experiments.harness.run.setting import Budget, Setting
from lstm_jax.tasks import Batch, Score, Success
from lstm_jax.tasks.task import drawn_task

RATES = (0.01, 1e-5, 0.1)  # two that solve the task, and between them one that does not
BUDGET = Budget(
    cells=("rnn",), parameters=30, seeds=2, steps=60, every=10, batch_size=4, until_solved=True,
    learning_rate=RATES, vectorize="no",
)  # fmt: skip
LIMIT, MEAN_LIMIT, ROWS = 0.2, 0.08, 12  # three batches


def halved(on):
    """Half of the last number of three."""

    def draw(key, batch_size):
        xs = jax.random.uniform(key, (3, batch_size, 1), minval=-1)
        return Batch(xs, xs[-1] / 2)

    def error(outputs, batch):
        return jnp.abs(outputs - batch.targets)[:, 0]

    def mean_squared(outputs, batch):
        return jnp.mean((outputs - batch.targets) ** 2)

    success = Success(error, LIMIT, MEAN_LIMIT, ROWS, "a paper", on)
    return drawn_task(
        f"halved {on}", draw, input_size=1, output_size=1, loss=mean_squared, held_out=20,
        score=Score("MSE", mean_squared, False, 1 / 12), success=success,
    )  # fmt: skip


@functools.cache
def compiled(on):
    """A job and its programs: six runs, two per device, judged on held-out data, vectorized."""
    budget = BUDGET if on == "training" else Budget(**{**vars(BUDGET), "vectorize": "yes"})
    (job,) = comparison_jobs(Setting(halved(on), budget))
    programs = Programs(job)
    assert programs.mesh.size == 3 and programs.vectorized == (on == "held-out")
    return job, programs
