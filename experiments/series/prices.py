"""The S&P 500: why a high R² on prices means nothing, and volatility, which can be forecast.

    LSTM_JAX_DATA=FOLDER python -m experiments prices

Both studies forecast the 924 trading days from 2015 on, one day ahead, in three blocks, before each
of which every row is fitted anew to all that came before.

Closing prices: the random walk says that tomorrow's close is today's. Its R² is 0.996, since the
closes of four years spread much wider than they move in a day; a model that says the same plus some
noise has an R² of 0.99 too. What counts is the R² of returns, and there nothing here is better than
their mean.

Volatility: the variance of a day from its high and low (Parkinson 1980), scored by QLIKE, which is
least in expectation for the true variance although the range is a noisy estimate of it (Patton
2011). Log-HAR with logarithms of means is as published (Andersen, Bollerslev & Diebold 2007); with
means of logarithms it is a little worse. Quantiles are shown as volatilities in percent a year.

What nets add to and see was chosen with --validate, which forecasts the last quarter of the days
before 2015, where log-HAR has a QLIKE of 0.387. Tried with a GRU, the median of 3 seeds: outputs
that are added to EWMA (0.361), to the mean (0.349) or to log-HAR (0.356); with the mean, 44 days
for 22 (0.353), a learning rate of 1e-3 for 3e-3 (0.351), 8 units for 16 (0.357), and an LSTM for
the GRU (0.360).

Expect, in 3 minutes on two cores: returns that cannot be forecast, but whose spread can, and nets
that do as well as log-HAR or a little better.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from experiments.harness.run.study import Column, Study
from experiments.series import _forecasts, _forecasts_figures, _nets
from experiments.series._forecasts import Budget, Problem, Rule
from lstm_jax.tasks import series as data
from lstm_jax.tasks.series import Series
from lstm_jax.train import metrics, series

TIME = "3 min"
TEST = np.datetime64("2015-01-01")
POINTS, R2_PRICES, R2_RETURNS = "RMSE of closes in points", "R² of closes", "R² of returns"


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    length: int = 22
    """Trading days that a net sees before each forecast."""
    epochs: int = 40


def studies(config: Config) -> list[Study]:
    table = data.sp500()
    return [returns_study(config, table), volatility_study(config, table)]


def logs_of(table: Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns in percent, the first of them 0, and the variance of each day and its logarithm."""
    returns = 100 * np.diff(np.log(table.column("close")), prepend=np.log(table.column("close"))[0])
    variance = series.parkinson(table.column("high"), table.column("low"))
    return returns, variance, np.log(variance)


def returns_study(config: Config, table: Series) -> Study:
    returns, _, log_variance = logs_of(table)
    closes = table.column("close")
    test = int(np.flatnonzero(table.dates >= TEST)[0])
    features = np.stack([returns, np.abs(returns), log_variance], axis=1)

    def of_closes(forecasts: np.ndarray) -> dict[str, float]:
        steps = np.arange(problem.test, len(problem.target))
        said = forecasts[:, 0, 0]
        found = closes[steps - 1] * np.exp(said / 100)
        of_prices = metrics.measure(["rmse", "r2"], found, closes[steps])
        of_returns = metrics.measure("r2", said, returns[steps])
        return {
            POINTS: of_prices["rmse"],
            R2_PRICES: of_prices["r2"],
            R2_RETURNS: of_returns["r2"],
        }

    columns = (Column(R2_PRICES, True, 4), Column(R2_RETURNS, True, 4), Column(POINTS, False, 2))
    problem = Problem(
        returns, features, test, config.blocks, "%", further=(columns, of_closes)
    )  # fmt: skip
    if config.validate:
        problem = problem.validation()
    zero = Rule("random walk", "baseline", constant("random walk", lambda values: 0.0), returns)
    rules = [
        zero,
        Rule("mean return", "baseline", constant("mean", np.mean), returns),
        Rule("AR(20)", "linear", series.linear(20), returns),
    ]
    entries = [_forecasts.rule_entry(problem, rule) for rule in rules]
    entries += _nets.entries(problem, dataclasses.replace(config, cells=config.cells[:1]), zero)
    return Study(
        "closing prices",
        _forecasts.describe_split(problem, "trading days"),
        problem.columns(),
        entries,
        {"series": table.values},
        findings=functools.partial(
            _forecasts_figures.find, problem=problem, dates=table.dates,
            shown=["AR(20)", config.cells[0]], last=250,
        ),
    )  # fmt: skip


def constant(name: str, of_training: Callable[[np.ndarray], float]) -> series.Baseline:
    """The same forecast for all steps, from the targets of the training part."""

    def fit(part: series.Part, targets: np.ndarray) -> float:
        return float(of_training(targets[np.isfinite(targets)]))

    def apply(fitted: float, part: series.Part, origins: np.ndarray) -> np.ndarray:
        return np.full(len(origins), fitted)

    return series.Baseline(name, fit, apply, lambda horizon: 0)


def volatility_study(config: Config, table: Series) -> Study:
    returns, variance, log_variance = logs_of(table)
    volume = np.log(table.column("volume"))
    test = int(np.flatnonzero(table.dates >= TEST)[0])
    columns = [log_variance, returns, np.abs(returns), np.diff(volume, prepend=volume[:1])]
    problem = Problem(
        log_variance, np.stack(columns, axis=1), test, config.blocks, "% a year",
        to_unit=yearly_percent, point="qlike",
    )  # fmt: skip
    if config.validate:
        problem = problem.validation()
    har = series.log_har()
    linear = Rule("log-HAR", "linear", har, variance, np.log)
    logs = Rule("log-HAR, means of logs", "linear", series.log_har(mean_of_logs=True), variance,
                np.log)  # fmt: skip
    rules = [
        Rule("last value", "baseline", series.last_value(), variance, np.log),
        Rule("EWMA (0.94)", "baseline", series.ewma(0.94), variance, np.log),
        logs._replace(name=f"{logs.name}, fitted once", refit=False),
        linear._replace(name=f"{linear.name}, fitted once", refit=False),
        logs,
        linear,
    ]
    entries = [_forecasts.rule_entry(problem, rule) for rule in rules]
    mean = Rule("mean", "baseline", constant("mean", np.mean), log_variance)
    entries += _nets.entries(problem, config, mean, hybrid=linear)
    return Study(
        "volatility",
        _forecasts.describe_split(problem, "trading days"),
        problem.columns(),
        entries,
        {"series": table.values},
        findings=functools.partial(
            _forecasts_figures.find, problem=problem, dates=table.dates,
            shown=[linear.name, config.cells[0]], last=250,
        ),
    )  # fmt: skip


def yearly_percent(log_variance: np.ndarray) -> np.ndarray:
    """The volatility in percent a year of the logarithm of a day's variance."""
    return 100 * np.sqrt(252 * np.exp(log_variance))
