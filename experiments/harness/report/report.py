"""What a comparison ends in: tables, report.md, results.json and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.harness.report import curves, overview
from experiments.harness.report.summary import finite, sequences, solved, summarize
from experiments.harness.run import run_folder
from experiments.harness.run.jobs import Job, slug
from experiments.harness.run.learning_rates import describe
from lstm_jax._internal import storage

CONTENDER = "contender"


def report(
    name: str, jobs: list[Job], results: list[dict[str, Any]], path: Path, console: Console
) -> None:
    """Prints the tables, and writes results.json, report.md and the figures into ``path``."""
    summary = summarize(name, jobs, results)
    for setting in summary["settings"]:
        columns, rows = table_of(setting)
        show(console, heading(setting), columns, rows, caption=chance(setting))
        if text := rates(setting):
            console.print(text, highlight=False, markup=False)
        for title, further in setting["further"].items():
            columns, rows = further_table(further)
            show(console, f"{title}, median of the runs", columns, rows)
    for title, columns, rows in overviews(summary):
        show(console, title, columns, rows)
    console.print(footnote(), highlight=False)
    summary["figures"] = {}
    if overview.wanted(summary):
        overview.draw(summary, path / "overview.png")
        summary["figures"]["overview"] = "overview.png"
    if curves.lags(summary, path / "lags.png"):
        summary["figures"]["success against lag"] = "lags.png"
    curves.curves(jobs, results, path / "curves.png")
    summary["figures"]["learning curves"] = "curves.png"
    for setting in summary["settings"]:
        setting["figures"] = figures(setting, jobs, results, path)
    run_folder.write_json(path / "results.json", summary)
    run_folder.write(path / "report.md", markdown(summary))


def show(
    console: Console, title: str, columns: Sequence[str], rows: list[list[str]], caption: str = ""
) -> None:
    """Prints one table, the first column to the left and all others to the right."""
    table = Table(title=title, caption=caption or None, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=not i)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def figures(
    setting: dict[str, Any], jobs: list[Job], results: list[dict[str, Any]], path: Path
) -> dict[str, str]:
    """Puts the setting's figures into ``path``: its further scores where the columns are numbers,
    and what was drawn once a job was trained. Returns file names by what they show."""
    files = {}
    for title, rows in setting["further"].items():
        if all(curves.place(column) is not None for column in next(iter(rows.values()))):
            files[title] = f"{slug(setting['task'] + ' ' + title)}.png"
            curves.against(
                title, rows, path / files[title], chance=setting["chance"],
                higher_is_better=setting["direction"] == "higher is better",
            )  # fmt: skip
    for job, result in zip(jobs, results, strict=True):
        if job.setting.task.name == setting["task"]:
            for file in result.get("further", {}).get("figures", ()):
                name = f"{slug(job.name)}_{file}"
                files[f"{job.contender}, {Path(file).stem}"] = name
                with storage.replacing(path / name) as copy:
                    copy.write((path / job.folder / file).read_bytes())
    return files


def heading(setting: dict[str, Any]) -> str:
    first = setting["contenders"][0]
    steps = {contender["steps"] for contender in setting["contenders"]}
    budget = f"{min(steps)}" if len(steps) == 1 else f"{min(steps)} to {max(steps)}"
    if setting["until_solved"]:
        budget = f"at most {budget}"
    time = "" if setting["seconds"] is None else f" in {setting['seconds']:g} s"
    return (
        f"{setting['task']}: test {setting['score']}, {setting['direction']} "
        f"({curves.seeds(len(first['seeds']))}, {budget} steps of {setting['batch_size']} "
        f"{'sequence' if setting['batch_size'] == 1 else 'sequences'}{time})"
    )


def chance(setting: dict[str, Any]) -> str:
    told = f"chance: {shown(setting['chance'])}"
    if setting["memoryless"] is not None:
        told += f"; without memory: {shown(setting['memoryless'])}"
    for other in setting.get("scores", ()):
        told += f"; of {other['score']}, chance: {shown(other['chance'])}"
        if other["memoryless"] is not None:
            told += f", without memory: {shown(other['memoryless'])}"
    if setting["success"] is not None:
        told += f"; solved: {setting['success']}"
        if setting["until_solved"]:
            told += ", with which a run ends"
    return told


def rates(setting: dict[str, Any]) -> str:
    """Where learning rates come from that were not chosen for their contender and task; "" where
    all were, and of results that are older than this sentence."""
    rows = setting["contenders"]
    return describe(setting["task"], {row["contender"]: row.get("rate_source", "") for row in rows})


def footnote() -> str:
    return (
        "Scores are on test data at the end of training, which for a run that ends solved is that "
        "step, of the learning rate that validation data chose; in brackets 95 % bootstrap "
        "intervals of the median, which of so few seeds are no wider than from best to worst. "
        "seconds: of training, all runs and rates together."
    )


def table_of(setting: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The columns and the rows of a setting's table; columns that say nothing are left out."""
    judged, published = (
        setting["success"] is not None,
        any(contender["published"] for contender in setting["contenders"]),
    )
    columns = [CONTENDER, "hidden size", "parameters", "learning rate", "median", "best to worst"]
    others = setting.get("scores", ())  # results of older versions have none
    columns += [f"{other['score']}, {other['direction']}" for other in others]
    columns += ["solved", "sequences"] * judged + ["published"] * published + ["seconds"]
    names = [other["score"] for other in others]
    return columns, [
        row(contender, names, judged, published) for contender in setting["contenders"]
    ]


