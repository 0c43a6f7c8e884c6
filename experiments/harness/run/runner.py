"""Runs jobs: all seeds of a contender together, with measurements and checkpoints."""

import contextlib
import gc
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.harness.run import replay, run_folder
from experiments.harness.run.compiled import Programs
from experiments.harness.run.event_files import Events
from experiments.harness.run.jobs import Job
from experiments.harness.run.progress import Progress
from experiments.harness.run.success import ErrorWindow
from lstm_jax import train

# The largest number of seconds between checkpoints: a killed run loses no more than this and one
# chunk. The first chunk after each start is saved at once.
CHECKPOINT_SECONDS = 10.0
COMPILED_AT_ONCE = 16  # jobs; a process cannot hold very many compiled programs


def run_all(
    jobs: list[Job],
    path: Path,
    progress: Progress,
    *,
    sweeping: bool = False,
    tensorboard: bool = False,
) -> list[dict[str, Any]]:
    """The results of all jobs, in order; those that the folder already has are not computed again.

    A run whose loss is not finite is stopped and reported, with its seed and step, and its batch is
    stored. It counts as the worst score. All other runs continue.

    Args:
        jobs: The jobs.
        path: The run folder.
        progress: The progress bar.
        sweeping: Whether this is a sweep, which does not use test data, and does not report
            divergence, since it looks for the largest usable rate.
        tensorboard: Whether to write event files.
    """
    files = {job.folder: path / job.folder / "result.json" for job in jobs}
    results = {name: run_folder.read_json(file) for name, file in files.items() if file.exists()}
    left = [job for job in jobs if job.folder not in results]
    progress.skip([job for job in jobs if job.folder in results])
    if tensorboard:
        for job in jobs:
            if job.folder in results:
                Events(job, path / job.folder, results[job.folder]["curve"]).close()
    for first in range(0, len(left), COMPILED_AT_ONCE):
        some = left[first : first + COMPILED_AT_ONCE]
        # All of these are compiled first, on all cores, so that compiling does not disturb timings.
        progress.show_status(f"compiling {len(some)} programs")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            compiled = list(pool.map(Programs, some))
        for job, programs in zip(some, compiled, strict=True):
            results[job.folder] = run_job(
                job, programs, path / job.folder, progress,
                sweeping=sweeping, tensorboard=tensorboard,
            )  # fmt: skip
        if len(left) > COMPILED_AT_ONCE:
            del compiled, programs
            gc.collect()
            jax.clear_caches()
    return [results[job.folder] for job in jobs]


