"""What a comparison ends in: a table, report.md, results.json and a figure."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments import figure
from experiments import folder as run_folder
from experiments.setting import Job

COLUMNS = (
    "cell",
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
            table.add_column(column, justify="left" if column == "cell" else "right", no_wrap=True)
        for cell in setting["cells"]:
            table.add_row(*row(cell))
        console.print(table)
    console.print(footnote(), highlight=False)
    run_folder.write_json(path / "results.json", summary)
    run_folder.write(path / "report.md", markdown(summary))
    figure.curves(jobs, results, path / "curves.png")


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
                "cells": [],
            },
        )
        test = task.score.or_worst(result["test"])
        worst_last = np.sort(test)[:: -1 if task.score.higher_is_better else 1]
        setting["cells"].append(
            {
                "cell": job.cell,
                "hidden_size": job.model.cell.size,
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
    seeds = len(setting["cells"][0]["seeds"])
    return (
        f"{setting['task']}: test {setting['score']}, {setting['direction']} "
        f"({seeds} seeds, {setting['steps']} steps of {setting['batch_size']} sequences)"
    )


def chance(setting: dict[str, Any]) -> str:
    return f"chance: {shown(setting['chance'])}"


def footnote() -> str:
    return (
        "Scores are on test data at the end of the budget. steps/s: training steps a second, "
        "all seeds together."
    )


def row(cell: dict[str, Any]) -> list[str]:
    return [
        cell["cell"],
        str(cell["hidden_size"]),
        str(cell["parameters"]),
        f"{cell['learning_rate']:g}",
        shown(cell["median"]),
        f"{shown(cell['best'])} to {shown(cell['worst'])}",
        f"{cell['steps_per_second']:.0f}",
    ]


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
        lines += ["| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
        lines += ["| " + " | ".join(row(cell)) + " |" for cell in setting["cells"]]
        lines.append("")
    return "\n".join([*lines, footnote(), "", "![learning curves](curves.png)", ""])
