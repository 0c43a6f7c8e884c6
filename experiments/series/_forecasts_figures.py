"""What the studies of series show besides the table: scores by block, and forecasts with bands."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.harness.report.curves import draw_legend
from experiments.harness.report.style import assign_styles, style_panel
from experiments.harness.run.study import Findings, Results
from experiments.series import _forecasts
from experiments.series._forecasts import COVERAGE, LEVELS, MASE, MEDIAN, Problem

DIGITS = 3


def find(
    results: Results,
    *,
    problem: Problem,
    dates: np.ndarray,
    shown: Sequence[str],
    last: int,
) -> Findings:
    """The scores of each block, how often each quantile holds, and the end of the test part.

    Args:
        results: of a study of ``problem``.
        problem: the series.
        dates: ``[T]`` of its steps.
        shown: the entries whose forecasts are drawn, each in a panel.
        last: how many steps of the test part are drawn, at most.
    """
    tables = [by_block(results, problem), calibration(results, problem)]
    figures = {"forecasts": draw_forecasts(results, problem, dates, shown, last)}
    if len(problem.horizons) > 1:
        tables = [*(of_horizon(results, problem, h) for h in problem.horizons), *tables]
        figures["error by horizon"] = draw_horizons(results, problem)
    return Findings((), tables, figures)


def of_horizon(
    results: Results, problem: Problem, horizon: int
) -> tuple[str, list[str], list[list[str]]]:
    """All scores at a horizon, the medians over seeds."""
    names = [problem.point_name, "pinball", MASE, COVERAGE]
    columns, rows = [problem.column(name, horizon) for name in names], []
    for entry in results.study.entries:
        scores = [_forecasts.score(problem, one) for one in read_all(results, entry.name)]
        if scores:
            middle = [np.median([one[column] for one in scores]) for column in columns]
            rows.append([entry.name, *(f"{value:.{DIGITS}f}" for value in middle)])
    return f"{horizon} {problem.time} ahead", ["entry", *columns], rows


def by_block(results: Results, problem: Problem) -> tuple[str, list[str], list[list[str]]]:
    """The point score of each block and horizon, the median over seeds."""
    splits = problem.splits()
    columns, rows = ["entry"], []
    for number in range(len(splits)):
        for horizon in problem.horizons:
            at = f", {horizon} {problem.time}" if len(problem.horizons) > 1 else ""
            columns.append(f"block {number + 1}{at}")
    for entry in results.study.entries:
        cells = []
        trials = read_all(results, entry.name)
        for _, steps in splits:
            part = slice(steps[0] - problem.test, steps[-1] + 1 - problem.test)
            wanted = problem.target[steps]
            for column in range(len(problem.horizons)):
                values = [_forecasts.point_score(problem, one[part, column, 0], wanted)
                          for one in trials]  # fmt: skip
                cells.append(f"{np.median(values):.{DIGITS}f}" if values else "-")
        rows.append([entry.name, *cells])
    return f"{problem.point_name} by block", columns, rows


def calibration(results: Results, problem: Problem) -> tuple[str, list[str], list[list[str]]]:
    """The share of the test part at or below each quantile, the mean over seeds and horizons."""
    wanted = problem.target[problem.test :]
    known, rows = np.isfinite(wanted), []
    for entry in results.study.entries:
        trials = read_all(results, entry.name)
        if trials:
            quantiles = np.array(trials)[:, known, :, 1:]  # [seeds, N, K, Q]
            below = (wanted[known, None, None] <= quantiles).mean(axis=(0, 1, 2))
            rows.append([entry.name, *(f"{share:.3f}" for share in below)])
    columns = ["entry", *(f"{level:g}" for level in LEVELS)]
    return "Share of observations at or below each quantile", columns, rows


def draw_forecasts(
    results: Results, problem: Problem, dates: np.ndarray, shown: Sequence[str], last: int
) -> Figure:
    """Observations, medians and the 50 % and 90 % intervals, of the last steps of the test part
    and of the farthest horizon; of nets those of the first seed."""
    styles = assign_styles(list(shown))
    figure = Figure(figsize=(8.4, 0.8 + 2.4 * len(shown)), dpi=150, layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    count = len(problem.target)
    last = min(last, count - problem.test)
    at = dates[count - last : count]
    observed = problem.to_unit(problem.target[-last:])
    ahead = f", {problem.horizons[-1]} {problem.time} ahead" if len(problem.horizons) > 1 else ""
    for panel, name in zip(panels, shown, strict=True):
        panel.plot(at, observed, ".", color="0.2", markersize=3, label="observed")
        trials = read_all(results, name)
        if trials:
            colour, _ = styles[name]
            values = problem.to_unit(trials[0][-last:, -1])
            panel.plot(at, values[:, MEDIAN], color=colour, linewidth=1, label="median")
            for first, alpha, label in ((2, 0.3, "50 % interval"), (1, 0.15, "90 % interval")):
                panel.fill_between(at, values[:, first], values[:, -first], color=colour,
                                   alpha=alpha, linewidth=0, label=label)  # fmt: skip
        panel.set_title(name + ahead, loc="left", fontsize=10)
        panel.set_ylabel(problem.unit)
        style_panel(panel)
    panels[-1].tick_params(axis="x", labelrotation=20)
    draw_legend(figure, panels[:1])
    return figure


def draw_horizons(results: Results, problem: Problem) -> Figure:
    """The point score against the horizon, as a share of the first entry's; without the other
    baselines, which are far above it."""
    first, *others = results.study.entries
    names = [first.name, *(entry.name for entry in others if entry.kind != "baseline")]
    styles = assign_styles(names)
    figure = Figure(figsize=(6.4, 4.4), dpi=150, layout="constrained")
    panel = figure.subplots()
    columns = [problem.column(problem.point_name, horizon) for horizon in problem.horizons]
    scores = {name: np.array([np.nanmedian(results.scores(name, column)) for column in columns])
              for name in names}  # fmt: skip
    for name, values in scores.items():
        colour, dashes = styles[name]
        panel.plot(problem.horizons, values / scores[first.name], color=colour, linestyle=dashes,
                   marker="o", markersize=3, label=name)  # fmt: skip
    panel.set_xscale("log")
    panel.set_xticks(problem.horizons, [str(horizon) for horizon in problem.horizons])
    panel.minorticks_off()
    panel.set(
        xlabel=f"horizon in {problem.time}",
        ylabel=f"{problem.point_name} / that of the {first.name}",
    )
    panel.legend(fontsize=8, frameon=False, loc="lower left")
    style_panel(panel)
    return figure


def read_all(results: Results, entry: str) -> list[np.ndarray]:
    """The forecasts of all trials of an entry that did not diverge."""
    seeds = results.study.entry(entry).seeds
    kept = [seed for seed in seeds if results.trials[entry, seed]["diverged"] is None]
    return [results.arrays(entry, "forecasts", seed)["forecasts"] for seed in kept]
