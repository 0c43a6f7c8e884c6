"""Which cell remembers longest? A fair share of every kind of task, in one table and one figure.

    python -m experiments suite --budget 30m

Every cell gets the same number of parameters and, for all seeds together, the same seconds of
training on each task; a run ends when it solves its task. The rate of Adam is 0.01, and 0.001 for
cells without gates, as the sweeps on adding and digits chose. If several rates are given
(--learning-rate 0.003 0.01), they share the seconds, and the best on validation data is reported.

The tasks: memory at growing lags (delayed recall; copying and adding, Arjovsky, Shah & Bengio
2016), recall by content (selective copying, Gu & Dao 2023; associative recall, Arora et al. 2023),
state tracking (parity, Deletang et al. 2022; a word problem, Merrill et al. 2024), and real digits
pixel by pixel. Published numbers are from far larger budgets; see the experiments on single tasks.

To add a cell or a task of your own, load a file that registers it, and give its name:

    python -m experiments suite --load my_cell.py my_task.py --cells lstm my_cell --tasks my_task

Expect, in 22 minutes on two cores (results in experiments/results/suite): attention remembers
longest, up to the end of its window, but does not track state. Among the cells with a state of
fixed size, the sLSTM remembers longest, and it tracks states as LSTM, GRU and tanh RNN do.
"""

import dataclasses
import re

import lstm_jax as lj
from experiments.harness.run.learning_rates import ChosenRate
from experiments.harness.run.setting import Budget, Setting, make_task
from lstm_jax._internal import calls
from lstm_jax._internal.errors import WrongValue

TIME = "22 min"

# Tasks and their lags, which replace {}.
LAG_TASKS = {
    "delayed_recall(delay={})": (30, 100, 300),
    "copy_memory(length={})": (10, 50),
    "adding(length={})": (50, 200),
}
OTHER_TASKS = (
    "selective_copy(length=64, tokens=8)",
    "associative_recall(length=32, pairs=4, vocabulary=16)",
    "parity",
    "word_problem(group='S3')",
    "digits",
)
# The overhead of each contender besides its seconds of training, on two cores.
COMPILING = 6.0  # seconds
MEASURING = 0.25  # of the training
DEFAULT_BUDGET = "30m"
RATE, UNGATED = 1e-2, {"rnn": 1e-3, "irnn": 1e-3}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    budget: str | None = None
    """Time for everything, such as 90s, 30m or 2h; 30m if none of it, --seconds and --steps is
    given."""
    tasks: tuple[str, ...] = ()
    """Tasks to replace the suite's, by their names in lstm_jax.tasks.registry, with options in
    brackets."""
    steps: int = 0
    """Training steps of each contender, instead of a time; 0: as many as fit in the time."""
    cells: tuple[str, ...] = ("lstm", "gru", "rnn", "slstm", "lru", "attention")
    seeds: int = 2
    every: int = 50
    until_solved: bool = True


def settings(config: Config) -> list[Setting]:
    named: list[tuple[str, int | None]] = [(task, None) for task in config.tasks]
    if not named:
        named = [(text.format(lag), lag) for text, lags in LAG_TASKS.items() for lag in lags]
        named += [(task, None) for task in OTHER_TASKS]
    made = [(make_task(text), lag) for text, lag in named]
    budget: Budget = config
    if config.steps and config.budget is not None:
        raise WrongValue(
            f"steps: expected either steps or a budget, got {config.steps} and {config.budget}"
        )
    if config.budget is not None and config.seconds is not None:
        raise WrongValue(
            f"budget: expected either a budget or seconds, got {config.budget} and "
            f"{config.seconds:g} s"
        )
    if not config.steps:
        budget = dataclasses.replace(config, steps=Budget.steps)  # unused beside seconds
    if config.seconds is None and not config.steps:
        total = DEFAULT_BUDGET if config.budget is None else config.budget
        each = parse_seconds(total) / (len(made) * max(len(config.cells), 1))
        each = (each - COMPILING) / (1 + MEASURING)
        if each <= 0:
            raise WrongValue(
                f"budget: expected more than {COMPILING:g} s for each of {len(made)} tasks "
                f"and {len(config.cells)} cells, got {total}"
            )
        budget = dataclasses.replace(budget, seconds=round(each, 1))
    rates = {cell: suite_rate(cell) for cell in config.cells}
    settings = []
    for task, lag in made:
        without_criterion = budget.until_solved and task.success is None
        of_task = dataclasses.replace(budget, until_solved=False) if without_criterion else budget
        settings.append(Setting(task, of_task, rates, lag=lag))
    return settings


def suite_rate(cell: str) -> float | ChosenRate:
    """The suite's rate for the cell. Raises ValueError if it is not registered."""
    name, options = calls.parse("cells", cell, lj.cells.registry)
    if name in UNGATED:
        return ChosenRate(UNGATED[name], f"chosen for {name}" if options else "")
    if name in Config.cells:
        return ChosenRate(RATE, f"chosen for {name}" if options else "")
    return ChosenRate(
        RATE,
        f"{RATE:g}, the suite's rate for all cells but plain RNNs, since no sweep has chosen one",
    )


def parse_seconds(text: str) -> float:
    """The seconds in a time such as "30m". Raises ValueError if ``text`` is not a time."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or float(found[1]) <= 0:
        raise WrongValue(f"budget: expected a time such as 90s, 30m or 2h, got {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
