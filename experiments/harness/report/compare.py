"""Compares finished runs side by side, from the results in their folders; nothing is trained.

    python -m experiments compare RUN RUN ...

First come the differences between the runs: in configuration (of the contenders that they share),
versions, revision and machine. Then comes one table per task or study that more than one run has. A
single RUN shows all its tables.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from experiments.harness.report import report, study_report
from experiments.harness.report.console import make_console, print_table
from experiments.harness.run import run_folder
from experiments.harness.run.jobs import slug
from experiments.harness.run.study import trial_path

ABSENT = "-"  # of a field that a run does not have


class UnreadableRun(ValueError):
    """A run folder without readable results; the message names it."""


class Run(NamedTuple):
    """A finished run.

    config: config.json.
    starts: environment.json.
    settings: the settings of results.json by task, or its studies by name.
    """

    name: str
    config: dict[str, Any]
    starts: list[dict[str, Any]]
    settings: dict[str, dict[str, Any]]


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code; an unreadable folder is a one-line error."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="+", type=Path, help="folder of a finished run")
    try:
        compare(parser.parse_args(argv).run, make_console())
    except UnreadableRun as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def compare(paths: list[Path], console: Console) -> None:
    """Prints the tables.

    Raises:
        UnreadableRun: if a folder is not a finished run or is given twice, or if the runs have no
            task in common.
    """
    for path in paths:
        if [other.resolve() for other in paths].count(path.resolve()) > 1:
            raise UnreadableRun(f"{path}: expected each run once, got it twice")
    last = [path.resolve().name for path in paths]
    names = last if len(set(last)) == len(last) else [str(path) for path in paths]
    runs = [read_run(path, name) for path, name in zip(paths, names, strict=True)]
    shared = [
        task
        for task in all_keys(run.settings for run in runs)
        if len(runs_with_task(runs, task)) > 1
    ]
    if len(runs) > 1 and not shared:
        tasks = "; ".join(f"{run.name} has {', '.join(run.settings)}" for run in runs)
        raise UnreadableRun(f"expected runs with a task in common, got none: {tasks}")
    if len(runs) > 1:
        print_differences(console, "configuration", names, configuration_differences(runs))
        print_differences(console, "versions and machine", names, environment_differences(runs))
    for task in shared or runs[0].settings:
        console.print()
        print_table(console, *make_table(task, runs_with_task(runs, task)))
    of_all = [setting for run in runs for setting in run.settings.values()]
    studies = [setting for setting in of_all if is_study(setting)]
    if len(studies) < len(of_all):
        console.print(report.footnote(), highlight=False)
    if studies:
        console.print(study_report.footnote(studies), highlight=False)


def read_run(path: Path, name: str) -> Run:
    """Reads the run in the folder ``path``.

    Raises:
        UnreadableRun: if it has no results; the message says how far the run is.
    """
    if not (path / "config.json").is_file():
        raise UnreadableRun(f"{path} is not a run folder")
    config = parse_json(path / "config.json")
    if "experiment" not in config:
        raise UnreadableRun(f"{path} is not a run folder: its config.json is from something else")
    file = path / "environment.json"
    starts = parse_json(file, list) if file.exists() else []
    if not all(isinstance(start, dict) for start in starts):
        raise UnreadableRun(f"{file} cannot be read: it does not come from a run")
    if not (path / "results.json").exists():
        raise UnreadableRun(f"{path} has no results.json yet: {describe_progress(path, config)}")
    results = parse_json(path / "results.json")
    try:
        settings = {setting["task"]: setting for setting in results.get("settings", [])}
        settings |= {study["study"]: study for study in results.get("studies", [])}
        run = Run(name, config, starts, settings)
        for task in run.settings:
            make_table(task, [run])
    except (LookupError, TypeError, ValueError, AttributeError):
        raise UnreadableRun(
            f"{path} has a results.json from an older version or from something else; "
            "run its command again"
        ) from None
    return run


def parse_json(file: Path, kind: type = dict) -> Any:
    """The JSON in the file. Raises UnreadableRun if it is not of type ``kind``."""
    try:
        value = run_folder.read_json(file)
    except (OSError, ValueError) as error:
        raise UnreadableRun(f"{file} cannot be read: {error}") from None
    if not isinstance(value, kind):
        raise UnreadableRun(f"{file} cannot be read: it does not come from a run")
    return value


def describe_progress(path: Path, config: dict[str, Any]) -> str:
    """Says how far an unfinished run is, and how to continue it."""
    if (path / "sweep.json").exists():
        return "expected a run without --sweep, got a sweep, which is not scored on test data"
    folders = {
        path / slug(task) / slug(name): fields
        for (task, name), fields in contenders(config).items()
    }
    trials = [
        folder.parent / trial_path(folder.name, seed)
        for folder, fields in folders.items()
        for seed in fields.get("trials", ())
    ]
    jobs = trials or list(folders)
    done = [(job / "result.json").exists() for job in jobs]
    text = f"{sum(done)} of {len(jobs)} {'trials' if trials else 'contenders'} are done"
    if not all(done) and not trials:
        job = jobs[done.index(False)]
        lines = run_folder.read_lines(job / "metrics.jsonl")
        step = lines[-1]["step"] if lines else 0
        text += f", and {job.relative_to(path)} is at step {step}"
    command = f"python -m experiments {config['experiment']} ... --out {path}"
    return f"{text}; the command that started it continues it: {command}"


def contenders(config: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The configuration of each contender, by task and name."""
    return {
        (task, name): fields
        for task, by_name in config.items()
        if isinstance(by_name, dict)
        for name, fields in by_name.items()
    }


