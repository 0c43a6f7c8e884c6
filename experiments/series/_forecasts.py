"""What the studies of series share: a test part in blocks, simple rules, and scores.

The test part is the end of the series. It is cut into blocks, and before each block everything is
fitted anew to all that came before it. Forecasts are ``[N, K, 1 + Q]`` of the N steps of the test
part at K horizons: a point forecast, trained for the mean, and quantiles at the levels ``LEVELS``,
whose middle one, the median, is the point forecast where absolute errors are measured.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from experiments.harness.run.study import Column, Entry, Trial
from lstm_jax.train import metrics, series

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MEDIAN = 1 + LEVELS.index(0.5)  # where it stands among the forecasts
MASE, COVERAGE = "MASE", "coverage of 90 %"


@dataclasses.dataclass(frozen=True)
class Budget:
    """Options that the studies of series share."""

    cells: tuple[str, ...] = ("gru", "lstm")
    """Cells, by their names in lj.cells.registry; the first is also averaged, and added to AR."""
    size: int = 16
    """Hidden size."""
    length: int = 30
    """Steps that a net sees before each forecast."""
    learning_rate: float = 3e-3
    """Rate of Adam."""
    weight_decay: float = 1e-4
    epochs: int = 60
    """The most passes through the training data; training stops earlier by a held-out part."""
    seeds: int = 5
    """Trials of each net."""
    blocks: int = 3
    """Blocks of the test part, before each of which everything is fitted anew."""
    validate: bool = False
    """Leave the test part out and forecast the last quarter of the rest: to choose options."""


class Problem(NamedTuple):
    """A series, what is forecast of it, and from what.

    target: ``[T]``, perhaps transformed, as by a logarithm; NaN where nobody knows it.
    features: ``[T, D]`` what nets see, without NaN, not yet scaled. Row t is known at step t.
    test: the first step of the test part.
    blocks: into how many it is cut.
    unit: of the scores.
    horizons: K numbers of steps, rising.
    to_unit: from the target to its unit; a rising function.
    point: what the point forecast is trained for and scored by: "rmse", in the unit; or "qlike",
        for a target that is the logarithm of a variance.
    time: the unit of a step, for the names of columns if there are several horizons.
    season: the steps after which the naive forecast of the MASE repeats a value.
    further: more columns, and ``(forecasts) -> scores`` of them.
    """

    target: np.ndarray
    features: np.ndarray
    test: int
    blocks: int
    unit: str
    horizons: tuple[int, ...] = (1,)
    to_unit: Callable[[np.ndarray], np.ndarray] = np.asarray
    point: str = "rmse"
    time: str = "steps"
    season: int = 1
    further: tuple[tuple[Column, ...], Callable[[np.ndarray], dict[str, float]]] | None = None

    def splits(self) -> list[tuple[int, np.ndarray]]:
        """The first step of each block, and all its steps."""
        count = len(self.target)
        step = math.ceil((count - self.test) / self.blocks)
        splits = series.expanding_splits(count, first=self.test, step=step)
        return [(len(before), steps) for before, steps in splits]

    def column(self, name: str, horizon: int) -> str:
        """The name of a score's column."""
        unit = f" in {self.unit}" if name in ("RMSE", "pinball") else ""
        at = f" at {horizon} {self.time}" if len(self.horizons) > 1 else ""
        return f"{name}{at}{unit}"

    @property
    def point_name(self) -> str:
        return self.point.upper()

    def columns(self, digits: int = 3) -> list[Column]:
        """Those of the table; of several horizons only the point score, for want of room."""
        names = [self.point_name]
        names += ["pinball", MASE, COVERAGE] if len(self.horizons) == 1 else []
        found = list(self.further[0]) if self.further is not None else []
        for name in names:
            better = None if name == COVERAGE else False
            places = digits if name in (self.point_name, "pinball") else 3
            found += [Column(self.column(name, h), better, places) for h in self.horizons]
        return found

    def validation(self, share: float = 0.25) -> "Problem":
        """The same without the test part: the last ``share`` of the rest is forecast."""
        test = int(self.test * (1 - share))
        return self._replace(
            target=self.target[: self.test], features=self.features[: self.test], test=test
        )


def describe_split(problem: Problem, steps: str) -> str:
    """The split in a sentence."""
    count = len(problem.target) - problem.test
    return (
        f"Tested on the last {count:,} {steps}, in {problem.blocks} blocks. Before each, all is "
        f"fitted anew to all {steps} before it, but for rows that are fitted once; nets are "
        "stopped by the last 15 % of these."
    )


class Rule(NamedTuple):
    """A simple rule, as a row of the table.

    name: in the table.
    kind: "baseline" or "linear".
    baseline: what makes the forecasts,
    values: ``[T]`` or ``[T, D]`` of this series, whose first column is forecast,
    to_target: as numbers of the problem's target.
    refit: whether it is fitted anew before each block, or once before the test part.
    """

    name: str
    kind: Literal["baseline", "linear"]
    baseline: series.Baseline
    values: np.ndarray
    to_target: Callable[[np.ndarray], np.ndarray] = np.asarray
    refit: bool = True


