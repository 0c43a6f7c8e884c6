"""Passengers of airlines, one month ahead: a series of 144 months, too short for nets.

    LSTM_JAX_DATA=FOLDER python -m experiments airline

The last 48 months are forecast, in four blocks of a year, before each of which every row but one is
fitted anew to all that came before. All is done in logarithms, whose forecasts are those of the
median rather than of the mean. Nets see 13 months of growth, from month to month and from year to
year, and add to the value of a year before.

What nets see and add to was chosen with --validate, which forecasts the 24 months before the test
part, where an autoregression of the changes of 12 months has an RMSE of 8.6. Tried: monthly growth
alone, with outputs added to the last value (16.2) or to the autoregression (8.4); yearly growth
too, added to the last value (18.3) or to that of a year before (7.9); with the month of the year
(9.6). With so few months these numbers say little, and what was best there is not best on the test
part.

Expect, in a minute on two cores: an autoregression at 15 thousand that no net comes below. Nets
that learn from 100 numbers have little to add to it.
"""

import dataclasses
import functools

import numpy as np

from experiments.harness.run.study import Study
from experiments.series import _forecasts, _forecasts_figures, _nets
from experiments.series._forecasts import Budget, Problem, Rule
from lstm_jax.tasks import series as data
from lstm_jax.train import series

TIME = "1 min"
TEST = 48  # months


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    size: int = 8
    length: int = 13
    """Months that a net sees before each forecast."""
    epochs: int = 150
    """The most passes through the training data; training stops earlier by a held-out part."""
    blocks: int = 4
    """Blocks of the test part, one year each, before which everything is fitted anew."""


def studies(config: Config) -> list[Study]:
    table = data.airline()
    passengers = table.column("passengers")
    logs = np.log(passengers)
    monthly = np.diff(logs, prepend=logs[0])
    yearly = np.concatenate([np.zeros(12), logs[12:] - logs[:-12]])
    problem = Problem(
        logs, np.stack([monthly, yearly], axis=1), len(logs) - TEST, config.blocks, "thousands",
        to_unit=np.exp, season=12,
    )  # fmt: skip
    if config.validate:
        problem = problem.validation()
    last = Rule("last value", "baseline", series.last_value(), logs)
    seasonal = Rule("seasonal naive (12)", "baseline", series.seasonal_naive(12), logs)
    linear = Rule("AR(12) of changes of logs", "linear", series.linear(12, changes=True), logs)
    rules = [
        last,
        seasonal,
        linear._replace(name=f"{linear.name}, fitted once", refit=False),
        linear,
    ]
    entries = [_forecasts.rule_entry(problem, rule) for rule in rules]
    entries += _nets.entries(problem, config, seasonal, hybrid=linear, batch_size=16, patience=20)
    return [
        Study(
            "airline",
            _forecasts.describe_split(problem, "months"),
            problem.columns(2),
            entries,
            {"series": passengers},
            findings=functools.partial(
                _forecasts_figures.find, problem=problem, dates=table.dates,
                shown=[linear.name, config.cells[0]], last=TEST,
            ),
        )
    ]  # fmt: skip
