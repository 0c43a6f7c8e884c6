"""All settings and contenders of a large comparison, in one table and one figure."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.harness.report.curves import task_kind
from experiments.harness.report.style import save_figure
from experiments.harness.report.summary import count_solved

MIN_SETTINGS = 4


def is_needed(summary: dict[str, Any]) -> bool:
    """Whether there are enough settings for an overview."""
    return len(summary["settings"]) >= MIN_SETTINGS


def contender_names(summary: dict[str, Any]) -> list[str]:
    names = [row["contender"] for setting in summary["settings"] for row in setting["contenders"]]
    return list(dict.fromkeys(names))


def normalize_score(setting: dict[str, Any], score: float | None) -> float:
    """A score on a scale from 0, what is reached without memory, to 1, perfect; NaN for a run that
    diverged.

    0 is the best memoryless score, or chance if a task has no such score. 1 is a score of 1 if
    higher is better, as for accuracies, and a score of 0 if lower is better.
    """
    if score is None:
        return float("nan")
    perfect = 1.0 if setting["direction"] == "higher is better" else 0.0
    zero = setting["chance"] if setting["memoryless"] is None else setting["memoryless"]
    return float(np.clip((score - zero) / (perfect - zero), 0, 1))


def make_table(summary: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """One row per setting: each contender's normalized median test score and, if the task has a
    criterion of success, how many of its runs solved it. The last row counts the settings that most
    of a contender's runs solve."""
    names = contender_names(summary)
    rows = []
    solved, judged = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for setting in summary["settings"]:
        cells = dict.fromkeys(names, "")
        for row in setting["contenders"]:
            name, count, runs = row["contender"], count_solved(row), len(row["solved"])
            cells[name] = format_share(normalize_score(setting, row["median"]))
            if setting["success"] is not None:
                cells[name] += f" ({count}/{runs})"
                solved[name] += 2 * count > runs
                judged[name] += 1
        rows.append([setting["task"], *cells.values()])
    last = ["solved", *(f"{solved[name]} of {judged[name]}" for name in names)]
    return ["task", *names], [*rows, last]


def format_share(share: float) -> str:
    return "diverged" if np.isnan(share) else f"{share:.2f}"


def longest_lags(summary: dict[str, Any]) -> tuple[list[str], list[list[str]]] | None:
    """One row per kind of task that was run at several lags: the longest lag that most of a
    contender's runs solve; None if there is no such kind."""
    names, rows = contender_names(summary), []
    settings = [setting for setting in summary["settings"] if setting["lag"] is not None]
    for kind in dict.fromkeys(task_kind(setting["task"]) for setting in settings):
        of_kind = [setting for setting in settings if task_kind(setting["task"]) == kind]
        if len(of_kind) < 2:
            continue
        longest = dict.fromkeys(names, 0)
        for setting in of_kind:
            for row in setting["contenders"]:
                if 2 * count_solved(row) > len(row["solved"]):
                    longest[row["contender"]] = max(longest[row["contender"]], setting["lag"])
        lags = ", ".join(str(setting["lag"]) for setting in of_kind)
        rows.append(
            [f"{kind} (of {lags})", *(str(lag) if lag else "-" for lag in longest.values())]
        )
    return (["longest lag solved", *names], rows) if rows else None


def draw_overview(summary: dict[str, Any], path: Path) -> None:
    """Draws the table to ``path`` (PNG): one cell per setting and contender, darker the nearer the
    score is to perfect, with one dot per run that solved the task."""
    names, settings = contender_names(summary), summary["settings"]
    shares = np.full((len(settings), len(names)), np.nan)
    size = (3.6 + 0.95 * len(names), 1.6 + 0.36 * len(settings))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    panel = figure.subplots()
    for y, setting in enumerate(settings):
        for row in setting["contenders"]:
            x = names.index(row["contender"])
            shares[y, x] = normalize_score(setting, row["median"])
            dark = shares[y, x] > 0.6
            dots = "\u25cf" * count_solved(row) or format_share(shares[y, x])
            panel.text(x, y, dots, ha="center", va="center", fontsize=8,
                       color="white" if dark else "black")  # fmt: skip
    image = panel.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    panel.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=9)
    panel.set_yticks(range(len(settings)), [setting["task"] for setting in settings], fontsize=9)
    figure.colorbar(image, label="median test score, 0: no memory, 1: perfect", shrink=0.8)
    panel.set_title("one dot per run that solves the task", fontsize=10)
    save_figure(figure, path)
