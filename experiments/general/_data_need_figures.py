"""Scores against the number of examples, and where nets overtake simple models."""

import numpy as np
from matplotlib.figure import Figure

from experiments.harness.report.curves import draw_legend
from experiments.harness.report.style import assign_styles, style_panel
from experiments.harness.run.study import Findings, Results

NEVER = "never"


def find(results: Results, sizes: list[int]) -> Findings:
    """Where each net overtakes each simple model, and scores against the number of examples."""
    entries = results.study.entries
    nets = [entry.name for entry in entries if entry.kind == "net"]
    simple = [entry.name for entry in entries if entry.kind != "net"]
    rows = []
    for net in nets:
        starts = [overtakes(results, net, other, sizes) for other in simple]
        rows.append([net, *(NEVER if start is None else f"{start:,}" for start in starts)])
    title = (
        "From how many examples on a net is better, by the median over seeds (and stays so; "
        f"{sizes[-1]:,} are all)"
    )
    shows = "score against the number of examples"
    texts = [sentence(results, nets, simple[1:], sizes)] if nets and simple[1:] else []
    return Findings(texts, [(title, ["net", *simple], rows)], {shows: draw(results, sizes)})


def medians(results: Results, entry: str, sizes: list[int]) -> np.ndarray:
    """The median score ``[sizes]``, or the worst there is for trials that diverged."""
    worst = -np.inf if results.study.columns[0].higher_is_better else np.inf
    scores = np.array([results.scores(entry, f"{size} examples") for size in sizes])
    return np.median(np.where(np.isnan(scores), worst, scores), axis=1)


def overtakes(results: Results, net: str, other: str, sizes: list[int]) -> int | None:
    """The number of examples from which on the net is better, or None."""
    sign = 1 if results.study.columns[0].higher_is_better else -1
    is_better = sign * medians(results, net, sizes) > sign * medians(results, other, sizes)
    worse = np.flatnonzero(~is_better)
    start = worse[-1] + 1 if len(worse) else 0
    return sizes[start] if start < len(sizes) else None


def sentence(results: Results, nets: list[str], simple: list[str], sizes: list[int]) -> str:
    """How the best net of all examples compares with the simple models."""
    sign = 1 if results.study.columns[0].higher_is_better else -1
    digits = results.study.columns[0].digits
    at_end = {name: medians(results, name, sizes)[-1] for name in (*nets, *simple)}
    best = max(nets, key=lambda name: sign * at_end[name])
    rival = max(simple, key=lambda name: sign * at_end[name])
    starts = {name: overtakes(results, best, name, sizes) for name in simple}
    passed = [f"{name} from {start:,} examples on" for name, start in starts.items()
              if start is not None]  # fmt: skip
    missed = [name for name, start in starts.items() if start is None]
    parts = [f"it is better than {' and than '.join(passed)}"] if passed else []
    parts += [f"it never overtakes {' or '.join(missed)}"] if missed else []
    return (
        f"With all examples the best net is {best} ({at_end[best]:.{digits}f}), and the best "
        f"simple model {rival} ({at_end[rival]:.{digits}f}). By medians, {', and '.join(parts)}."
    )


def draw(results: Results, sizes: list[int]) -> Figure:
    """A line for each entry, with the range over seeds."""
    names = [entry.name for entry in results.study.entries]
    styles = assign_styles(names)
    figure = Figure(figsize=(6.4, 4.4), dpi=150, layout="constrained")
    panel = figure.subplots()
    for name in names:
        scores = np.array([results.scores(name, f"{size} examples") for size in sizes])
        colour, dashes = styles[name]
        panel.plot(sizes, medians(results, name, sizes), color=colour, linestyle=dashes,
                   marker="o", markersize=3, linewidth=1.8, label=name)  # fmt: skip
        panel.fill_between(sizes, np.nanmin(scores, axis=1), np.nanmax(scores, axis=1),
                           color=colour, alpha=0.15, linewidth=0)  # fmt: skip
    panel.set_xscale("log")
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
    panel.minorticks_off()
    panel.set_xlabel("examples to learn from")
    panel.set_ylabel(results.study.name)
    style_panel(panel)
    draw_legend(figure, [panel])
    return figure
