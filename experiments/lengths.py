"""Length generalisation: the score at lengths that were not trained."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.programs import answered
from experiments.setting import Further, Job, Scores
from lstm_jax.tasks import Batch

ROWS = 256  # of each length


def by_length(
    lengths: tuple[int, ...], trained: str, job: Job, params: Any, folder: Path
) -> Further:
    """``Setting.further``, once the first two are given: the task's score on held-out sequences of
    each of ``lengths``.

    trained: what the table says of the lengths in training, such as "3 to 40".
    """
    task, model = job.setting.task, job.model
    if task.test_at is None:
        raise ValueError(f"{task.name} has one length alone; takes a task with test_at")

    def score(params: Any, batch: Batch) -> jax.Array:
        answers = answered(lambda xs: model.answer(params, xs), batch.xs, task.reads)
        return task.score.measure(answers, batch)

    of_runs = jax.jit(lambda params, batch: jax.lax.map(lambda run: score(run, batch), params))
    on_one_device = jax.device_get(params)
    scores: Scores = {
        str(length): [
            float(s) for s in np.asarray(of_runs(on_one_device, task.test_at(length, ROWS)))
        ]
        for length in lengths
    }
    return Further({f"{task.score.name} by length, trained on {trained}": scores}, [], [])
