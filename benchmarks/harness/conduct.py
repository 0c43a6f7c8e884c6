"""Runs a benchmark from its configuration to its report; a killed run continues in its folder."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import lstm_jax as lj
from benchmarks.harness import allocator, latency, machine, ram, report, timing
from benchmarks.harness.build import Disagreement
from benchmarks.harness.config import BenchmarkConfig, list_comparisons
from benchmarks.harness.measure import measure
from benchmarks.peers import OURS, available, version
from experiments.harness.report.console import make_console
from experiments.harness.run import provenance, run_folder


def conduct(settings: BenchmarkConfig, out: Path, *, overwrite: bool) -> int:
    """Starts or continues the benchmark in the folder ``out``; returns the exit code."""
    console = make_console(120)
    announce_allocator(console, settings.keep_memory)
    installed, absent = available(settings.peers)
    for reason in absent.values():
        console.print(f"left out: {reason}", highlight=False, soft_wrap=True)
    config = {
        "benchmark": "peers",
        **settings.fixed_options(),
        "versions": peer_versions(installed),
    }
    made_from = provenance.collect(program="benchmarks")
    try:
        with run_folder.open_folder(out, config, made_from, overwrite=overwrite) as path:
            run_jobs(plan(settings, installed, path), path, console)
            summary = report.collect(path, machine.describe(), config, absent)
            report.write_report(summary, path, console)
    except (run_folder.RunFolderError, Disagreement) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"saved in {out}", highlight=False, soft_wrap=True)
    return 0


def announce_allocator(console: Console, keep_memory: bool) -> None:
    """Has the allocator keep freed memory, if asked to, and prints what it does."""
    if not keep_memory:
        text = "the allocator returns freed memory to the system (--no-keep-memory)"
    elif lj.train.keep_freed_memory():
        text = "the allocator keeps freed memory, for every contender (--no-keep-memory: off)"
    else:
        text = "the allocator returns freed memory to the system: keeping it requires glibc"
    console.print(text, highlight=False, soft_wrap=True)


def peer_versions(peers: tuple[str, ...]) -> dict[str, str | None]:
    return {name: version(name) for name in (OURS, *peers)}


Job = tuple[str, str, Callable[[], Any]]  # name, file, and the function that measures (JSON)


def plan(settings: BenchmarkConfig, peers: tuple[str, ...], path: Path) -> list[Job]:
    """Lists all measurements."""
    comparisons = list(list_comparisons(settings))
    jobs: list[Job] = [
        (str(one), one.file, functools.partial(measure, one, peers, settings))
        for one in comparisons
    ]
    cells = settings.cells
    if settings.latency:
        jobs += [
            (f"one step, {cell} {size}", f"latency_{cell}_{size}.json",
             functools.partial(latency.measure, cell, size, peers))
            for cell in cells for size in latency.SIZES
        ]  # fmt: skip
    if settings.memory:
        jobs += [
            (f"peak RAM, {cell}", f"memory_{cell}.json",
             functools.partial(ram.measure, cell, peers))
            for cell in cells
        ]  # fmt: skip
    if settings.allocator and comparisons:
        first = comparisons[0]
        job = functools.partial(allocator.measure, first, peers, settings, path)
        jobs.append((f"allocator, {first}", f"allocator_{first.file}", job))
    return jobs


def run_jobs(jobs: list[Job], path: Path, console: Console) -> None:
    """Runs the jobs that have no file yet; each result is on disk before the next job starts."""
    (path / "measured").mkdir(exist_ok=True)
    left = [job for job in jobs if not (path / "measured" / job[1]).exists()]
    if left:
        timing.warm_up()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("", total=len(jobs), completed=len(jobs) - len(left))
        for name, file, job in left:
            bar.update(task, description=name)
            run_folder.write_json(path / "measured" / file, job())
            bar.advance(task)
