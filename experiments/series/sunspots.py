"""Monthly sunspot numbers, one month ahead: nets beside autoregressions.

    LSTM_JAX_DATA=FOLDER python -m experiments sunspots

The last 564 of 2,820 months are forecast, in three blocks, before each of which every row but one
is fitted anew to all that came before. Nets see the square roots of the last 24 months, whose noise
is about the same at all heights of the cycle, and add to the last value.

What nets see, add to and how they are trained was chosen with --validate, which forecasts the 564
months before the test part. An autoregression of 24 months has an RMSE of 13.88 there. Tried with a
GRU, the median of 3 to 5 seeds: 16 units at a learning rate of 3e-3 (13.82) and 1e-3 (13.79), 32
units at 1e-3 (13.65); with 16 units also the numbers themselves for square roots (13.82), 36 months
(13.78) and 48 (13.87), outputs that stand alone (13.79) or are added to the autoregression (13.83),
the Huber loss (13.80), dropout of 0.2 (13.76).

Expect, in 4 minutes on two cores: an AR(24) at 18.2, nets at about that, a hybrid a little below
it, and quantiles that are better than the autoregression's, whose band is as wide in quiet years as
in active ones.
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
TEST = 564  # months


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    size: int = 32
    length: int = 24
    """Months that a net sees before each forecast."""
    learning_rate: float = 1e-3


def studies(config: Config) -> list[Study]:
    table = data.sunspots()
    spots = table.column("sunspots")
    test = len(spots) - TEST
    problem = Problem(spots, np.sqrt(spots)[:, None], test, config.blocks, "spots")
    if config.validate:
        problem = problem.validation()
    last = Rule("last value", "baseline", series.last_value(), spots)
    linear = Rule("AR(24)", "linear", series.linear(24), spots)
    rules = [
        last,
        Rule("seasonal naive (132)", "baseline", series.seasonal_naive(132), spots),
        linear._replace(name="AR(24), fitted once", refit=False),
        linear,
    ]
    entries = [_forecasts.rule_entry(problem, rule) for rule in rules]
    entries += _nets.entries(problem, config, last, hybrid=linear)
    return [
        Study(
            "sunspots",
            _forecasts.describe_split(problem, "months"),
            problem.columns(),
            entries,
            {"series": spots},
            findings=functools.partial(
                _forecasts_figures.find, problem=problem, dates=table.dates,
                shown=["AR(24)", config.cells[0]], last=280,
            ),
        )
    ]  # fmt: skip