def score(problem: Problem, forecasts: np.ndarray) -> dict[str, float]:
    """The scores of forecasts ``[N, K, 1 + Q]``, by column."""
    found: dict[str, float] = {}
    wanted = problem.target[problem.test :]
    target = problem.to_unit(wanted)
    known = problem.to_unit(problem.target[: problem.test])
    naive = metrics.mase(known, season=problem.season)
    for at, horizon in enumerate(problem.horizons):
        of_horizon = forecasts[:, at]
        quantiles = problem.to_unit(of_horizon[:, 1:])
        point = point_score(problem, of_horizon[:, 0], wanted)
        spread = metrics.coverage(LEVELS[0], LEVELS[-1], levels=LEVELS)
        of_median = metrics.measure(naive, quantiles[:, MEDIAN - 1], target)
        of_quantiles = metrics.measure([metrics.pinball(LEVELS), spread], quantiles, target)
        values = {
            problem.point_name: point,
            MASE: of_median[naive.name],
            "pinball": of_quantiles["pinball"],
            COVERAGE: of_quantiles[spread.name],
        }
        found |= {problem.column(name, horizon): value for name, value in values.items()}
    return found if problem.further is None else found | problem.further[1](forecasts)


def point_score(problem: Problem, points: np.ndarray, target: np.ndarray) -> float:
    """The RMSE or the QLIKE of point forecasts ``[N]``."""
    if problem.point == "qlike":
        metric = metrics.qlike(log_outputs=True)
        return metrics.measure(metric, points, np.exp(target))[metric.name]
    return metrics.measure("rmse", problem.to_unit(points), problem.to_unit(target))["rmse"]


def rule_by_origin(problem: Problem, rule: Rule, start: int) -> np.ndarray:
    """The rule's forecasts ``[T, K]``, fitted to the steps before ``start``: at [t, k] what it says
    at step t of the step that is ``horizons[k]`` later. NaN where it says nothing."""
    count, aims = len(problem.target), problem.target
    found = np.full((count, len(problem.horizons)), np.nan)
    for at, horizon in enumerate(problem.horizons):
        rows = np.arange(rule.baseline.first_origin(horizon) + horizon, count)
        values = rule.values[:count]
        targets = aims if rule.to_target is np.asarray else None
        found[rows - horizon, at] = rule.to_target(
            series.forecasts(
                rule.baseline, values, train=start, rows=rows, horizon=horizon, targets=targets
            )
        )
    return found


def aims_by_origin(problem: Problem) -> np.ndarray:
    """What is to be forecast ``[T, K]``, as in ``rule_by_origin``."""
    found = np.full((len(problem.target), len(problem.horizons)), np.nan)
    for at, horizon in enumerate(problem.horizons):
        found[:-horizon, at] = problem.target[horizon:]
    return found


def before(by_origin: np.ndarray, problem: Problem, start: int) -> np.ndarray:
    """``by_origin`` with NaN for what is of ``start`` or later."""
    found = by_origin.copy()
    for at, horizon in enumerate(problem.horizons):
        found[max(start - horizon, 0) :, at] = np.nan
    return found


def at_steps(by_origin: np.ndarray, problem: Problem, steps: np.ndarray) -> np.ndarray:
    """What is said of ``steps``, ``[N, K, ...]``."""
    columns = [by_origin[steps - horizon, at] for at, horizon in enumerate(problem.horizons)]
    return np.stack(columns, axis=1)


def forecast_by_rule(problem: Problem, rule: Rule) -> np.ndarray:
    """A rule's forecasts of the test part, with the quantiles of its errors in training."""
    parts, aims = [], aims_by_origin(problem)
    for start, steps in problem.splits():
        fitted_to = start if rule.refit else problem.test
        said = rule_by_origin(problem, rule, fitted_to)
        errors = before(aims - said, problem, fitted_to)
        spread = np.nanquantile(errors, LEVELS, axis=0).T  # [K, Q]
        points = at_steps(said, problem, steps)[..., None]
        parts.append(np.concatenate([points, points + spread], axis=-1))
    return np.concatenate(parts)


def rule_entry(problem: Problem, rule: Rule, parameters: int | None = None) -> Entry:
    """A rule's row."""

    def run(trial: Trial) -> dict[str, float]:
        return save_and_score(problem, forecast_by_rule(problem, rule), trial)

    return Entry(rule.name, rule.kind, run, parameters=parameters)


def save_and_score(problem: Problem, forecasts: np.ndarray, trial: Trial) -> dict[str, float]:
    """The scores in the table of forecasts ``[N, K, 1 + Q]``, which are kept for the figures."""
    trial.save_arrays("forecasts", forecasts=forecasts)
    names = {column.name for column in problem.columns()}
    return {name: value for name, value in score(problem, forecasts).items() if name in names}
