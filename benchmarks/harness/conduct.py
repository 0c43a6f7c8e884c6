"""A benchmark from its settings to its report, in a run folder that a killed run goes on in."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import lstm_jax as lj
from benchmarks.harness import allocation, latency, machine, ram, report, timing
from benchmarks.harness.build import Disagreement
from benchmarks.harness.measure import measure
from benchmarks.harness.settings import Settings, keys
from benchmarks.peers import OURS, available, version
from experiments.harness.run import provenance, run_folder


def conduct(settings: Settings, out: Path, *, overwrite: bool) -> int:
    """Runs, or goes on with, the benchmark in the folder ``out``: the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 120)  # a file has no width
    announce_memory(console, settings.keep_memory)
    here, absent = available(settings.peers)
    for reason in absent.values():
        console.print(f"left out: {reason}", highlight=False, soft_wrap=True)
    config = {"benchmark": "peers", **settings.decides(), "versions": versions(here)}
    made_from = provenance.collect(program="benchmarks")
    try:
        with run_folder.open_folder(out, config, made_from, overwrite=overwrite) as path:
            run(plan(settings, here, path), path, console)
            summary = report.collect(path, machine.describe(), config, absent)
            report.report(summary, path, console)
    except (run_folder.RunFolderError, Disagreement) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"kept in {out}", highlight=False, soft_wrap=True)
    return 0


def announce_memory(console: Console, wanted: bool) -> None:
    if not wanted:
        text = "freed memory goes back to the system (--no-keep-memory)"
    elif lj.train.keep_freed_memory():
        text = "freed memory is kept, for every contender (--no-keep-memory turns it off)"
    else:
        text = "freed memory goes back to the system: keeping it takes glibc"
    console.print(text, highlight=False, soft_wrap=True)


def versions(peers: tuple[str, ...]) -> dict[str, str | None]:
    return {name: version(name) for name in (OURS, *peers)}


Job = tuple[str, str, Callable[[], Any]]  # its name, its file, and what gives its JSON


def plan(settings: Settings, peers: tuple[str, ...], path: Path) -> list[Job]:
    """All that is to be measured."""
    comparisons = list(keys(settings))
    jobs: list[Job] = [
        (str(key), key.file, functools.partial(measure, key, peers, settings))
        for key in comparisons
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
            (f"memory, {cell}", f"memory_{cell}.json",
             functools.partial(ram.measure, cell, peers))
            for cell in cells
        ]  # fmt: skip
    if settings.allocator and comparisons:
        key = comparisons[0]
        work = functools.partial(allocation.measure, key, peers, settings, path)
        jobs.append((f"allocator, {key}", f"allocator_{key.file}", work))
    return jobs


def run(jobs: list[Job], path: Path, console: Console) -> None:
    """Does what no file says has been done; each result is on disk before the next begins."""
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
