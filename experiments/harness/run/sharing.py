"""Several processes in one run folder: each trains jobs that no other one has begun.

A job belongs to the process that holds the lock of its folder. The operating system releases it
when the process ends, however it ends, and another process then continues the job.
"""

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from experiments.harness.run import run_folder
from experiments.harness.run.compiled import Programs
from experiments.harness.run.jobs import Job
from experiments.harness.run.progress import Progress
from experiments.harness.run.runner import COMPILED_AT_ONCE, run_job


def run_shared(
    jobs: list[Job], path: Path, progress: Progress, *, tensorboard: bool = False
) -> list[dict[str, Any]] | None:
    """Trains jobs until each one is finished or belongs to another process.

    Args:
        jobs: The jobs.
        path: The run folder.
        progress: The progress bar.
        tensorboard: Whether to write event files.

    Returns:
        The results of all jobs, in order; None if other processes still train some of them, the
        last of which then returns the results.
    """
    own: set[str] = set()
    skipped: set[str] = set()
    at_work = True
    while at_work:
        at_work = False
        for job in jobs:
            if is_finished(job, path):
                if job.folder not in own | skipped:
                    skipped.add(job.folder)
                    progress.skip([job])
                continue
            with claim(path / job.folder) as claimed:
                if claimed and not is_finished(job, path):
                    progress.show_status(f"compiling {job.name}")
                    run_job(
                        job, Programs(job), path / job.folder, progress,
                        sweeping=False, tensorboard=tensorboard,
                    )  # fmt: skip
                    own.add(job.folder)
                    if len(own) % COMPILED_AT_ONCE == 0:
                        gc.collect()
                        jax.clear_caches()
                    # A process that was killed meanwhile may have left jobs before this one.
                    at_work = True
    if not all(is_finished(job, path) for job in jobs):
        return None
    return [run_folder.read_json(path / job.folder / "result.json") for job in jobs]


def is_finished(job: Job, path: Path) -> bool:
    return (path / job.folder / "result.json").exists()


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Whether the job's folder, which is made, belongs to this process within the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        yield run_folder.try_lock(lock, shared=False)
