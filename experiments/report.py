"""What a comparison ends in: a table, report.md, results.json and a figure."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments import figure
from experiments import folder as run_folder
from experiments.setting import Job, slug

COLUMNS = (
    "contender",
    "hidden size",
    "parameters",
    "learning rate",
    "median",
    "best to worst",
    "steps/s",
)


def report(
    name: str, jobs: list[Job], results: list[dict[str, Any]], path: Path, console: Console
) -> None:
    """Prints the tables, and writes results.json, report.md and curves.png into ``path``."""
    summary = summarize(name, jobs, results)
    for setting in summary["settings"]:
        table = Table(title=heading(setting), caption=chance(setting), title_justify="left")
        for column in COLUMNS:
            table.add_column(
                column, justify="left" if column == COLUMNS[0] else "right", no_wrap=True
            )
        for contender in setting["contenders"]:
            table.add_row(*row(contender))
        console.print(table)
        for title, rows in setting["further"].items():
            more = Table(title=f"{title}, median of the runs", title_justify="left")
            for i, column in enumerate((COLUMNS[0], *next(iter(rows.values())))):
                more.add_column(column, justify="right" if i else "left", no_wrap=True)
            for contender, scores in rows.items():
                more.add_row(contender, *(middle(values) for values in scores.values()))
            console.print(more)
    console.print(footnote(), highlight=False)
    figure.curves(jobs, results, path / "curves.png")
    for setting in summary["settings"]:
        setting["figures"] = figures(setting, jobs, results, path)
    run_folder.write_json(path / "results.json", summary)
    run_folder.write(path / "report.md", markdown(summary))


def figures(
    setting: dict[str, Any], jobs: list[Job], results: list[dict[str, Any]], path: Path
) -> dict[str, str]:
    """Puts the setting's figures into ``path``: its further scores where the columns are numbers,
    and what was drawn once a job was trained. Returns file names by what they show."""
    files = {}
    for title, rows in setting["further"].items():
        if all(column.isdigit() for column in next(iter(rows.values()))):
            files[title] = f"{slug(setting['task'] + ' ' + title)}.png"
            figure.against(title, rows, path / files[title])
    for job, result in zip(jobs, results, strict=True):
        if job.setting.task.name == setting["task"]:
            for file in result.get("further", {}).get("figures", ()):
                name = f"{slug(job.name)}_{file}"
                files[f"{job.contender}, {Path(file).stem}"] = name
                shutil.copyfile(path / job.folder / file, path / name)
    return files


def summarize(name: str, jobs: list[Job], results: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything that the report shows, as JSON; ``test`` has one number a seed."""
    settings: dict[str, Any] = {}
    for job, result in zip(jobs, results, strict=True):
        task, budget = job.setting.task, job.setting.budget
        setting = settings.setdefault(
            task.name,
            {
                "task": task.name,
                "score": task.score.name,
                "direction": task.score.direction,
                "chance": task.score.chance,
                "steps": budget.steps,
                "batch_size": budget.batch_size,
                "contenders": [],
                "further": {},
                "texts": [],
                "figures": {},
            },
        )
        setting["texts"] += result.get("further", {}).get("texts", [])
        for title, scores in result.get("further", {}).get("scores", {}).items():
            setting["further"].setdefault(title, {})[job.contender] = scores
        test = task.score.or_worst(result["test"])
        worst_last = np.sort(test)[:: -1 if task.score.higher_is_better else 1]
        setting["contenders"].append(
            {
                "contender": job.contender,
                "hidden_size": job.model.size,
                "parameters": job.parameters,
                "learning_rate": job.learning_rates[0],
                "seeds": list(job.seeds),
                "test": result["test"],
                "median": finite(np.median(test)),
                "best": finite(worst_last[0]),
                "worst": finite(worst_last[-1]),
                "steps_per_second": budget.steps * len(job.seeds) / result["seconds"],
            }
        )
    return {"experiment": name, "settings": list(settings.values())}


def finite(score: float) -> float | None:
    """For JSON: None is the score of a run that diverged."""
    return float(score) if np.isfinite(score) else None


def heading(setting: dict[str, Any]) -> str:
    seeds = figure.seeds(len(setting["contenders"][0]["seeds"]))
    return (
        f"{setting['task']}: test {setting['score']}, {setting['direction']} "
        f"({seeds}, {setting['steps']} steps of {setting['batch_size']} sequences)"
    )


def chance(setting: dict[str, Any]) -> str:
    return f"chance: {shown(setting['chance'])}"


def footnote() -> str:
    return (
        "Scores are on test data at the end of the budget. steps/s: training steps a second, "
        "all seeds together."
    )


def row(contender: dict[str, Any]) -> list[str]:
    return [
        contender["contender"],
        str(contender["hidden_size"]),
        str(contender["parameters"]),
        f"{contender['learning_rate']:g}",
        shown(contender["median"]),
        f"{shown(contender['best'])} to {shown(contender['worst'])}",
        f"{contender['steps_per_second']:.0f}",
    ]


def middle(values: list[float | None]) -> str:
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
    for setting in summary["settings"]:
        lines += [f"**{heading(setting)}**, {chance(setting)}", ""]
        lines += [*rows_of(COLUMNS, [row(contender) for contender in setting["contenders"]]), ""]
        for title, rows in setting["further"].items():
            columns = (COLUMNS[0], *next(iter(rows.values())))
            cells = [[name, *map(middle, scores.values())] for name, scores in rows.items()]
            lines += [f"**{title}**, median of the runs", "", *rows_of(columns, cells), ""]
        for text in setting["texts"]:
            lines += [text, ""]
        for shows, file in setting["figures"].items():
            lines += [f"![{shows}]({file})", ""]
    return "\n".join([*lines, footnote(), "", "![learning curves](curves.png)", ""])


def rows_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines."""
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