def configuration_differences(runs: list[Run]) -> dict[str, list[str]]:
    """The fields of the configuration that differ, with one entry per run.

    A field that differs in the same way for all shared contenders is listed once; otherwise it is
    listed for each task and contender.
    """
    fields = {"experiment": [run.config["experiment"] for run in runs]}
    of_runs = [contenders(run.config) for run in runs]
    for task in all_keys(run.settings for run in runs):
        fields[f"contenders on {task}"] = [
            ", ".join(name for at, name in of_run if at == task) or ABSENT for of_run in of_runs
        ]
    shared = [pair for pair in of_runs[0] if all(pair in of_run for of_run in of_runs)]
    by_field: dict[str, dict[str, list[str]]] = {}
    for task, name in shared:
        flattened = [run_folder.flatten(of_run[task, name]) for of_run in of_runs]
        for field in all_keys(flattened):
            values = [format_value(fields.get(field, ABSENT)) for fields in flattened]
            by_field.setdefault(field, {})[f"{task} {name}: {field}"] = values
    for field, by_pair in by_field.items():
        first, *others = by_pair.values()
        alike = len(by_pair) == len(shared) and all(values == first for values in others)
        fields.update({field: first} if alike else by_pair)
    return keep_differing(fields)


def environment_differences(runs: list[Run]) -> dict[str, list[str]]:
    """The fields of the environment that differ, with one entry per run, which lists the values of
    all its starts."""
    fields = all_keys(start for run in runs for start in run.starts)
    values = {
        field: [
            "; ".join(dict.fromkeys(format_value(start.get(field, ABSENT)) for start in run.starts))
            for run in runs
        ]
        for field in fields
        if field != "started"
    }
    return keep_differing(values)


def keep_differing(fields: dict[str, list[str]]) -> dict[str, list[str]]:
    return {field: values for field, values in fields.items() if len(set(values)) > 1}


def print_differences(
    console: Console, what: str, names: list[str], fields: dict[str, list[str]]
) -> None:
    if not fields:
        console.print(f"No difference in {what}", highlight=False)
        return
    rows = [[field, *values] for field, values in fields.items()]
    print_table(console, f"Differences in {what}", ["field", *names], rows)


def is_study(setting: dict[str, Any]) -> bool:
    return "study" in setting


def make_study_table(name: str, runs: list[Run]) -> tuple[str, list[str], list[list[str]], str]:
    """Title, columns, rows and caption of a study's table: one row per run and entry."""
    studies = [run.settings[name] for run in runs]
    owners = [run.name for run in runs for _ in run.settings[name]["entries"]]
    columns = {column["name"]: column for study in studies for column in study["columns"]}
    published = {(row["name"], row["source"]): row for of in studies for row in of["published"]}
    rows = [row for study in studies for row in study["entries"]]
    owned = zip(owners, rows, strict=True)
    first = {
        **studies[0],
        "columns": list(columns.values()),
        "entries": [{**row, "entry": f"{owner}: {row['entry']}"} for owner, row in owned],
        "published": list(published.values()),
    }
    names, cells = study_report.make_table(first)
    texts = [[cell.as_markup() for cell in row] for row in cells]
    return study_report.title_of(first), names, texts, first["split"]


def make_table(task: str, runs: list[Run]) -> tuple[str, list[str], list[list[str]], str]:
    """Title, columns, rows and caption of a task's table: one row per run and contender."""
    settings = [run.settings[task] for run in runs]
    kinds = {is_study(setting) for setting in settings}
    if len(kinds) > 1:
        raise UnreadableRun(f"expected runs of one kind, got a study and a comparison, both {task}")
    if True in kinds:
        return make_study_table(task, runs)
    owners = [run.name for run in runs for _ in run.settings[task]["contenders"]]
    together = [contender for setting in settings for contender in setting["contenders"]]
    scores = {other["score"]: other for of in settings for other in of.get("scores", ())}
    first = {**settings[0], "contenders": together, "scores": list(scores.values())}
    columns, rows = report.make_table(first)
    rows = [
        [owner, *row[:-1], str(contender["steps"]), row[-1]]
        for owner, contender, row in zip(owners, together, rows, strict=True)
    ]
    title = f"{task}: test {first['score']}, {first['direction']}"
    return title, ["run", *columns[:-1], "steps", columns[-1]], rows, report.describe_chance(first)


def runs_with_task(runs: list[Run], task: str) -> list[Run]:
    return [run for run in runs if task in run.settings]


def all_keys(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all mappings, each once, in order."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def format_value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
