"""Melbourne's minimum temperature, one day ahead: nets beside autoregressions.

    LSTM_JAX_DATA=FOLDER python -m experiments temperatures

The last 730 of 3,650 days are forecast, in three blocks, before each of which every row but one is
fitted anew to all that came before. Nets see 30 days and the day of the year, and add to the last
value; the first cell is also added to the autoregression's forecast, a hybrid.

Size, length, learning rate and what is added to were chosen with --validate, which forecasts the
730 days before the test part. Tried there: a GRU of 8 and 16 units; learning rates of 1e-3, 3e-3
and 1e-2; outputs that stand alone, or are added to the last value or to the autoregression. All
had RMSEs from 2.36 to 2.39, an autoregression of the last 30 days 2.42.

Expect, in 3 minutes on two cores: an AR(30) at 2.21 °C, which the day of the year improves to
2.17, and nets at 2.14.
"""

import dataclasses
import functools

import numpy as np

from experiments.harness.run.study import Study
from experiments.series import _forecasts, _forecasts_figures, _nets
from experiments.series._forecasts import Budget, Problem, Rule
from lstm_jax.tasks import series as data
from lstm_jax.train import series

TIME = "3 min"
TEST = 730  # days


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    pass


def studies(config: Config) -> list[Study]:
    table = data.temperatures()
    celsius, dates = table.column("temperature"), table.dates
    first_days = dates.astype("datetime64[Y]").astype("datetime64[D]")
    phase = 2 * np.pi * ((dates - first_days).astype(int) + 1) / 365  # of the day that follows
    features = np.stack([celsius, np.sin(phase), np.cos(phase)], axis=1)
    problem = Problem(celsius, features, len(celsius) - TEST, config.blocks, "°C")
    if config.validate:
        problem = problem.validation()
    last = Rule("last value", "baseline", series.last_value(), celsius)
    linear = Rule("AR(30)", "linear", series.linear(30), celsius)
    seasons = Rule("AR(30) and day of the year", "linear", series.linear(30, ridge=1.0), features)
    rules = [
        last,
        Rule("seasonal naive (365)", "baseline", series.seasonal_naive(365), celsius),
        linear._replace(name="AR(30), fitted once", refit=False),
        linear,
        seasons,
    ]
    entries = [_forecasts.rule_entry(problem, rule) for rule in rules]
    entries += _nets.entries(problem, config, last, hybrid=linear)
    return [
        Study(
            "temperatures",
            _forecasts.describe_split(problem, "days"),
            problem.columns(),
            entries,
            {"series": celsius},
            findings=functools.partial(
                _forecasts_figures.find, problem=problem, dates=dates,
                shown=["AR(30)", config.cells[0]], last=180,
            ),
        )
    ]  # fmt: skip
