"""Monthly sunspot numbers, one month ahead: nets beside autoregressions.

    LSTM_JAX_DATA=FOLDER python -m experiments sunspots

The last 564 of 2,820 months are forecast, in three blocks, before each of which every row but one
is fitted anew to all that came before. Nets see the square roots of the last 24 months, whose noise
is about the same at all heights of the cycle, and add to the last value.

What nets see and add to was chosen with --validate, which forecasts the 564 months before the test
part. Tried there, with 16 units and a learning rate of 3e-3: square roots (RMSE 13.74) or the
numbers themselves (13.82); 24 months or 48 (13.87, but better quantiles); outputs that stand alone
(13.79), or are added to the last value (13.74) or to the autoregression (13.83); the Huber loss
(13.80). An autoregression of 24 months had 13.88.

Expect, in 5 minutes on two cores: an AR(24) at 18.2, nets a little below it, and quantiles that are
much better than an autoregression's, whose band is as wide in quiet years as in active ones.
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
TEST = 564  # months


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    length: int = 24
    """Months that a net sees before each forecast."""


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
