"""Figures of results: learning curves, scores against length or lag, attention alignments."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from experiments.harness.report.style import assign_styles, save_figure, style_panel
from experiments.harness.run import best_rate
from experiments.harness.run.jobs import Job

PANELS_PER_ROW = 4
MOST_NAMED = 12  # contenders that can be told apart


def draw_curves(jobs: list[Job], results: list[dict[str, Any]], path: Path) -> None:
    """Writes the learning curves to ``path`` (PNG): the median and the range of the validation
    score, each contender at its best learning rate. Of many, only the best have a colour."""
    names = list(dict.fromkeys(job.setting.task.name for job in jobs))
    styles = assign_styles(choose_named(jobs, results))
    wide, high = min(len(names), PANELS_PER_ROW), -(-len(names) // PANELS_PER_ROW)
    figure = Figure(figsize=(1.2 + 4.0 * wide, 0.6 + 3.2 * high), dpi=150, layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        pairs = zip(jobs, results, strict=True)
        of_task = [(job, result) for job, result in pairs if job.setting.task.name == name]
        draw_panel(panel, of_task, styles)
    for panel in panels[len(names) :]:
        panel.remove()
    draw_legend(figure, panels[: len(names)])
    save_figure(figure, path)


def choose_named(jobs: list[Job], results: list[dict[str, Any]]) -> list[str]:
    """The contenders; or of too many to tell apart, those that end best in a setting."""
    contenders = dict.fromkeys(job.contender for job in jobs)
    if len(contenders) <= MOST_NAMED:
        return list(contenders)
    settings: dict[str, list[tuple[float, str]]] = {}
    for job, result in zip(jobs, results, strict=True):
        score = job.setting.task.score
        kept = best_rate.runs_at(job, best_rate.best(job, result))
        last = np.median(score.or_worst([result["curve"][-1]["validation"]])[:, kept])
        rank = -float(last) if score.higher_is_better else float(last)
        settings.setdefault(job.setting.task.name, []).append((rank, job.contender))
    each = MOST_NAMED // len(settings) or 1
    best = {name for ranks in settings.values() for _, name in sorted(ranks)[:each]}
    return [name for name in contenders if name in best]


def draw_legend(figure: Figure, panels: Any) -> None:
    """Draws one legend for all panels, above them."""
    found: dict[Any, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        found.update(zip(labels, handles, strict=True))
    longest = max(map(len, found), default=1)
    fit = int(figure.get_figwidth() / (0.7 + 0.09 * longest))  # inches for a line and a name
    columns = max(1, min(len(found), fit, max(3, 3 * len(panels))))
    figure.legend(
        list(found.values()), list(found), loc="outside upper center", ncols=columns, frameon=False
    )


def draw_panel(panel: Axes, results: list[tuple[Job, dict[str, Any]]], styles: dict) -> None:
    """Draws the panel of one setting, from the result of each job."""
    first_job = results[0][0]
    task, budget = first_job.setting.task, first_job.setting.budget
    runs = count_seeds(len(set(first_job.seeds)))
    for job, result in results:
        steps = [line["step"] for line in result["curve"]]
        kept = best_rate.runs_at(job, best_rate.best(job, result))
        scores = task.score.or_worst([line["validation"] for line in result["curve"]])[:, kept]
        named = job.contender in styles
        colour, dashes = styles[job.contender] if named else ("0.8", "-")
        panel.plot(
            steps, np.median(scores, axis=1), color=colour, linestyle=dashes,
            linewidth=2 if named else 1, label=job.contender if named else "others",
            zorder=2 if named else 1,
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
    panel.set_xlim(0, max(result["steps"] for _, result in results))
    panel.set_title(f"{task.name}\nmedian and range of {runs}", fontsize=10)
    rows = "a sequence" if budget.batch_size == 1 else f"{budget.batch_size} sequences"
    panel.set_xlabel(f"training steps of {rows}")
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_ylabel(f"validation {task.score.name}\n({task.score.direction})", fontsize=9)
    style_panel(panel)


def count_seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def draw_by_length(
    title: str,
    rows: dict[str, dict[str, list[float | None]]],
    path: Path,
    *,
    higher_is_better: bool = True,
    chance: float | None = None,
) -> None:
    """Writes the figure of a score against length: one line per contender, the median of its runs,
    with their range.

    Args:
        title: The title of the table, such as "accuracy by length in steps".
        rows: The scores of all runs, by contender and column; the columns' names begin with
            numbers, as ``axis_position`` reads them.
        path: The PNG file.
        higher_is_better: Whether the score goes from 0 to 1; if not, it goes from 0 up.
        chance: The score of chance over all trained lengths together, which may differ from that
            of a single length.
    """
    places = {column: axis_position(column) or 0.0 for column in next(iter(rows.values()))}
    columns = sorted(places, key=places.__getitem__)
    at = [places[column] for column in columns]
    figure = Figure(figsize=(5.2, 3.8), dpi=150, layout="constrained")
    panel = figure.subplots()
    styles = assign_styles(list(rows))
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
    style_panel(panel)
    save_figure(figure, path)


def axis_position(column: str) -> float | None:
    """The position of a column on the axis: 70 for "70", "70 steps" and "60 to 80 steps"; None if
    its name does not begin with a number."""
    found = re.match(r"(\d+)(?: to (\d+))?(?: |$)", column)
    return None if found is None else (int(found[1]) + int(found[2] or found[1])) / 2


def draw_lags(summary: dict[str, Any], path: Path) -> bool:
    """Writes the figure of success against lag, if the settings have several lags.

    The upper panels show the share of runs that solved the task, the lower ones the median number
    of sequences that these runs needed.

    Returns:
        Whether there was anything to draw.
    """
    settings = [setting for setting in summary["settings"] if setting["lag"] is not None]
    if len({setting["lag"] for setting in settings}) < 2:
        return False
    kinds = list(dict.fromkeys(task_kind(setting["task"]) for setting in settings))
    names = [row["contender"] for setting in settings for row in setting["contenders"]]
    styles = assign_styles(list(dict.fromkeys(names)))
    figure = Figure(figsize=(1.2 + 4.0 * len(kinds), 5.6), dpi=150, layout="constrained")
    panels = figure.subplots(2, len(kinds), squeeze=False)
    for column, kind in enumerate(kinds):
        of_kind = [setting for setting in settings if task_kind(setting["task"]) == kind]
        lags_of_kind = sorted(setting["lag"] for setting in of_kind)
        for name, (colour, dashes) in styles.items():
            points = [
                (setting["lag"], [row["solved"] for row in setting["contenders"]
                                  if row["contender"] == name])
                for setting in sorted(of_kind, key=lambda setting: setting["lag"])
            ]  # fmt: skip
            found = [(lag, np.array(runs[0], float)) for lag, runs in points if runs]
            shares = [float(np.isfinite(counts).mean()) for _, counts in found]
            lag_axis = [lag for lag, _ in found]
            style = {"color": colour, "linestyle": dashes, "linewidth": 2, "marker": "o",
                     "markersize": 4, "label": name}  # fmt: skip
            panels[0, column].plot(lag_axis, shares, **style)
            solved = [(lag, np.nanmedian(counts)) for lag, counts in found
                      if np.isfinite(counts).any()]  # fmt: skip
            if solved:
                panels[1, column].plot(*zip(*solved, strict=True), **style)
        panels[0, column].set_title(kind, fontsize=10)
        panels[0, column].set_ylim(-0.03, 1.03)
        panels[1, column].set_yscale("log")
        panels[1, column].yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        panels[1, column].yaxis.set_major_formatter("{x:,.0f}")
        labels = (
            "share of runs that solve it",
            "sequences until solved\n(median of the runs that solve it)",
        )
        for panel, label in zip(panels[:, column], labels, strict=True):
            panel.set_xscale("log")
            panel.minorticks_off()
            panel.set_xticks(lags_of_kind, map(str, lags_of_kind))
            panel.set_xlabel("lag")
            panel.set_ylabel(label)
            style_panel(panel)
    draw_legend(figure, panels[0])
    save_figure(figure, path)
    return True


def task_kind(task: str) -> str:
    """The task's name without its options: "adding" for "adding(100)"."""
    return task.partition("(")[0]


def draw_alignment(
    weights: np.ndarray, read: list[str], written: list[str], title: str, path: Path
) -> None:
    """Writes the picture of an alignment to ``path`` (PNG).

    Args:
        weights: Attention weights ``[len(written), len(read)]``: how much of each source token was
            read while each output token was written.
        read: The source tokens.
        written: The output tokens.
        title: The figure's title.
        path: The PNG file.
    """
    height = 1.2 + 0.22 * len(written)
    figure = Figure(figsize=(1.6 + 0.26 * len(read), height), dpi=150, layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    rotation = 90 if max(map(len, read), default=1) > 2 else 0
    panel.set_xticks(range(len(read)), read, fontsize=8, rotation=rotation)
    panel.set_yticks(range(len(written)), written, fontsize=8)
    panel.set_xlabel("read")
    panel.set_ylabel("written")
    panel.set_title(title, fontsize=10)
    figure.colorbar(image, label="attention weight", shrink=0.8)
    save_figure(figure, path)
