"""The table of ``every_cell``: all contenders on all tasks."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.report.report import format_median
from experiments.harness.report.summary import count_solved, summarize
from experiments.harness.run import run_folder
from experiments.harness.run.jobs import Job, comparison_jobs
from experiments.harness.run.setting import OverallResults, Setting

TITLE = (
    "Every cell on every task: the median test score (runs that solve the task), parameters, and "
    "the time of a training step of {batch} sequences on the longest task"
)


def compare(
    others: Sequence[Setting], jobs: list[Job], results: list[dict[str, Any]], path: Path
) -> OverallResults:
    """The table over all settings.

    Args:
        others: The settings before the last one.
        jobs: The jobs of the last setting.
        results: Their results.
        path: The run folder, which holds the results of the other settings.
    """
    before = [job for setting in others for job in comparison_jobs(setting)]
    jobs = [*before, *jobs]
    results = [
        *(run_folder.read_json(path / job.folder / "result.json") for job in before),
        *results,
    ]
    return OverallResults([make_table(jobs, results)], {})


def make_table(
    jobs: list[Job], results: list[dict[str, Any]]
) -> tuple[str, list[str], list[list[str]]]:
    """Title, columns and rows, one row for each contender."""
    settings = summarize("every_cell", jobs, results)["settings"]
    columns, rows = ["cell", "parameters"], dict[str, list[str]]()
    for job in jobs:
        rows.setdefault(job.contender, [job.contender, format_parameters(job.contender, jobs)])
    for setting in settings:
        zero = setting["chance"] if setting["memoryless"] is None else setting["memoryless"]
        columns.append(f"{setting['task']}: {setting['score']} ({zero:.3g} without memory)")
        for contender in setting["contenders"]:
            text = f"{format_median(contender)} ({count_solved(contender)}"
            text += f" of {len(contender['solved'])})"
            rows[contender["contender"]].append(text)
    columns.append("ms per step")
    longest = find_longest(jobs)
    for job, result in zip(jobs, results, strict=True):
        if job.setting.task.name == longest:
            rows[job.contender].append(f"{milliseconds_per_step(job, result):.3g}")
    return TITLE.format(batch=jobs[0].setting.budget.batch_size), columns, list(rows.values())


def format_parameters(contender: str, jobs: list[Job]) -> str:
    """The number of parameters, or the range of it, since inputs differ between tasks."""
    counts = sorted({job.parameters for job in jobs if job.contender == contender})
    return " to ".join(f"{count:,}" for count in {counts[0]: 0, counts[-1]: 0})


def find_longest(jobs: list[Job]) -> str:
    """The name of the task with the most steps."""
    by_steps = {job.setting.task.name: job.setting.task.test.xs.shape[0] for job in jobs}
    return max(by_steps, key=lambda name: by_steps[name])


def milliseconds_per_step(job: Job, result: dict[str, Any]) -> float:
    """The median over chunks of the time of a training step of one run.

    Runs that are computed side by side share the time of a chunk.
    """
    ends = [0, *(line["step"] for line in result["curve"])]
    each = [
        line["seconds"] / (end - start)
        for line, (start, end) in zip(result["curve"], itertools.pairwise(ends), strict=True)
    ]
    return 1e3 * float(np.median(each)) / len(job.seeds)
