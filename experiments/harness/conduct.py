"""One experiment from its settings to its report."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.harness.report import report
from experiments.harness.report.console import make_console, print_table
from experiments.harness.run import learning_rates, provenance, run_folder, sweep
from experiments.harness.run.compiled import Programs
from experiments.harness.run.jobs import Job, comparison_jobs
from experiments.harness.run.progress import Progress
from experiments.harness.run.runner import run_all
from experiments.harness.run.setting import Setting
from experiments.harness.run.sharing import run_shared
from lstm_jax import tasks
from lstm_jax._internal.errors import WrongValue


def plan(settings: list[Setting], *, sweeping: bool) -> list[Job]:
    """Lists all jobs to train.

    Raises:
        ValueError: if the configuration is invalid, or a task breaks its contract (see
            ``tasks.check``).
    """
    if sweeping:
        jobs = sweep.sweep_jobs(settings)
    else:
        jobs = [job for setting in settings for job in comparison_jobs(setting)]
    if not jobs:
        raise WrongValue("expected at least one task and one contender to train, got none")
    folders = [job.folder for job in jobs]
    for job in jobs:
        if folders.count(job.folder) > 1:
            raise WrongValue(f"cells: expected each contender once, got {job.name} twice")
    for task in {id(setting.task): setting.task for setting in settings}.values():
        tasks.check(task)
    return jobs


def conduct(
    name: str,
    jobs: list[Job],
    out: Path,
    *,
    overwrite: bool,
    sweeping: bool,
    tensorboard: bool,
    trace: bool = False,
    shared: bool = False,
) -> int:
    """Starts or continues a comparison or a sweep in the folder ``out``; returns the exit code.

    A comparison may be ``shared`` with other processes, which train some of its jobs.
    """
    console = make_console()
    config = {"experiment": f"{name} --sweep" if sweeping else name, **config_of(jobs)}
    made_from = provenance.collect(jobs)
    try:
        with run_folder.open_folder(
            out, config, made_from, overwrite=overwrite, shared=shared
        ) as path:
            if shared:
                with Progress(jobs, console) as progress:
                    found = run_shared(jobs, path, progress, tensorboard=tensorboard)
                if found is None:
                    console.print("the other processes train what is left", highlight=False)
                    return 0
                with run_folder.take_turns(path):
                    report.write_report(name, jobs, found, path, console, trace=trace)
            elif sweeping:
                sweep.run_sweep(jobs, path, console, tensorboard=tensorboard)
            else:
                print_rate_sources(jobs, console)
                with Progress(jobs, console) as progress:
                    results = run_all(jobs, path, progress, tensorboard=tensorboard)
                report.write_report(name, jobs, results, path, console, trace=trace)
    except run_folder.RunFolderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"saved in {out}", highlight=False, soft_wrap=True)
    return 0


def dry_run(jobs: list[Job]) -> int:
    """Prints what would be trained, and for how long, estimated from one chunk of each job."""
    console = make_console()
    print_rate_sources(jobs, console)
    rows, total = [], 0.0
    with Progress(jobs, console) as progress:
        for job in jobs:
            progress.show_status(f"measuring {job.name}")
            budget = job.setting.budget
            seconds = budget.seconds
            if seconds is None:
                programs = Programs(job)
                programs.time_chunk()  # the first is slower
                seconds = programs.time_chunk() * budget.steps / budget.every
            total += seconds
            steps = f"{budget.steps}" if budget.seconds is None else "as many as fit"
            cells = [job.contender, f"{job.model.size}", f"{job.parameters}", steps]
            rows.append([job.setting.task.name, *cells, f"{len(job.seeds)}", f"{seconds:.0f}"])
            progress.mark_done(job)
    columns = ["task", "contender", "hidden size", "parameters", "steps", "runs", "seconds"]
    print_table(console, "Dry run: jobs to train", columns, rows)
    ends_early = any(job.setting.budget.until_solved for job in jobs)
    bound = "at most about" if ends_early else "about"
    reason = " (runs end when they solve their task)" if ends_early else ""
    console.print(
        f"{len(jobs)} contenders, {bound} {total / 60:.1f} minutes of training{reason}, plus "
        "compiling and measuring",
        highlight=False,
    )
    return 0


def print_rate_sources(jobs: list[Job], console: Console) -> None:
    """Prints where learning rates come from that were not chosen for their contender and task."""
    sources: dict[str, dict[str, str]] = {}
    for job in jobs:
        sources.setdefault(job.setting.task.name, {})[job.contender] = job.rate_source
    for task, by_contender in sources.items():
        if text := learning_rates.describe_sources(task, by_contender):
            console.print(text, highlight=False, markup=False)


def config_of(jobs: list[Job]) -> dict[str, Any]:
    """The configuration by setting and contender, as in config.json."""
    config: dict[str, Any] = {}
    for job in jobs:
        config.setdefault(job.setting.task.name, {})[job.contender] = job.as_config()
    return config
