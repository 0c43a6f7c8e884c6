"""Runs jobs: all seeds of a contender together, measured, checkpointed, and able to go on."""

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

# Seconds between checkpoints, at most: a killed run loses no more than this and one chunk. The
# first chunk of a job, or after a start, is saved at once.
CHECKPOINT_SECONDS = 10.0
COMPILED_AT_ONCE = 16  # jobs; each holds some programs, and a process cannot hold very many


def run_all(
    jobs: list[Job],
    path: Path,
    progress: Progress,
    *,
    sweeping: bool = False,
    tensorboard: bool = False,
) -> list[dict[str, Any]]:
    """The results of all jobs, in order; what the folder already holds is not computed again.

    A run whose loss is not finite is stopped and named, with seed and step, its batch is kept, and
    it counts as the worst score; all other runs go on.

    sweeping: leave the test data alone, and expect divergence, since a sweep looks for the edge.
    tensorboard: write event files too.
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
        # These programs are compiled first, on all cores, and then nothing disturbs the timings.
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

    The result holds, one entry a run: ``validation`` and ``test``, the scores at the end of the
    budget; ``scores``, the task's further scores on test data, by name; ``solved``, the sequences
    to success (None: not reached); further ``steps``, the budget; ``seconds`` of training, without
    compiling and measuring; and ``curve``, all measurements.
    """
    task = job.setting.task
    steps = steps_of(job, programs, path)
    runs = Runs(job, programs, path)
    events = Events(job, path, runs.lines) if tensorboard else None
    progress.advance_to(job, runs.step, steps)
    saved = -math.inf  # so the first chunk is saved: a run that is killed early and often gets on
    while runs.step < steps and runs.goes_on().any():
        before = runs.state
        told = runs.advance(tell=not sweeping, progress=progress)
        if events is not None:
            events.add(runs.lines[-1])
        if not sweeping:
            replay.keep(job, before, told, runs.lines, path / "not_finite")
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
        result["test"] = unless_diverged(programs.score(runs.state.params, task.test)[0], last)
        result["scores"] = {
            name: unless_diverged(values, last)
            for name, values in programs.scores(runs.state.params, task.test).items()
        }
        if job.setting.further is not None:
            progress.show_status(f"{job.name}: further measurements")
            further = job.setting.further(job, runs.state.params, path)
            rows = {
                title: {
                    column: unless_none(values, result["test"]) for column, values in row.items()
                }
                for title, row in further.scores.items()
            }
            result["further"] = further._replace(scores=rows)._asdict()
        if job.model.source is not None:
            train.save_model(path / "model", job.model.source, jax.device_get(runs.state.params))
    run_folder.write_json(path / "result.json", result)
    progress.print_result(job, result)
    return result


def steps_of(job: Job, programs: Programs, path: Path) -> int:
    """The job's steps. Of a budget in seconds: as many as fit in by a first measurement, which is
    kept, so that a run that goes on has the same."""
    budget = job.setting.budget
    if budget.seconds is None:
        return budget.steps
    file = path / "steps.json"
    if not file.exists():
        path.mkdir(parents=True, exist_ok=True)
        programs.seconds_a_chunk()  # the first is slower
        chunks = max(1, int(budget.seconds / programs.seconds_a_chunk()))
        run_folder.write_json(file, {"steps": chunks * budget.every})
    return run_folder.read_json(file)["steps"]


