"""The table and the figure of ``vanishing_gradient``, from what its gradients.json holds."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness.report.style import save_figure, style_panel
from experiments.memory._gradients import decay_rate, half_life

# Okabe & Ito's colours for the cells without a forget bias; the LSTMs with one go from light to
# dark, as their gates go from closed to open.
STYLES: dict[str, tuple[str, Any]] = {
    "tanh RNN": ("#D55E00", "-"),
    "ReLU RNN": ("#E69F00", "--"),
    "IRNN": ("#CC79A7", "-."),
    "GRU": ("#009E73", "-"),
    "LSTM, no forget gate": ("#000000", (0, (1, 1.5))),
    "LSTM, forget bias 0": ("#7FC4F0", "-"),
    "LSTM, forget bias 1": ("#2F86C9", (0, (6, 1.5))),
    "LSTM, forget bias 5": ("#08306B", "-"),
    "LSTM, chrono": ("#4B4BC0", (0, (5, 1, 1, 1))),
}
FLOOR, CEILING = 1e-16, 1e5  # of the panels


def make_table(found: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Title, columns and rows: the norm at the lag of the symbol, the rate and the half-life, at
    the start and after training, with success and score."""
    lag = found["lag"]
    columns = ["contender"]
    for when in ("start", "trained"):
        columns += [f"{when}: norm at lag {lag}", "decay per step", "half-life"]
    columns += ["solved", f"accuracy (chance {found['chance']:g})"]
    rows = []
    for name, of in found["contenders"].items():
        cells = [name]
        for when in ("start", "trained"):
            curves = to_arrays(of[when])
            rates = np.array([decay_rate(curve) for curve in curves])
            cells += [format_power(median(curves[:, lag])), format_rates(rates)]
            cells += [format_half_life(half_life(median(rates)))]
        scores = np.nan_to_num(np.array(of["score"], float))  # 0 for a run that diverged
        rows.append(
            [*cells, f"{sum(of['solved'])} of {len(of['solved'])}", f"{np.median(scores):.3f}"]
        )
    title = (
        "Norm of the gradient of the loss by the state, relative to that at the answer (decay in "
        "nats per step: median of the seeds, the lowest and the highest; half-life in steps)"
    )
    return title, columns, rows


