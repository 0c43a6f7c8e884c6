"""Runs side by side, from what their folders hold; nothing is trained.

    python -m experiments compare RUN RUN ...

A table a task that more than one run has; before them, what differs between the runs: the fields
of the configuration (of the contenders that they share), the versions, the revision, the machine.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from experiments.harness import conduct
from experiments.harness.report import report
from experiments.harness.run import run_folder
from experiments.harness.run.jobs import slug

ABSENT = "-"  # where a run has no such field


class Unreadable(ValueError):
    """A folder whose numbers cannot be shown; the message names it."""


class Run(NamedTuple):
    """A finished run. settings: of results.json, by task."""

    name: str
    config: dict[str, Any]
    starts: list[dict[str, Any]]
    settings: dict[str, dict[str, Any]]


def main(argv: list[str]) -> int:
    """The exit code; a folder that cannot be read is one line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="+", type=Path, help="folder of a finished run")
    try:
        compare(parser.parse_args(argv).run, conduct.wide_console())
    except Unreadable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def compare(paths: list[Path], console: Console) -> None:
    """Prints the tables. Raises Unreadable for a folder that is no finished run, one that is given
    twice, and runs that have no task in common."""
    for path in paths:
        if [other.resolve() for other in paths].count(path.resolve()) > 1:
            raise Unreadable(f"{path}: expected each run once, got it twice")
    last = [path.resolve().name for path in paths]
    names = last if len(set(last)) == len(last) else [str(path) for path in paths]
    runs = [read(path, name) for path, name in zip(paths, names, strict=True)]
    shared = [task for task in every(run.settings for run in runs) if len(having(runs, task)) > 1]
    if len(runs) > 1 and not shared:
        tasks = "; ".join(f"{run.name} has {', '.join(run.settings)}" for run in runs)
        raise Unreadable(f"the runs share no task: {tasks}")
    if len(runs) > 1:
        show_differences(console, "configuration", names, configurations(runs))
        show_differences(console, "versions and machine", names, environments(runs))
    for task in shared or runs[0].settings:
        console.print()
        report.show(console, *table_of(task, having(runs, task)))
    console.print(report.footnote(), highlight=False)


def read(path: Path, name: str) -> Run:
    """The run in the folder. Raises Unreadable, which says how far it is."""
    if not (path / "config.json").is_file():
        raise Unreadable(f"{path} is no run folder")
    config = parsed(path / "config.json")
    if "experiment" not in config:
        raise Unreadable(f"{path} is no run folder: its config.json is of something else")
    file = path / "environment.json"
    starts = parsed(file, list) if file.exists() else []
    if not all(isinstance(start, dict) for start in starts):
        raise Unreadable(f"{file} cannot be read: it is not of a run")
    if not (path / "results.json").exists():
        raise Unreadable(f"{path} has no results.json yet: {progress(path, config)}")
    settings = parsed(path / "results.json").get("settings", [])
    try:
        run = Run(name, config, starts, {setting["task"]: setting for setting in settings})
        for task in run.settings:
            table_of(task, [run])
    except (LookupError, TypeError, ValueError, AttributeError):
        raise Unreadable(
            f"{path} has a results.json of an older version, or of something else; "
            "run its command again"
        ) from None
    return run


def parsed(file: Path, kind: type = dict) -> Any:
    """What the file holds. Raises Unreadable where that is no JSON of this kind."""
    try:
        value = run_folder.read_json(file)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{file} cannot be read: {error}") from None
    if not isinstance(value, kind):
        raise Unreadable(f"{file} cannot be read: it is not of a run")
    return value


def progress(path: Path, config: dict[str, Any]) -> str:
    """How far an unfinished run is, and what to do."""
    if (path / "sweep.json").exists():
        return "expected a run without --sweep, got a sweep, which looks at no test data"
    jobs = [path / slug(task) / slug(name) for task, name in contenders(config)]
    done = [(job / "result.json").exists() for job in jobs]
    text = f"{sum(done)} of {len(jobs)} contenders are done"
    if not all(done):
        job = jobs[done.index(False)]
        lines = run_folder.read_lines(job / "metrics.jsonl")
        step = lines[-1]["step"] if lines else 0
        text += f", and {job.relative_to(path)} is at step {step}"
    command = f"python -m experiments {config['experiment']} ... --out {path}"
    return f"{text}; the command that started it goes on: {command}"


def contenders(config: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The configuration of each contender, by task and name."""
    return {
        (task, name): fields
        for task, by_name in config.items()
        if isinstance(by_name, dict)
        for name, fields in by_name.items()
    }


def configurations(runs: list[Run]) -> dict[str, list[str]]:
    """What differs, one entry a run, by field; a field that differs in the same way for all
    contenders that all runs have stands once, and elsewhere the task and the contender are named.
    """
    found = {"experiment": [run.config["experiment"] for run in runs]}
    of_runs = [contenders(run.config) for run in runs]
    for task in every(run.settings for run in runs):
        found[f"contenders on {task}"] = [
            ", ".join(name for at, name in of_run if at == task) or ABSENT for of_run in of_runs
        ]
    shared = [pair for pair in of_runs[0] if all(pair in of_run for of_run in of_runs)]
    by_field: dict[str, dict[str, list[str]]] = {}
    for task, name in shared:
        flat = [run_folder.flat(of_run[task, name]) for of_run in of_runs]
        for field in every(flat):
            values = [told(fields.get(field, ABSENT)) for fields in flat]
            by_field.setdefault(field, {})[f"{task} {name}: {field}"] = values
    for field, by_pair in by_field.items():
        first, *others = by_pair.values()
        alike = len(by_pair) == len(shared) and all(values == first for values in others)
        found.update({field: first} if alike else by_pair)
    return differing(found)


def environments(runs: list[Run]) -> dict[str, list[str]]:
    """What differs, by field; of a run that was started several times, all that it met."""
    fields = every(start for run in runs for start in run.starts)
    found = {
        field: [
            "; ".join(dict.fromkeys(told(start.get(field, ABSENT)) for start in run.starts))
            for run in runs
        ]
        for field in fields
        if field != "started"
    }
    return differing(found)


def differing(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {field: values for field, values in found.items() if len(set(values)) > 1}


def show_differences(
    console: Console, what: str, names: list[str], fields: dict[str, list[str]]
) -> None:
    if not fields:
        console.print(f"No difference in {what}", highlight=False)
        return
    rows = [[field, *values] for field, values in fields.items()]
    report.show(console, f"What differs: {what}", ["field", *names], rows)


def table_of(task: str, runs: list[Run]) -> tuple[str, list[str], list[list[str]], str]:
    """Title, columns, rows and caption: a row a run and contender."""
    settings = [run.settings[task] for run in runs]
    owners = [run.name for run in runs for _ in run.settings[task]["contenders"]]
    together = [contender for setting in settings for contender in setting["contenders"]]
    scores = {other["score"]: other for of in settings for other in of.get("scores", ())}
    first = {**settings[0], "contenders": together, "scores": list(scores.values())}
    columns, rows = report.table_of(first)
    rows = [
        [owner, *row[:-1], str(contender["steps"]), row[-1]]
        for owner, contender, row in zip(owners, together, rows, strict=True)
    ]
    title = f"{task}: test {first['score']}, {first['direction']}"
    return title, ["run", *columns[:-1], "steps", columns[-1]], rows, report.chance(first)


def having(runs: list[Run], task: str) -> list[Run]:
    return [run for run in runs if task in run.settings]


def every(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """All keys of several mappings, once, in order."""
    return list(dict.fromkeys(key for mapping in found for key in mapping))


def told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
