"""The figure of ratios: one panel per program and number of devices, one colour per peer."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.harness import ratios
from benchmarks.harness.measure import PROGRAMS
from benchmarks.harness.tables import PROGRAM_TITLES, devices_label, shape_label
from benchmarks.peers import PEERS, TITLES
from experiments.harness.report.style import STYLES, save_figure

MARKERS = ("o", "s", "^", "D", "P")
Result = dict[str, Any]


def draw_ratios(results: list[Result], cell: str, path: Path) -> None:
    """Writes the figure to ``path`` (PNG): the peers' times over ours, for each comparison."""
    chosen = [result for result in results if result["cell"] == cell]
    counts = ratios.device_counts(chosen)
    width = 1.5 + len(counts) * max(3.2, 0.62 * len(chosen))
    figure = Figure(figsize=(width, 8.2), dpi=130, layout="constrained")
    panels = figure.subplots(len(PROGRAMS), len(counts), squeeze=False, sharex=True, sharey="row")
    for row, program in zip(panels, reversed(PROGRAMS), strict=True):
        for panel, devices in zip(row, counts, strict=True):
            draw_panel(panel, chosen, program, devices)
            panel.set_title(f"{PROGRAM_TITLES[program]}, {devices_label(devices)}", fontsize=10)
        row[0].set_ylabel("their time / ours")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.suptitle(f"{cell.upper()}: how many times as long the peers take", fontsize=12)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save_figure(figure, path)


def draw_panel(panel: Axes, results: list[Result], program: str, devices: int) -> None:
    """Draws one panel; a ratio that was not measured is left out."""
    places = np.arange(len(results))
    for i, name in enumerate(PEERS):
        values = [ratios.ratio(result, name, devices, program) for result in results]
        if all(value is None for value in values):
            continue
        panel.plot(
            places + 0.12 * (i - (len(PEERS) - 1) / 2),
            [np.nan if value is None else value for value in values],
            color=STYLES[i][0], marker=MARKERS[i], linestyle="", markersize=6, label=TITLES[name],
        )  # fmt: skip
    panel.axhline(1, color="0.2", linewidth=1)
    panel.annotate(
        "lstm_jax", (1, 1), (-3, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", va="bottom", fontsize=8, color="0.2",
    )  # fmt: skip
    panel.set_yscale("log", base=2)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    panel.yaxis.set_major_formatter(plain)
    panel.yaxis.set_minor_formatter(NullFormatter())
    low, high = panel.get_ylim()
    panel.set_ylim(min(low, 0.7), max(high, 2.2))
    panel.set_xlim(-0.6, len(results) - 0.4)
    labels = [shape_label(result).replace(", ", "\n") for result in results]
    panel.set_xticks(places, labels, rotation=45, ha="right", fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", alpha=0.3, linewidth=0.5)