def make_descent_table(found: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Title, columns and rows of gradient descent with and without clipping."""
    columns = ["net", "norm of the gradient", "norm after clipping", "largest before"]
    columns += [f"in the end: norm at lag {found['lag']}", "loss"]
    rows = []
    for of in found["descent"]:
        limit = "not clipped" if of["clip"] is None else f"clipped to {of['clip']:g}"
        before, after = to_arrays(of["before"]), to_arrays(of["after"])
        last = np.nan_to_num(to_arrays(of["loss"])[:, -1], nan=np.inf)
        values = [median(before[:, 0]), median(after[:, 0]), median(np.nanmax(before, axis=1))]
        values += [median(np.array(of["lagged"], float))]
        loss = float(np.median(last))
        rows.append([f"{of['net']}, {limit}", *map(format_power, values), format_loss(loss)])
    steps = len(found["descent"][0]["before"][0])
    title = (
        f"{steps} steps of plain gradient descent from a spectral radius of {found['radius']:g}: "
        "the first step, the largest, and the last (medians of the seeds)"
    )
    return title, columns, rows


def to_arrays(curves: list[list[float | None]]) -> np.ndarray:
    """Curves of JSON as ``[seeds, T]``, with NaN for None."""
    return np.array(curves, float)


def median(values: np.ndarray) -> float:
    """The median of those that are finite; NaN if none are."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def format_power(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.3g}" if 0.01 <= value < 1e4 else f"{value:.0e}"


def format_loss(loss: float) -> str:
    return f"{loss:.2f}" if np.isfinite(loss) else "diverged"


def format_rates(rates: np.ndarray) -> str:
    if np.isnan(rates).all():
        return "-"
    low, high = np.nanmin(rates), np.nanmax(rates)
    return f"{np.nanmedian(rates):.3f} [{low:.3f}, {high:.3f}]"


def format_half_life(steps: float) -> str:
    return "-" if np.isnan(steps) else "none" if np.isinf(steps) else f"{steps:.3g}"


def draw(found: dict[str, Any], path: Path) -> None:
    """Writes the figure: at the start, after training, exploding, and clipping."""
    figure = Figure(figsize=(11, 8.2), dpi=150, layout="constrained")
    panels = figure.subplots(2, 2)
    contenders = found["contenders"]
    for panel, when in zip(panels[0], ("start", "trained"), strict=True):
        for name, of in contenders.items():
            most = 2 * sum(of["solved"]) > len(of["solved"])
            thick = 2.6 if when == "trained" and most else 1.5
            draw_curves(panel, to_arrays(of[when]), *STYLES[name], width=thick, label=name)
        label_lags(panel, found["lag"])
    panels[0, 0].set_title("(a) at the start", loc="left", fontsize=11)
    panels[0, 1].set_title("(b) after training; thick: most seeds solve the task", loc="left",
                           fontsize=11)  # fmt: skip
    draw_exploding(panels[1, 0], found)
    draw_descent(panels[1, 1], found["descent"])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
    save_figure(figure, path)


def draw_curves(
    panel: Axes, curves: np.ndarray, colour: str, dashes: Any, *, width: float = 1.6,
    label: str | None = None,
) -> None:  # fmt: skip
    """The median of the seeds ``[seeds, T]`` against lag, and their range."""
    valid = curves[~np.isnan(curves).any(axis=1)]
    if not len(valid):
        return
    lags = np.arange(curves.shape[1])
    panel.plot(lags, np.median(valid, axis=0), color=colour, linestyle=dashes, linewidth=width,
               label=label)  # fmt: skip
    panel.fill_between(lags, valid.min(axis=0), valid.max(axis=0), color=colour, alpha=0.13,
                       linewidth=0)  # fmt: skip


def label_lags(panel: Axes, lag: int) -> None:
    panel.set_yscale("log")
    panel.set_ylim(FLOOR, CEILING)
    panel.set_xlim(0, lag)
    panel.axhline(1, color="0.35", linewidth=0.8, zorder=0)
    panel.set_xlabel("lag k in steps")
    panel.set_ylabel(r"$\|\partial\,$loss$/\partial s_{T-k}\|$, relative to lag 0")
    style_panel(panel)


def draw_exploding(panel: Axes, found: dict[str, Any]) -> None:
    """Curves of nets with scaled weights, before clipping and after it."""
    largest = 1.0
    for i, (name, of) in enumerate(found["exploding"].items()):
        colour = STYLES[name.partition(",")[0]][0]
        short = name.replace(" RNN", "")
        curves, factors = to_arrays(of["start"]), np.array(of["factors"])
        scaled = i % 2 == 1  # after the one of radius 1
        draw_curves(panel, curves, colour, "-" if scaled else (0, (1, 1.5)), label=short)
        if scaled and (factors < 1).any():
            clipped = np.nanmedian(curves * factors[:, None], axis=0)
            panel.plot(clipped, color=colour, linestyle="--", label=f"{short}, clipped")
        largest = max(largest, float(np.nanmax(curves)))
    label_lags(panel, found["lag"])
    panel.set_ylim(1e-10, 1e4 * largest)
    panel.set_title("(c) RNNs, recurrent weights scaled up, at the start", loc="left", fontsize=11)
    panel.legend(frameon=False, fontsize=9, loc="upper left", ncols=2)


def draw_descent(panel: Axes, descent: list[dict[str, Any]]) -> None:
    """The norm of each step of gradient descent of the first net, with and without clipping."""
    free, clipped = (of for of in descent if of["net"] == descent[0]["net"])
    steps = np.arange(1, len(free["before"][0]) + 1)
    lines = (
        (free["before"], "#D55E00", "-", "never clipped"),
        (clipped["before"], "#0072B2", "-", "before clipping"),
        (clipped["after"], "#0072B2", "--", f"after clipping to {clipped['clip']:g}"),
    )
    for runs, colour, dashes, label in lines:
        for i, run in enumerate(to_arrays(runs)):
            panel.plot(steps, run, color=colour, linestyle=dashes, linewidth=1.3, alpha=0.8,
                       label=label if i == 0 else None)  # fmt: skip
            valid = np.flatnonzero(~np.isnan(run))
            if 0 < len(valid) < len(run):  # the next one is not finite
                panel.plot(steps[valid[-1]], run[valid[-1]], "x", color=colour, markersize=8)
    panel.set_yscale("log")
    panel.set_xlabel("step of gradient descent")
    panel.set_ylabel("global norm of the gradient")
    panel.set_title(f"(d) clipping: {free['net']} of (c), one line per seed", loc="left",
                    fontsize=11)  # fmt: skip
    panel.legend(frameon=False, fontsize=9)
    style_panel(panel)
