"""Which cell remembers longest: a fair slice of every kind of task, with one table and one figure.

    python -m experiments suite --budget 30m

Every cell gets the same number of parameters and the same seconds of training on each task, all
seeds together; a run ends where it solves its task. Adam's rate is 0.01, and 0.001 for a cell
without gates, as the sweeps of adding and digits chose; of several (--learning-rate 0.003 0.01),
which share the seconds, validation data choose. The tasks: three memories at growing lags (delayed
recall; copying and adding, Arjovsky, Shah & Bengio 2016), recall by content (selective copying, Gu
& Dao 2023; associative recall, Arora et al. 2023), state tracking (parity, Deletang et al. 2022; a
word problem, Merrill et al. 2024), and real digits pixel by pixel. The published numbers stand at
far larger budgets: see the experiments of the single tasks.

A cell or a task from outside joins by a file that registers it, and its name:

    python -m experiments suite --load my_cell.py my_task.py --cells lstm my_cell --tasks my_task

Expect, in 22 minutes on two cores (kept in experiments/results/suite): attention remembers longest,
up to the end of its window, but tracks no state; of the cells with a state of fixed size the sLSTM
remembers longest, and tracks states as LSTM, GRU and tanh RNN do.
"""

import dataclasses
import re

import lstm_jax as lj
from experiments.harness.run.learning_rates import ChosenRate
from experiments.harness.run.setting import Budget, Setting, named_task, told_as
from lstm_jax._internal.errors import WrongValue

TIME = "22 min"

# By the task's text, in which {} is the lag.
LADDERS = {
    "delayed_recall(delay={})": (30, 100, 300),
    "copy_memory(length={})": (10, 50),
    "adding(length={})": (50, 200),
}
OTHERS = (
    "selective_copy(length=64, tokens=8)",
    "associative_recall(length=32, pairs=4, vocabulary=16)",
    "parity",
    "word_problem(group='S3')",
    "digits",
)
# What comes on top of a contender's seconds of training, on two cores.
COMPILING = 6.0  # seconds
MEASURING = 0.25  # of the training
DEFAULT = "30m"
RATE, UNGATED = 1e-2, {"rnn": 1e-3, "irnn": 1e-3}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    budget: str | None = None
    """Time for all: such as 90s, 30m or 2h; 30m where none of it, --seconds and --steps is
    given."""
    tasks: tuple[str, ...] = ()
    """Tasks in place of the suite's, by their names in lstm_jax.tasks.registry, options in
    brackets."""
    steps: int = 0
    """Training steps of each contender, in place of a time; 0: by the time."""
    cells: tuple[str, ...] = ("lstm", "gru", "rnn", "slstm", "lru", "attention")
    seeds: int = 2
    every: int = 50
    until_solved: bool = True


def settings(config: Config) -> list[Setting]:
    named: list[tuple[str, int | None]] = [(task, None) for task in config.tasks]
    if not named:
        named = [(text.format(lag), lag) for text, lags in LADDERS.items() for lag in lags]
        named += [(task, None) for task in OTHERS]
    made = [(named_task(text), lag) for text, lag in named]
    budget: Budget = config
    if config.steps and config.budget is not None:
        raise WrongValue(
            f"steps: expected one of the two, got {config.steps} beside budget, {config.budget}"
        )
    if config.budget is not None and config.seconds is not None:
        raise WrongValue(
            f"budget: expected one of the two, got {config.budget} beside seconds, "
            f"{config.seconds:g}"
        )
    if not config.steps:
        budget = dataclasses.replace(config, steps=Budget.steps)  # which seconds replace
    if config.seconds is None and not config.steps:
        whole = DEFAULT if config.budget is None else config.budget
        each = seconds(whole) / (len(made) * max(len(config.cells), 1))
        each = (each - COMPILING) / (1 + MEASURING)
        if each <= 0:
            raise WrongValue(
                f"budget: expected more than {COMPILING:g} s for each of {len(made)} tasks "
                f"and {len(config.cells)} cells, got {whole}"
            )
        budget = dataclasses.replace(budget, seconds=round(each, 1))
    rates = {cell: rate_of(cell) for cell in config.cells}
    settings = []
    for task, lag in made:
        unjudged = budget.until_solved and task.success is None
        of_task = dataclasses.replace(budget, until_solved=False) if unjudged else budget
        settings.append(Setting(task, of_task, rates, lag=lag))
    return settings


def rate_of(cell: str) -> float | ChosenRate:
    """The suite's rate. Raises ValueError for a cell that is not registered."""
    with told_as("name:", "cells:"):
        name, options = lj.cells.parse(cell)
    if name in UNGATED:
        return ChosenRate(UNGATED[name], f"chosen for {name}" if options else "")
    if name in Config.cells:
        return ChosenRate(RATE, f"chosen for {name}" if options else "")
    return ChosenRate(
        RATE, f"{RATE:g}, the suite's for every cell but a plain RNN, since none was chosen"
    )


def seconds(text: str) -> float:
    """ "30m" as 1800. Raises ValueError for what is no time."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or float(found[1]) <= 0:
        raise WrongValue(f"budget: expected a time such as 90s, 30m or 2h, got {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
