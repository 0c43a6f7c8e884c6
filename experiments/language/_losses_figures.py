"""The figure of language models: losses against epochs."""

import numpy as np
from matplotlib.figure import Figure

from experiments.harness.report.style import assign_styles, style_panel
from experiments.harness.run.study import Findings, Results


def draw_losses(results: Results) -> Findings:
    """Training (thin) and validation losses of each net, by epoch, and the best epoch."""
    nets = [entry for entry in results.study.entries if entry.kind == "net"]
    styles = assign_styles([entry.name for entry in nets])
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    panel = figure.subplots()
    found = False
    for entry in nets:
        for seed in entry.seeds:
            try:
                curves = results.arrays(entry.name, "losses", seed)
            except FileNotFoundError:  # of a trial that diverged
                continue
            found = True
            colour, dashes = styles[entry.name]
            epochs = np.arange(1, len(curves["loss"]) + 1)
            label = entry.name if seed == entry.seeds[0] else None
            panel.plot(epochs, curves["loss"], color=colour, linewidth=0.8, alpha=0.6)
            panel.plot(
                epochs, curves["validation_loss"], color=colour, linestyle=dashes, label=label
            )
            best = int(np.argmin(curves["validation_loss"]))
            panel.plot(epochs[best], curves["validation_loss"][best], "o", color=colour)
    if not found:
        return Findings()
    panel.set(xlabel="epoch", ylabel="nats per token", title=f"{results.study.name}: losses")
    panel.legend(fontsize=8, title="validation (thin: training; dot: best)", title_fontsize=8)
    style_panel(panel)
    return Findings(figures={"training and validation loss by epoch": figure})