def row(
    contender: dict[str, Any], others: Sequence[str], judged: bool, published: bool
) -> list[str]:
    cells = [
        contender["contender"],
        str(contender["hidden_size"]),
        str(contender["parameters"]),
        f"{contender['learning_rate']:g}",
        middle(contender),
        f"{shown(contender['best'])} to {shown(contender['worst'])}",
    ]
    found = contender.get("scores", {})
    cells += [middle(found[name]) if name in found else "-" for name in others]
    if judged:
        count = sequences(contender)
        cells += [f"{solved(contender)} of {len(contender['solved'])}"]
        cells += ["-" if count is None else f"{count:,.0f}"]
    if published:
        cells += [contender["published"] or ""]
    return [*cells, f"{contender['seconds']:.0f}"]


def middle(score: dict[str, Any]) -> str:
    """The median of the runs, with its interval."""
    text = shown(score["median"])
    if score["interval"] is not None:
        low, high = map(shown, score["interval"])
        text += f" [{low}, {high}]"
    return text


def further_table(rows: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    columns = [CONTENDER, *next(iter(rows.values()))]
    return columns, [[name, *map(median, scores.values())] for name, scores in rows.items()]


def median(values: list[float | None]) -> str:
    """The median of the runs."""
    return shown(finite(np.median([np.nan if value is None else value for value in values])))


def shown(score: float | None) -> str:
    """Four digits after the point, or two significant ones of a very small or large number."""
    if score is None:
        return "diverged"
    return f"{score:.4f}" if 0.001 <= score < 100 or score == 0 else f"{score:.1e}"


def markdown(summary: dict[str, Any]) -> str:
    """The tables in Markdown, as README shows them."""
    lines = [f"# {summary['experiment']}", ""]
    for title, columns, rows in overviews(summary):
        lines += [f"**{title}**", "", *rows_of(columns, rows), ""]
    for setting in summary["settings"]:
        lines += [f"**{heading(setting)}**, {chance(setting)}", ""]
        lines += [*rows_of(*table_of(setting)), ""]
        if text := rates(setting):
            lines += [text, ""]
        for title, rows in setting["further"].items():
            lines += [f"**{title}**, median of the runs", "", *rows_of(*further_table(rows)), ""]
        for text in setting["texts"]:
            lines += [text, ""]
        for shows, file in setting["figures"].items():
            lines += [f"![{shows}]({file})", ""]
    lines += [footnote(), ""]
    for shows, file in summary["figures"].items():
        lines += [f"![{shows}]({file})", ""]
    return "\n".join(lines)


def overviews(summary: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """The tables over all settings, of a comparison that has many."""
    tables = []
    if overview.wanted(summary):
        title = "From no memory, 0, to perfect, 1: median test scores (and runs that solve it)"
        tables.append((title, *overview.table_of(summary)))
    longest = overview.longest(summary)
    if longest is not None:
        tables.append(("Longest lag that most runs solve", *longest))
    return tables


def rows_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines."""
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
