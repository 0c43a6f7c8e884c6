"""Length generalisation: scores at lengths beyond the trained ones."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.harness.run.compiled import answer_in_parts
from experiments.harness.run.jobs import Job
from experiments.harness.run.setting import FurtherResults, Scores
from lstm_jax._internal.errors import ArgumentError, WrongValue
from lstm_jax.tasks import AnyTask, Batch, Sequences

ROWS = 256  # of each length


TestAt = Callable[[int, int], Batch]  # as ``Task`` has it


def require_lengths(lengths: tuple[int, ...], task: AnyTask[Any]) -> TestAt:
    """The task's ``test_at``. Raises ValueError if ``task`` has no sequences of one of ``lengths``;
    to be called before training."""
    test_at: TestAt | None = getattr(task, "test_at", None)  # only a Task has it
    if test_at is None:
        raise WrongValue(
            f"tasks: expected tasks with test_at, got {task.name}, which has only one length"
        )
    if not lengths:
        raise WrongValue("lengths: expected at least one, got none")
    for length in lengths:
        try:
            jax.eval_shape(functools.partial(test_at, length, ROWS))
        except ArgumentError as error:
            raise WrongValue(f"lengths, of {task.name}: {error}") from None
    return test_at


def describe_steps(xs: Any) -> str:
    """The number of steps of ``xs`` as text, or their range, such as "1 to 40"."""
    if not isinstance(xs, Sequences):
        return str(len(xs))
    low, high = int(np.min(xs.lengths)), int(np.max(xs.lengths))
    return f"{low} to {high}" if low < high else str(high)


def score_by_length(
    lengths: tuple[int, ...], job: Job, params: Any, folder: Path
) -> FurtherResults:
    """The task's score on held-out sequences of each length; with ``lengths`` bound, a function for
    ``Setting.further``. Raises ValueError as ``require_lengths`` does."""
    task, model = job.setting.task, job.model
    test_at = require_lengths(lengths, task)

    def score(params: Any, batch: Batch) -> jax.Array:
        answers = answer_in_parts(lambda xs: model.answer(params, xs), task, batch)
        return task.score.measure(answers, batch)

    of_runs = jax.jit(lambda params, batch: jax.lax.map(lambda run: score(run, batch), params))
    on_one_device = jax.device_get(params)
    scores: Scores = {}
    for length in lengths:
        batch = test_at(length, ROWS)
        values = np.asarray(of_runs(on_one_device, batch))
        scores[column_name(length, batch.xs)] = [float(value) for value in values]
    trained = f"trained on {describe_steps(task.validation.xs)} steps"
    return FurtherResults({f"{task.score.name} by length in steps, {trained}": scores}, [], [])


def column_name(length: int, xs: Any) -> str:
    """The number of steps of the sequences ``xs`` that ``test_at`` made for ``length``, followed by
    ``length`` if that is something else, such as a lag."""
    steps = describe_steps(xs)
    return f"{steps} steps" if steps == str(length) else f"{steps} steps (length {length})"
