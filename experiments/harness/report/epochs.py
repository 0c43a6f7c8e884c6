"""Figures of training against epochs, from what the trials of a study saved."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.harness.report.curves import draw_legend
from experiments.harness.report.style import assign_styles, style_panel
from experiments.harness.run.study import Results


def draw_epochs(
    results: Results,
    measures: Mapping[str, str],
    *,
    entries: Sequence[str] | None = None,
    name: str = "history",
    lines: Mapping[str, float] | None = None,
    log: bool = False,
) -> Figure:
    """The median and the range over trials, one line per entry and one panel per measure.

    Args:
        results: Of a study whose trials saved arrays ``NAME``, one value ``[epochs]`` for each
            measure: ``trial.save_arrays("history", **fitted.history)``. Trials may differ in their
            number of epochs; those that diverged are left out.
        measures: Which of the arrays are drawn, with the labels of their axes, such as
            ``{"validation_perplexity": "validation perplexity"}``.
        entries: Which entries; by default all nets.
        name: Of the arrays, as in ``Trial.save_arrays``.
        lines: Values that are drawn as horizontal lines, by their labels, such as baselines.
        log: Whether the axis of the measures is logarithmic.
    """
    if entries is None:
        entries = [entry.name for entry in results.study.entries if entry.kind == "net"]
    styles = assign_styles(list(entries))
    width = 1.2 + 4.2 * len(measures)
    figure = Figure(figsize=(width, 4.0), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for panel, (measure, label) in zip(panels, measures.items(), strict=True):
        for entry in entries:
            curves = read_curves(results, entry, name, measure)
            if not curves.size:
                continue
            epochs = np.arange(1, curves.shape[1] + 1)
            colour, dashes = styles[entry]
            panel.plot(epochs, np.nanmedian(curves, axis=0), color=colour, linestyle=dashes,
                       linewidth=2, label=entry)  # fmt: skip
            panel.fill_between(epochs, np.nanmin(curves, axis=0), np.nanmax(curves, axis=0),
                               color=colour, alpha=0.18, linewidth=0)  # fmt: skip
        for text, value in (lines or {}).items():
            panel.axhline(value, color="0.35", linewidth=1, linestyle=(0, (2, 2)))
            panel.annotate(
                text, (1, value), (-3, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", va="bottom", fontsize=8, color="0.25",
            )  # fmt: skip
        if log:
            panel.set_yscale("log")
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panel.set_ylabel(label)
        style_panel(panel)
    draw_legend(figure, panels)
    return figure


def read_curves(results: Results, entry: str, name: str, measure: str) -> np.ndarray:
    """A measure of all trials ``[trials, epochs]``, with NaN after the last epoch of each."""
    curves = []
    for seed in results.study.entry(entry).seeds:
        if results.trials[entry, seed]["diverged"] is None:
            curves.append(np.asarray(results.arrays(entry, name, seed)[measure], float))
    longest = max(map(len, curves), default=0)
    padded = [np.pad(curve, (0, longest - len(curve)), constant_values=np.nan) for curve in curves]
    return np.array(padded)
