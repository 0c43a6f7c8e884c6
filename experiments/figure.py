"""Figures: learning curves, a score against a length, alignments."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # a file, never a window

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.setting import Job

# Okabe & Ito's palette, which the colour-blind can tell apart; dashes for print without colour.
STYLES = (
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#E69F00", (0, (5, 1, 1, 1, 1, 1))),
    ("#56B4E9", (0, (8, 2))),
    ("#000000", (0, (1, 3))),
)


def curves(jobs: list[Job], results: list[dict[str, Any]], path: Path) -> None:
    """Writes the figure to ``path`` (PNG): median and range of the validation score."""
    names = list(dict.fromkeys(job.setting.task.name for job in jobs))
    contenders = list(dict.fromkeys(job.contender for job in jobs))
    styles = {name: STYLES[i % len(STYLES)] for i, name in enumerate(contenders)}
    figure = Figure(figsize=(1.2 + 4.0 * len(names), 3.8), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        pairs = zip(jobs, results, strict=True)
        shown = [(job, result) for job, result in pairs if job.setting.task.name == name]
        draw(panel, shown, styles)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """The whole file or none of it."""
    aside = path.with_suffix(".tmp.png")
    figure.savefig(aside)
    aside.replace(path)


def finish(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25, linewidth=0.5)


def draw(panel: Axes, shown: list[tuple[Job, dict[str, Any]]], styles: dict) -> None:
    """One setting's panel."""
    task, budget = shown[0][0].setting.task, shown[0][0].setting.budget
    runs = seeds(len(shown[0][0].seeds))
    for job, result in shown:
        steps = [line["step"] for line in result["curve"]]
        scores = task.score.or_worst([line["validation"] for line in result["curve"]])
        colour, dashes = styles[job.contender]
        panel.plot(
            steps, np.median(scores, axis=1),
            color=colour, linestyle=dashes, linewidth=2, label=job.contender,
        )  # fmt: skip
        panel.fill_between(
            steps, scores.min(axis=1), scores.max(axis=1), color=colour, alpha=0.18, linewidth=0
        )
    panel.axhline(task.score.chance, color="0.35", linewidth=1, linestyle=(0, (2, 2)))
    panel.annotate(
        "chance", (1, task.score.chance), (-3, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", va="bottom", fontsize=8, color="0.25",
    )  # fmt: skip
    if task.score.higher_is_better:
        panel.set_ylim(0, 1)
    else:
        panel.set_yscale("log")
        panel.set_ylim(top=min(panel.get_ylim()[1], 10 * task.score.chance))
    panel.set_xlim(0, budget.steps)
    panel.set_title(f"{task.name}\nmedian and range of {runs}", fontsize=10)
    panel.set_xlabel(f"training steps of {budget.batch_size} sequences")
    panel.set_ylabel(f"validation {task.score.name} ({task.score.direction})")
    finish(panel)


def seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def against(title: str, rows: dict[str, dict[str, list[float | None]]], path: Path) -> None:
    """Writes the figure of a score from 0 to 1 against the names of its columns, which are numbers:
    a line a contender, the median of its runs, with their range."""
    columns = list(next(iter(rows.values())))
    figure = Figure(figsize=(5.2, 3.8), dpi=150, layout="constrained")
    panel = figure.subplots()
    for i, (name, scores) in enumerate(rows.items()):
        colour, dashes = STYLES[i % len(STYLES)]
        values = np.array([scores[column] for column in columns], float)
        at = [int(column) for column in columns]
        panel.plot(at, np.median(values, axis=1), color=colour, linestyle=dashes, linewidth=2,
                   marker="o", markersize=4, label=name)  # fmt: skip
        panel.fill_between(at, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.18)
    score, _, column = title.partition(" by ")
    panel.set_title(title, fontsize=10)
    panel.set_ylabel(score)
    panel.set_xlabel(column.partition(",")[0])
    panel.legend(frameon=False)
    panel.set_ylim(-0.02, 1.02)
    finish(panel)
    save(figure, path)


def alignment(
    weights: np.ndarray, read: list[str], written: list[str], title: str, path: Path
) -> None:
    """Writes the picture of ``weights [len(written), len(read)]``: how much of each token was
    read while each was written."""
    height = 1.2 + 0.22 * len(written)
    figure = Figure(figsize=(1.6 + 0.26 * len(read), height), dpi=150, layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    turned = 90 if max(map(len, read), default=1) > 2 else 0
    panel.set_xticks(range(len(read)), read, fontsize=8, rotation=turned)
    panel.set_yticks(range(len(written)), written, fontsize=8)
    panel.set_xlabel("read")
    panel.set_ylabel("written")
    panel.set_title(title, fontsize=10)
    figure.colorbar(image, label="weight", shrink=0.8)
    save(figure, path)
