"""Cells of your choice on tasks of your choice: registered ones, or those that a file brings.

    python -m experiments task "delayed_recall(delay=20)" --cells lstm gru attention
    python -m experiments task my_task --load my_task.py --cells lstm gru --steps 2000

docs/how_to/add_a_task.md goes from the file of a task to a trained cell. All cells have the same
number of parameters. The rate of each is the one that a sweep chose, and where there is none, the
best of three on validation data, so that a cell is trained three times.

Expect, of the defaults (three cells, two seeds, 1,000 steps of 32 sequences) on two cores: about a
minute for every 50 steps of a sequence.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import tyro

from experiments.harness.run.jobs import slug
from experiments.harness.run.learning_rates import ChosenRate, nearest_rates
from experiments.harness.run.lengths import require_lengths, score_by_length
from experiments.harness.run.setting import Budget, Setting, named_task
from experiments.images import digits
from experiments.memory import adding
from lstm_jax import tasks
from lstm_jax._internal.errors import WrongValue

TIME = "1 min"


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Tasks, by their names in lstm_jax.tasks.registry; options in brackets, as in
    "adding(length=50)"."""
    cells: tuple[str, ...] = ("lstm", "gru", "rnn")
    lengths: tuple[int, ...] = ()
    """Lengths at which the trained cells are tested too, of tasks that have test_at."""
    seeds: int = 2

    @property
    def options(self) -> dict[str, Any]:
        return {**super().options, **({"lengths": list(self.lengths)} if self.lengths else {})}


def settings(config: Config) -> list[Setting]:
    if not config.names:
        raise WrongValue(
            "names: expected the name of a task at least, got none; "
            "python -m experiments tasks shows those that there are"
        )
    further = functools.partial(score_by_length, config.lengths) if config.lengths else None
    made = []
    for text in config.names:
        task = named_task(text, "names")
        if config.lengths:
            require_lengths(config.lengths, task)
        unjudged = config.until_solved and task.success is None
        budget = dataclasses.replace(config, until_solved=False) if unjudged else config
        made.append(Setting(task, budget, rates_on(text), further=further))
    return made


def rates_on(text: str) -> Mapping[str, float | ChosenRate]:
    """What sweeps chose for the task, or for the same at another length."""
    name, options = tasks.parse(text)
    if name == "adding" and not options.get("variable", False):
        return nearest_rates(adding.RATES, options.get("length", 100))
    return digits.RATES if name == "digits" and not options else {}


def run_name(config: Config) -> str:
    """Of the run folder: each choice of tasks has its own."""
    return "_".join(["task", *map(slug, config.names)])
