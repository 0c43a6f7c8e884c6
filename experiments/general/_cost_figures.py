"""The figure of what a longer, wider or deeper net costs."""

import numpy as np
from matplotlib.figure import Figure

from experiments.harness.report.style import assign_styles, style_panel
from experiments.harness.run.study import Findings, Results

AXES = {
    "steps": "time steps T",
    "hidden": "hidden size H",
    "batch": "batch B",
    "layers": "layers",
}
MEASURES = {"seconds": "time", "bytes": "RAM"}


def draw_growth(results: Results) -> Findings:
    """Time and RAM as multiples of those at the smallest size, against the multiple of the size."""
    names = [entry.name for entry in results.study.entries]
    styles = assign_styles(names)
    figure = Figure(figsize=(9.0, 4.2), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, (measure, title) in zip(panels, MEASURES.items(), strict=True):
        largest = 1.0
        for name in names:
            of = results.arrays(name, "growth")
            factor = of["size"] / of["size"][0]
            colour, dashes = styles[name]
            label = f"{name}, from {of['size'][0]:.0f}"
            panel.plot(factor, of[measure] / of[measure][0], color=colour, linestyle=dashes,
                       marker="o", markersize=3, label=label)  # fmt: skip
            largest = max(largest, factor[-1])
        line = np.array([1.0, largest])
        panel.plot(line, line, color="0.6", linewidth=0.8)
        panel.annotate("in proportion", (line[1], line[1]), (-4, 4), textcoords="offset points",
                       ha="right", fontsize=8, color="0.35")  # fmt: skip
        panel.set(xscale="log", yscale="log", xlabel="size, as a multiple of the smallest",
                  ylabel=f"{title}, as a multiple")  # fmt: skip
        style_panel(panel)
    panels[0].legend(fontsize=8)
    return Findings(figures={"growth of time and RAM": figure})
