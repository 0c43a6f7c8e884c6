"""All settings and contenders of a large comparison in one table and one curves."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.harness.report import curves
from experiments.harness.report.summary import solved

SETTINGS = 4  # so many want an overview


def wanted(summary: dict[str, Any]) -> bool:
    return len(summary["settings"]) >= SETTINGS


def contenders(summary: dict[str, Any]) -> list[str]:
    names = [row["contender"] for setting in summary["settings"] for row in setting["contenders"]]
    return list(dict.fromkeys(names))


def share(setting: dict[str, Any], score: float | None) -> float:
    """A score as a share of the way from what needs no memory, 0, to perfect, 1; NaN of a run that
    diverged.

    No memory: the best memoryless score, or chance where a task has none. Perfect is 1 where
    higher is better, as of accuracies, and 0 where lower is.
    """
    if score is None:
        return float("nan")
    perfect = 1.0 if setting["direction"] == "higher is better" else 0.0
    zero = setting["chance"] if setting["memoryless"] is None else setting["memoryless"]
    return float(np.clip((score - zero) / (perfect - zero), 0, 1))


def table_of(summary: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """A row a setting: the median test score of each contender as a share of the way from no memory
    to perfect, and how many of its runs solved the task, where that is judged. Last, how many of
    those settings each contender solves: with most of its runs."""
    names = contenders(summary)
    rows = []
    won, judged = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for setting in summary["settings"]:
        cells = dict.fromkeys(names, "")
        for row in setting["contenders"]:
            name, count, runs = row["contender"], solved(row), len(row["solved"])
            cells[name] = shown(share(setting, row["median"]))
            if setting["success"] is not None:
                cells[name] += f" ({count}/{runs})"
                won[name] += 2 * count > runs
                judged[name] += 1
        rows.append([setting["task"], *cells.values()])
    last = ["solved", *(f"{won[name]} of {judged[name]}" for name in names)]
    return ["task", *names], [*rows, last]


def shown(share: float) -> str:
    return "diverged" if np.isnan(share) else f"{share:.2f}"


def longest(summary: dict[str, Any]) -> tuple[list[str], list[list[str]]] | None:
    """A row a kind of task whose lag differs: the longest lag that each contender solves, with most
    of its runs; None where there is no such kind."""
    names, rows = contenders(summary), []
    settings = [setting for setting in summary["settings"] if setting["lag"] is not None]
    for kind in dict.fromkeys(curves.kind_of(setting["task"]) for setting in settings):
        of_kind = [setting for setting in settings if curves.kind_of(setting["task"]) == kind]
        if len(of_kind) < 2:
            continue
        longest = dict.fromkeys(names, 0)
        for setting in of_kind:
            for row in setting["contenders"]:
                if 2 * solved(row) > len(row["solved"]):
                    longest[row["contender"]] = max(longest[row["contender"]], setting["lag"])
        lags = ", ".join(str(setting["lag"]) for setting in of_kind)
        rows.append(
            [f"{kind} (of {lags})", *(str(lag) if lag else "-" for lag in longest.values())]
        )
    return (["longest lag solved", *names], rows) if rows else None


def draw(summary: dict[str, Any], path: Path) -> None:
    """Writes the figure of the table: a field a setting and contender, darker where the score is
    nearer to perfect, with a dot for each run that solved the task."""
    names, settings = contenders(summary), summary["settings"]
    shares = np.full((len(settings), len(names)), np.nan)
    size = (3.6 + 0.95 * len(names), 1.6 + 0.36 * len(settings))
    canvas = Figure(figsize=size, dpi=150, layout="constrained")
    panel = canvas.subplots()
    for y, setting in enumerate(settings):
        for row in setting["contenders"]:
            x = names.index(row["contender"])
            shares[y, x] = share(setting, row["median"])
            dark = shares[y, x] > 0.6
            dots = "\u25cf" * solved(row) or shown(shares[y, x])
            panel.text(x, y, dots, ha="center", va="center", fontsize=8,
                       color="white" if dark else "black")  # fmt: skip
    image = panel.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    panel.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=9)
    panel.set_yticks(range(len(settings)), [setting["task"] for setting in settings], fontsize=9)
    canvas.colorbar(image, label="median test score, from no memory to perfect", shrink=0.8)
    panel.set_title("a dot for each run that solves the task", fontsize=10)
    curves.save(canvas, path)
