"""One experiment from its settings to its report."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments import folder as run_folder
from experiments import report, sweep
from experiments.progress import Progress
from experiments.runner import run_all
from experiments.setting import Job, Setting, comparison_jobs
from lstm_jax import train


def plan(settings: list[Setting], *, sweeping: bool) -> list[Job]:
    """All that is to be trained. Raises ValueError for a configuration that makes no sense."""
    if sweeping:
        return sweep.sweep_jobs(settings)
    return [job for setting in settings for job in comparison_jobs(setting)]


def conduct(name: str, jobs: list[Job], out: Path, *, overwrite: bool, sweeping: bool) -> int:
    """Runs, or goes on with, a comparison or a sweep in the folder ``out``: the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 100)  # a file has no width
    config = {"experiment": f"{name} --sweep" if sweeping else name, **as_config(jobs)}
    try:
        with run_folder.opened(out, config, overwrite=overwrite) as path:
            if sweeping:
                sweep.sweep(jobs, path, console)
            else:
                with Progress(jobs, console) as progress:
                    results = run_all(jobs, path, progress)
                report.report(name, jobs, results, path, console)
    except (run_folder.Refused, train.NonFiniteLoss) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"kept in {out}", highlight=False, soft_wrap=True)
    return 0


def as_config(jobs: list[Job]) -> dict[str, Any]:
    """The configuration by setting and contender, as it stands in config.json."""
    config: dict[str, Any] = {}
    for job in jobs:
        config.setdefault(job.setting.task.name, {})[job.contender] = job.as_config()
    return config