def run_job(
    job: Job,
    programs: Programs,
    path: Path,
    progress: Progress,
    *,
    sweeping: bool,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Trains all runs of one job, from the last checkpoint on.

    Returns:
        The content of result.json. With one entry per run: ``validation`` and ``test``, the scores
        at the end of training; ``scores``, the task's further scores on test data, by name; and
        ``solved``, the number of sequences until success (None: no success). For all runs
        together: ``steps``, the budget; ``seconds`` of training, without compiling and measuring;
        and ``curve``, all measurements.
    """
    task = job.setting.task
    steps = number_of_steps(job, programs, path)
    runs = Runs(job, programs, path)
    events = Events(job, path, runs.lines) if tensorboard else None
    progress.advance_to(job, runs.step, steps)
    saved = (
        -math.inf
    )  # saves the first chunk, so that even a run that is killed early and often advances
    while runs.step < steps and runs.active().any():
        before = runs.state
        steps_taken = runs.advance(warn=not sweeping, progress=progress)
        if events is not None:
            events.add(runs.lines[-1])
        if not sweeping:
            replay.keep(job, before, steps_taken, runs.lines, path / "not_finite")
        if runs.step >= steps or time.monotonic() - saved > CHECKPOINT_SECONDS:
            runs.save()
            saved = time.monotonic()
        progress.advance_to(job, runs.step, steps)
    runs.save()
    if events is not None:
        events.close()
    last = runs.lines[-1]
    result = {
        "validation": last["validation"],
        "solved": last["solved"],
        "steps": steps,
        "seconds": sum(line["seconds"] for line in runs.lines),
        "curve": runs.lines,
    }
    if not sweeping:
        result["test"] = drop_diverged(programs.score(runs.state.params, task.test)[0], last)
        result["scores"] = {
            name: drop_diverged(values, last)
            for name, values in programs.scores(runs.state.params, task.test).items()
        }
        if job.setting.further is not None:
            progress.show_status(f"{job.name}: further measurements")
            further = job.setting.further(job, runs.state.params, path)
            rows = {
                title: {
                    column: drop_where_none(values, result["test"])
                    for column, values in row.items()
                }
                for title, row in further.scores.items()
            }
            result["further"] = further._replace(scores=rows)._asdict()
        if job.model.source is not None:
            train.save_model(path / "model", job.model.source, jax.device_get(runs.state.params))
    run_folder.write_json(path / "result.json", result)
    progress.print_result(job, result)
    return result


def number_of_steps(job: Job, programs: Programs, path: Path) -> int:
    """The number of steps of the job. For a budget in seconds, as many as fit, by a measurement
    that is stored, so that a run that is continued has the same number."""
    budget = job.setting.budget
    if budget.seconds is None:
        return budget.steps
    file = path / "steps.json"
    if not file.exists():
        path.mkdir(parents=True, exist_ok=True)
        programs.time_chunk()  # the first is slower
        chunks = max(1, int(budget.seconds / programs.time_chunk()))
        run_folder.write_json(file, {"steps": chunks * budget.every})
    return run_folder.read_json(file)["steps"]


class Runs:
    """The runs of one job during training: their state and measurements."""

    def __init__(self, job: Job, programs: Programs, path: Path):
        self._job, self._programs, self._folder = job, programs, path / "checkpoints"
        success, count = job.setting.task.success, len(job.seeds)
        self._window: ErrorWindow | None = None
        if success is not None and success.on == "training":
            self._window = ErrorWindow(success, count)
        self.state = programs.state
        self.step = self._saved = train.checkpoint.latest_step(self._folder) or 0
        if self.step:
            with delay_interrupts():
                restored = train.checkpoint.restore(self._folder, self._tree())
            self.state = programs.place(restored["state"])
            if self._window is not None:
                self._window.recent = np.asarray(restored["recent"])
        self._metrics = run_folder.Metrics(path / "metrics.jsonl", self.step)
        self.lines = self._metrics.lines

    def active(self) -> np.ndarray:
        """Which runs ``[runs]`` are still trained: those that have not diverged and, if runs end as
        soon as they solve the task, have not solved it."""
        if not self.lines:
            return np.ones(len(self._job.seeds), bool)
        last = self.lines[-1]
        diverged = np.array([loss is None for loss in last["train_loss"]])
        solved = np.array([count is not None for count in last["solved"]])
        return ~(diverged | (solved & self._job.setting.budget.until_solved))

    def advance(self, *, warn: bool, progress: Progress) -> train.Steps:
        """Trains the active runs for one chunk, and appends a line of measurements."""
        job, active = self._job, self.active()
        budget, task = job.setting.budget, job.setting.task
        self.state, steps, seconds = self._programs.chunk(self.state, active)
        if warn:
            warn_of_divergence(job, np.asarray(steps.loss), active, self.step, progress)
        seen = self.step * budget.batch_size
        self.step += budget.every
        score, met = self._programs.score(self.state.params, task.validation)
        line = {"step": self.step, "train_loss": finite_or_none(steps.loss.mean(axis=1)),
                "seconds": seconds}  # fmt: skip
        line["validation"] = drop_diverged(score, line)
        line["solved"] = self._count_until_solved(steps, met, seen, line)
        self._metrics.append(self._keep_ended(line, active))
        return steps

    def _count_until_solved(
        self, steps: train.Steps, met: np.ndarray, seen: int, line: dict[str, Any]
    ) -> list[int | None]:
        """The number of sequences until success, for runs that meet the criterion in this chunk.

        On the training stream, errors count only as long as the loss is finite: after that,
        answers mean nothing.
        """
        if self._window is not None and steps.errors is not None:
            finite_so_far = np.logical_and.accumulate(np.isfinite(steps.loss), axis=1)
            errors = np.where(finite_so_far[..., None], steps.errors, np.inf)
            return self._window.update(errors.reshape(len(met), -1), seen)
        sequences = line["step"] * self._job.setting.budget.batch_size
        finite = [loss is not None for loss in line["train_loss"]]
        return [sequences if a and b else None for a, b in zip(met, finite, strict=True)]

    def _keep_ended(self, line: dict[str, Any], active: np.ndarray) -> dict[str, Any]:
        """The line, in which runs that had ended keep their last numbers, and each run keeps its
        first success."""
        if not self.lines:
            return line
        last = self.lines[-1]
        for name in ("train_loss", "validation"):
            pairs = zip(active, line[name], last[name], strict=True)
            line[name] = [new if on else old for on, new, old in pairs]
        counts = zip(active, line["solved"], last["solved"], strict=True)
        line["solved"] = [new if on and old is None else old for on, new, old in counts]
        return line

    def save(self) -> None:
        """Saves a checkpoint, unless this step already has one."""
        if self.step > self._saved:
            with delay_interrupts():
                train.checkpoint.save(self._folder, self.step, self._tree())
            self._saved = self.step

    def _tree(self) -> dict[str, Any]:
        recent = {} if self._window is None else {"recent": self._window.recent}
        return {"state": self.state, **recent}


def warn_of_divergence(
    job: Job, losses: np.ndarray, active: Sequence[bool] | np.ndarray, step: int,
    progress: Progress,
) -> None:  # fmt: skip
    """Prints a warning for each active run whose loss is not finite."""
    for run in np.flatnonzero(active):
        try:
            train.require_finite(losses[run], job.run_name(int(run)), step)
        except train.NonFiniteLoss as error:
            progress.warn(str(error))


@contextlib.contextmanager
def delay_interrupts() -> Iterator[None]:
    """Delays Ctrl-C to the end of the block: Orbax writes from its own threads, which must finish
    before the process ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[bool] = []
    before = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt


def finite_or_none(values: Any) -> list[float | None]:
    """The values for JSON, exactly; None stands for what is not finite."""
    return [float(value) if np.isfinite(value) else None for value in np.array(values, float)]


def drop_diverged(scores: Any, line: dict[str, Any]) -> list[float | None]:
    """``scores``, one per run, for JSON; None for runs whose loss in ``line`` is not finite, since
    their answers, as tokens or classes, would look valid."""
    return drop_where_none(scores, line["train_loss"])


def drop_where_none(scores: Any, others: list[float | None]) -> list[float | None]:
    """``scores`` for JSON, with None where ``others`` has None."""
    kept = [other is not None for other in others]
    return finite_or_none(np.where(kept, np.array(scores, float), np.nan))
