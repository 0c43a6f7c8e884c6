"""Figures: learning curves, a score against a length, alignments."""

import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # a file, never a window

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from experiments.harness.run import best_rate
from experiments.harness.run.jobs import Job
from lstm_jax._internal import storage

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


PANELS = 4  # in a row


def curves(jobs: list[Job], results: list[dict[str, Any]], path: Path) -> None:
    """Writes the figure to ``path`` (PNG): median and range of the validation score, each contender
    at the learning rate at which it is told."""
    names = list(dict.fromkeys(job.setting.task.name for job in jobs))
    styles = styles_of(list(dict.fromkeys(job.contender for job in jobs)))
    wide, high = min(len(names), PANELS), -(-len(names) // PANELS)
    figure = Figure(figsize=(1.2 + 4.0 * wide, 0.6 + 3.2 * high), dpi=150, layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        pairs = zip(jobs, results, strict=True)
        shown = [(job, result) for job, result in pairs if job.setting.task.name == name]
        draw(panel, shown, styles)
    for panel in panels[len(names) :]:
        panel.remove()
    legend(figure, panels[: len(names)])
    save(figure, path)


def styles_of(contenders: list[str]) -> dict[str, tuple[str, Any]]:
    """A colour and dashes for each contender; past the last colour, the first with other dashes."""
    count = len(STYLES)
    return {
        name: (STYLES[i % count][0], STYLES[(i + 3 * (i // count)) % count][1])
        for i, name in enumerate(contenders)
    }


def legend(figure: Figure, panels: Any) -> None:
    """One for all panels, above them."""
    found: dict[Any, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        found.update(zip(labels, handles, strict=True))
    columns = min(len(found), max(3, 3 * len(panels)))
    figure.legend(
        list(found.values()), list(found), loc="outside upper center", ncols=columns, frameon=False
    )


def save(figure: Figure, path: Path) -> None:
    """The whole file or none of it."""
    with storage.replacing(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix("."))


def finish(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25, linewidth=0.5)


def draw(panel: Axes, shown: list[tuple[Job, dict[str, Any]]], styles: dict) -> None:
    """One setting's panel."""
    task, budget = shown[0][0].setting.task, shown[0][0].setting.budget
    runs = seeds(len(set(shown[0][0].seeds)))
    for job, result in shown:
        steps = [line["step"] for line in result["curve"]]
        kept = best_rate.runs_of(job, best_rate.best(job, result))
        scores = task.score.or_worst([line["validation"] for line in result["curve"]])[:, kept]
        colour, dashes = styles[job.contender]
        panel.plot(
            steps, np.median(scores, axis=1),
            color=colour, linestyle=dashes, linewidth=2, label=job.contender,
        )  # fmt: skip
        panel.fill_between(
            steps, scores.min(axis=1), scores.max(axis=1), color=colour, alpha=0.18, linewidth=0
        )
        if steps[-1] < result["steps"]:  # all runs have ended
            panel.plot(steps[-1], np.median(scores[-1]), marker="o", color=colour)
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
    panel.set_xlim(0, max(result["steps"] for _, result in shown))
    panel.set_title(f"{task.name}\nmedian and range of {runs}", fontsize=10)
    rows = "a sequence" if budget.batch_size == 1 else f"{budget.batch_size} sequences"
    panel.set_xlabel(f"training steps of {rows}")
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_ylabel(f"validation {task.score.name}\n({task.score.direction})", fontsize=9)
    finish(panel)


def seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def against(
    title: str,
    rows: dict[str, dict[str, list[float | None]]],
    path: Path,
    *,
    higher_is_better: bool = True,
    chance: float | None = None,
) -> None:
    """Writes the figure of a score against its columns, whose names begin with numbers (see
    ``place``): a line for each contender, the median of its runs, with their range.

    higher_is_better: of a score from 0 to 1; else from 0 up. chance: at the trained lengths
    together, which is not always that of each length.
    """
    places = {column: place(column) or 0.0 for column in next(iter(rows.values()))}
    columns = sorted(places, key=places.__getitem__)
    at = [places[column] for column in columns]
    figure = Figure(figsize=(5.2, 3.8), dpi=150, layout="constrained")
    panel = figure.subplots()
    styles = styles_of(list(rows))
    for name, scores in rows.items():
        colour, dashes = styles[name]
        values = np.array([scores[column] for column in columns], float)
        panel.plot(at, np.median(values, axis=1), color=colour, linestyle=dashes, linewidth=2,
                   marker="o", markersize=4, label=name)  # fmt: skip
        panel.fill_between(at, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.18)
    if chance is not None:
        panel.axhline(chance, color="0.35", linewidth=1, linestyle=(0, (2, 2)),
                      label="chance at the trained lengths")  # fmt: skip
    if max(at) > 20 * max(min(at), 1):
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.set_xticks(at, [f"{step:g}" for step in at])
    score, _, column = title.partition(" by ")
    panel.set_title(title, fontsize=10)
    panel.set_ylabel(score)
    panel.set_xlabel(column.partition(",")[0])
    panel.legend(frameon=False)
    panel.set_ylim(*((-0.02, 1.02) if higher_is_better else (0, None)))
    finish(panel)
    save(figure, path)


def place(column: str) -> float | None:
    """Where a column stands on the axis: 70 of "70", of "70 steps" and of "60 to 80 steps"; None
    of any other name."""
    found = re.match(r"(\d+)(?: to (\d+))?(?: |$)", column)
    return None if found is None else (int(found[1]) + int(found[2] or found[1])) / 2


def lags(summary: dict[str, Any], path: Path) -> bool:
    """Writes the figure of success against lag, where settings differ in it: above, the share of
    runs that solved the task; below, the sequences that took, the median of the runs that did.
    Whether there was something to draw."""
    settings = [setting for setting in summary["settings"] if setting["lag"] is not None]
    if len({setting["lag"] for setting in settings}) < 2:
        return False
    kinds = list(dict.fromkeys(kind_of(setting["task"]) for setting in settings))
    names = [row["contender"] for setting in settings for row in setting["contenders"]]
    styles = styles_of(list(dict.fromkeys(names)))
    figure = Figure(figsize=(1.2 + 4.0 * len(kinds), 5.6), dpi=150, layout="constrained")
    panels = figure.subplots(2, len(kinds), squeeze=False)
    for column, kind in enumerate(kinds):
        of_kind = [setting for setting in settings if kind_of(setting["task"]) == kind]
        lags_of_kind = sorted(setting["lag"] for setting in of_kind)
        for name, (colour, dashes) in styles.items():
            points = [
                (setting["lag"], [row["solved"] for row in setting["contenders"]
                                  if row["contender"] == name])
                for setting in sorted(of_kind, key=lambda setting: setting["lag"])
            ]  # fmt: skip
            told = [(lag, np.array(runs[0], float)) for lag, runs in points if runs]
            shares = [float(np.isfinite(counts).mean()) for _, counts in told]
            lag_axis = [lag for lag, _ in told]
            style = {"color": colour, "linestyle": dashes, "linewidth": 2, "marker": "o",
                     "markersize": 4, "label": name}  # fmt: skip
            panels[0, column].plot(lag_axis, shares, **style)
            solved = [(lag, np.nanmedian(counts)) for lag, counts in told
                      if np.isfinite(counts).any()]  # fmt: skip
            if solved:
                panels[1, column].plot(*zip(*solved, strict=True), **style)
        panels[0, column].set_title(kind, fontsize=10)
        panels[0, column].set_ylim(-0.03, 1.03)
        panels[1, column].set_yscale("log")
        panels[1, column].yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        panels[1, column].yaxis.set_major_formatter("{x:,.0f}")
        labels = ("share of runs that solve it", "sequences, of the runs\nthat solve it (median)")
        for panel, label in zip(panels[:, column], labels, strict=True):
            panel.set_xscale("log")
            panel.minorticks_off()
            panel.set_xticks(lags_of_kind, map(str, lags_of_kind))
            panel.set_xlabel("lag")
            panel.set_ylabel(label)
            finish(panel)
    legend(figure, panels[0])
    save(figure, path)
    return True


def kind_of(task: str) -> str:
    """The task's name without its options: "adding" of "adding(100)"."""
    return task.partition("(")[0]


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
