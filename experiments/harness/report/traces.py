"""Figures of what a trained net does on one test sequence: gates and states, step by step."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import lstm_jax as lj
from experiments.harness.report.style import save_figure
from experiments.harness.report.task_pictures import NAMES
from experiments.harness.run import best_rate
from experiments.harness.run.jobs import Job, slug
from lstm_jax import train
from lstm_jax.tasks import Sequences


def draw_traces(jobs: list[Job], results: list[dict[str, Any]], path: Path) -> dict[str, str]:
    """Draws the gates and states of each contender on the first test sequence.

    A contender's run is the one with the best validation score, among those at the rate at which it
    is reported. Models that are not a cell with a readout have no such figure.

    Args:
        jobs: The jobs of one setting.
        results: Their results, as in result.json.
        path: The run folder, with the trained models.

    Returns:
        The names of the files in ``path``, by what they show.
    """
    files = {}
    for job, result in zip(jobs, results, strict=True):
        if job.model.source is not None:
            run = best_run(job, result)
            cell, params = train.load_cell(path / job.folder / "model", run=run)
            xs = first_sequence(job.setting.task.test.xs)
            trace = lj.trace(cell, params, xs)
            figure = lj.insight.plot.trace(trace, name_inputs(job.setting.task.name, xs))
            figure.suptitle(f"{job.run_name(run)}, first test sequence", fontsize=10)
            file = f"{slug(job.name)}_trace.png"
            save_figure(figure, path / file)
            plt.close(figure)
            files[f"{job.contender}, gates and states over one sequence"] = file
    return files


def best_run(job: Job, result: dict[str, Any]) -> int:
    """The run with the best validation score at the rate at which the contender is reported."""
    runs = best_rate.runs_at(job, best_rate.best(job, result))
    score = job.setting.task.score
    scores = score.or_worst([result["validation"][run] for run in runs])
    return runs[int(np.argmax(scores) if score.higher_is_better else np.argmin(scores))]


def first_sequence(xs: Any) -> np.ndarray:
    """The first row of ``xs``, without its padding, ``[T, D]``."""
    if isinstance(xs, Sequences):
        return np.asarray(xs.values)[: int(xs.lengths[0]), 0]
    return np.asarray(xs)[:, 0]


def name_inputs(task: str, xs: np.ndarray) -> list[str] | None:
    """What was read at each step, if the inputs ``[T, D]`` are one-hot: the symbols of the task's
    picture if it has as many, and otherwise numbers; None for other inputs."""
    if xs.shape[1] < 2 or not (np.isin(xs, (0, 1)).all() and (xs.sum(axis=1) == 1).all()):
        return None
    kind = NAMES.get(task.partition("(")[0])
    symbols = [str(k) for k in range(xs.shape[1])]
    if kind is not None and len(kind.inputs) == xs.shape[1]:
        symbols = list(kind.inputs)
    return [symbols[k] for k in xs.argmax(axis=1)]
