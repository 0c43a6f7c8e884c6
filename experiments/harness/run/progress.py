"""A progress bar over all jobs, with the time left, and one line per finished job."""

from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from experiments.harness.run import best_rate
from experiments.harness.run.jobs import Job


class Progress:
    """A context manager; the unit of work is one time step of one training step."""

    def __init__(self, jobs: list[Job], console: Console):
        self._done = {job.folder: 0 for job in jobs}
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            speed_estimate_period=120.0,  # cells differ in speed
        )
        self._total = sum(map(amount_of_work, jobs))
        self._task = self._bar.add_task("start", total=self._total)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show_status(self, text: str) -> None:
        self._bar.update(self._task, description=text)

    def warn(self, text: str) -> None:
        self._bar.console.print(text, style="red", highlight=False, soft_wrap=True)

    def skip(self, done: list[Job]) -> None:
        """Removes jobs that were finished before this start, which would distort the time left."""
        for job in done:
            del self._done[job.folder]
            self._total -= amount_of_work(job)
        self._bar.update(self._task, total=self._total)

    def advance_to(self, job: Job, step: int, steps: int) -> None:
        """Shows that the job is at ``step`` of ``steps``."""
        self._done[job.folder] = amount_of_work(job) * step // steps
        self._bar.update(
            self._task,
            completed=sum(self._done.values()),
            description=f"{job.name} ({len(job.seeds)} runs), step {step} of {steps}",
        )

    def mark_done(self, job: Job) -> None:
        """Counts the job as done."""
        self._done[job.folder] = amount_of_work(job)
        self._bar.update(self._task, completed=sum(self._done.values()))

    def print_result(self, job: Job, result: dict[str, Any]) -> None:
        """Counts the job as done, and prints a line with its result."""
        line = f"{job.name}: {result['seconds']:.0f} s of training"
        if "test" in result:
            score = job.setting.task.score
            kept = best_rate.runs_at(job, best_rate.best(job, result))
            median = np.median(score.or_worst([result["test"][run] for run in kept]))
            line += f", test {score.name} {median:.3g}"
        if any(count is not None for count in result["solved"]):
            solved = sum(count is not None for count in result["solved"])
            line += f", {solved} of {len(job.seeds)} solved"
        self.mark_done(job)
        self._bar.console.print(line, highlight=False)


def amount_of_work(job: Job) -> int:
    """An estimate; contenders of one setting have about equal sizes, and so about equal costs."""
    if job.setting.budget.seconds is not None:
        return round(1000 * job.setting.budget.seconds)
    time_steps = sum(
        leaf.shape[0] for leaf in jax.tree.leaves(job.setting.task.test.xs) if leaf.ndim > 1
    )
    return job.setting.budget.steps * time_steps * len(job.seeds)
