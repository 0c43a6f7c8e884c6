"""The figures of the experiments on films: what each entry draws beside what comes."""

import numpy as np
from matplotlib.figure import Figure

from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Findings, Results

SHOWN = 2  # films
STEP = 2  # frames from one picture to the next


def draw_films(results: Results) -> Findings:
    """Films beside their continuations by each entry, and the loss by epoch."""
    figures = {"frames to come": draw_continuations(results)}
    figures["validation loss by epoch"] = draw_epochs(
        results, {"validation_loss": "cross-entropy per pixel"}
    )
    return Findings(figures=figures)


def draw_continuations(results: Results) -> Figure:
    """For each film a row of what comes, and one for each entry."""
    entries = [entry.name for entry in results.study.entries]
    films = {}
    for name in entries:
        try:
            films[name] = results.arrays(name, "films")
        except FileNotFoundError:  # a trial that diverged
            continue
    first = next(iter(films.values()))
    wanted, to_come = first["wanted"], first["drawn"].shape[1]
    seen = wanted.shape[1] - to_come
    times = np.arange(0, to_come, STEP)
    rows = [(film, name) for film in range(len(wanted)) for name in ("shown", "to come", *films)]
    figure = Figure(
        figsize=(2.2 + 0.8 * len(times), 0.85 * len(rows)), dpi=150, layout="constrained"
    )
    panels = figure.subplots(len(rows), len(times), squeeze=False)
    for line, (film, name) in zip(panels, rows, strict=True):
        for panel, time in zip(line, times, strict=True):
            if name == "shown":
                at = min(time, seen - 1)
                picture = wanted[film, at] / 255
            elif name == "to come":
                at = seen + time
                picture = wanted[film, at] / 255
            else:
                at = seen + time
                picture = films[name]["drawn"][film, time]
            panel.imshow(picture, cmap="Greys", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.set_title(f"frame {at + 1}", fontsize=6, pad=2)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
    return figure