class Runs:
    """The runs of one job in the middle of training: state, measurements, who goes on."""

    def __init__(self, job: Job, programs: Programs, path: Path):
        self._job, self._programs, self._folder = job, programs, path / "checkpoints"
        success, count = job.setting.task.success, len(job.seeds)
        streamed = success is not None and success.on == "training"
        self._window = ErrorWindow(success, count) if success is not None and streamed else None
        self.state = programs.state
        self.step = self._saved = train.checkpoint.latest_step(self._folder) or 0
        if self.step:
            with uninterrupted():
                restored = train.checkpoint.restore(self._folder, self._tree())
            self.state = programs.place(restored["state"])
            if self._window is not None:
                self._window.recent = np.asarray(restored["recent"])
        self._metrics = run_folder.Metrics(path / "metrics.jsonl", self.step)
        self.lines = self._metrics.lines

    def goes_on(self) -> np.ndarray:
        """Which runs ``[runs]`` are trained further: not those that diverged, and not those that
        solved the task where that is enough."""
        if not self.lines:
            return np.ones(len(self._job.seeds), bool)
        last = self.lines[-1]
        diverged = np.array([loss is None for loss in last["train_loss"]])
        solved = np.array([count is not None for count in last["solved"]])
        return ~(diverged | (solved & self._job.setting.budget.until_solved))

    def advance(self, *, tell: bool, progress: Progress) -> train.Steps:
        """One chunk of the runs that go on, and one more line of measurements."""
        job, goes_on = self._job, self.goes_on()
        budget, task = job.setting.budget, job.setting.task
        self.state, told, seconds = self._programs.chunk(self.state, goes_on)
        if tell:
            tell_divergence(job, np.asarray(told.loss), goes_on, self.step, progress)
        seen = self.step * budget.batch_size
        self.step += budget.every
        score, met = self._programs.score(self.state.params, task.validation)
        line = {"step": self.step, "train_loss": numbers(told.loss.mean(axis=1)),
                "seconds": seconds}  # fmt: skip
        line["validation"] = unless_diverged(score, line)
        line["solved"] = self._solved(told, met, seen, line)
        self._metrics.append(self._unless_ended(line, goes_on))
        return told

    def _solved(
        self, told: train.Steps, met: np.ndarray, seen: int, line: dict[str, Any]
    ) -> list[int | None]:
        """Sequences to success of the runs that meet the criterion in this chunk; on the training
        stream, before their loss is not finite: what follows may look like any answer."""
        if self._window is not None and told.errors is not None:
            finite_so_far = np.logical_and.accumulate(np.isfinite(told.loss), axis=1)
            errors = np.where(finite_so_far[..., None], told.errors, np.inf)
            return self._window.update(errors.reshape(len(met), -1), seen)
        sequences = line["step"] * self._job.setting.budget.batch_size
        finite = [loss is not None for loss in line["train_loss"]]
        return [sequences if a and b else None for a, b in zip(met, finite, strict=True)]

    def _unless_ended(self, line: dict[str, Any], goes_on: np.ndarray) -> dict[str, Any]:
        """The line, in which runs that had ended keep their last numbers, and the first success
        of each run stands."""
        if not self.lines:
            return line
        last = self.lines[-1]
        for name in ("train_loss", "validation"):
            pairs = zip(goes_on, line[name], last[name], strict=True)
            line[name] = [new if on else old for on, new, old in pairs]
        counts = zip(goes_on, line["solved"], last["solved"], strict=True)
        line["solved"] = [new if on and old is None else old for on, new, old in counts]
        return line

    def save(self) -> None:
        """A checkpoint, unless this step has one."""
        if self.step > self._saved:
            with uninterrupted():
                train.checkpoint.save(self._folder, self.step, self._tree())
            self._saved = self.step

    def _tree(self) -> dict[str, Any]:
        recent = {} if self._window is None else {"recent": self._window.recent}
        return {"state": self.state, **recent}


def tell_divergence(
    job: Job, losses: np.ndarray, goes_on: Sequence[bool] | np.ndarray, step: int,
    progress: Progress,
) -> None:  # fmt: skip
    """Names each run that went on and whose loss is not finite."""
    for run in np.flatnonzero(goes_on):
        try:
            train.require_finite(losses[run], job.run_name(int(run)), step)
        except train.NonFiniteLoss as error:
            progress.warn(str(error))


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block: Orbax writes from threads of its own, which must not
    be left behind by a process that ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[bool] = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def numbers(values: Any) -> list[float | None]:
    """As JSON, exactly; None stands for what is not finite."""
    return [float(value) if np.isfinite(value) else None for value in np.array(values, float)]


def unless_diverged(scores: Any, line: dict[str, Any]) -> list[float | None]:
    """``scores``, one a run, as ``numbers``; None for the runs whose loss in ``line`` was not
    finite, since answers that are tokens or classes look like any others."""
    return unless_none(scores, line["train_loss"])


def unless_none(scores: Any, others: list[float | None]) -> list[float | None]:
    """``scores`` as ``numbers``; None where ``others`` has it."""
    kept = [other is not None for other in others]
    return numbers(np.where(kept, np.array(scores, float), np.nan))
