"""One experiment from its settings to its report."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.harness.report import report
from experiments.harness.run import learning_rates, provenance, run_folder, sweep
from experiments.harness.run.compiled import Programs
from experiments.harness.run.jobs import Job, comparison_jobs
from experiments.harness.run.progress import Progress
from experiments.harness.run.runner import run_all
from experiments.harness.run.setting import Setting
from lstm_jax import tasks
from lstm_jax._internal.errors import WrongValue


def plan(settings: list[Setting], *, sweeping: bool) -> list[Job]:
    """All that is to be trained. Raises ValueError for a configuration that makes no sense, and
    what ``tasks.check`` does for a task that does not keep its contract."""
    if sweeping:
        jobs = sweep.sweep_jobs(settings)
    else:
        jobs = [job for setting in settings for job in comparison_jobs(setting)]
    if not jobs:
        raise WrongValue("expected at least one task and one contender to train, got none")
    folders = [job.folder for job in jobs]
    for job in jobs:
        if folders.count(job.folder) > 1:
            raise WrongValue(f"{job.name}: expected each contender on a task once, got it twice")
    for task in {id(setting.task): setting.task for setting in settings}.values():
        tasks.check(task)
    return jobs


def conduct(
    name: str, jobs: list[Job], out: Path, *, overwrite: bool, sweeping: bool, tensorboard: bool
) -> int:
    """Runs, or goes on with, a comparison or a sweep in the folder ``out``: the exit code."""
    console = wide_console()
    config = {"experiment": f"{name} --sweep" if sweeping else name, **as_config(jobs)}
    made_from = provenance.made_from(jobs)
    try:
        with run_folder.opened(out, config, made_from, overwrite=overwrite) as path:
            if sweeping:
                sweep.sweep(jobs, path, console, tensorboard=tensorboard)
            else:
                say_rates(jobs, console)
                with Progress(jobs, console) as progress:
                    results = run_all(jobs, path, progress, tensorboard=tensorboard)
                report.report(name, jobs, results, path, console)
    except run_folder.Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"kept in {out}", highlight=False, soft_wrap=True)
    return 0


def dry_run(jobs: list[Job]) -> int:
    """Says what would be trained, and for how long by one chunk of each job; keeps nothing."""
    console = wide_console()
    say_rates(jobs, console)
    rows, total = [], 0.0
    with Progress(jobs, console) as progress:
        for job in jobs:
            progress.say(f"measuring {job.name}")
            budget = job.setting.budget
            seconds = budget.seconds
            if seconds is None:
                programs = Programs(job)
                programs.seconds_a_chunk()  # the first is slower
                seconds = programs.seconds_a_chunk() * budget.steps / budget.every
            total += seconds
            steps = f"{budget.steps}" if budget.seconds is None else "what fits"
            cells = [job.contender, f"{job.model.size}", f"{job.parameters}", steps]
            rows.append([job.setting.task.name, *cells, f"{len(job.seeds)}", f"{seconds:.0f}"])
            progress.end_of_dry_run(job)
    columns = ["task", "contender", "hidden size", "parameters", "steps", "runs", "seconds"]
    report.show(console, "What would be trained", columns, rows)
    until = ", at most, since runs end where they solve their task"
    ends = any(job.setting.budget.until_solved for job in jobs)
    console.print(
        f"{len(jobs)} contenders, about {total / 60:.1f} minutes of training{until if ends else ''}"
        "; compiling and measuring come on top",
        highlight=False,
    )
    return 0


def say_rates(jobs: list[Job], console: Console) -> None:
    """Where learning rates come from that were not chosen for their contender and task."""
    sources: dict[str, dict[str, str]] = {}
    for job in jobs:
        sources.setdefault(job.setting.task.name, {})[job.contender] = job.rate_source
    for task, by_contender in sources.items():
        if text := learning_rates.describe(task, by_contender):
            console.print(text, highlight=False, markup=False)


def wide_console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160)  # a file has no width


def as_config(jobs: list[Job]) -> dict[str, Any]:
    """The configuration by setting and contender, as it stands in config.json."""
    config: dict[str, Any] = {}
    for job in jobs:
        config.setdefault(job.setting.task.name, {})[job.contender] = job.as_config()
    return config
