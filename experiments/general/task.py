"""Cells of your choice on tasks of your choice, registered here or in files of your own.

    python -m experiments task "delayed_recall(delay=20)" --cells lstm gru attention
    python -m experiments task my_task --load my_task.py --cells lstm gru --steps 2000

docs/how_to/add_a_task.md leads from the file of a task to a trained cell. All cells have the same
number of parameters. The learning rate of each is the one that a sweep chose; if there is none, the
cell is trained at three rates, and the best on validation data is reported.

Expect, with the defaults (three cells, two seeds, 1,000 steps of 32 sequences) on two cores: about
one minute per 50 time steps of the sequences.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import tyro

from experiments.harness.run.jobs import slug
from experiments.harness.run.learning_rates import ChosenRate, nearest_rates
from experiments.harness.run.lengths import require_lengths, score_by_length
from experiments.harness.run.setting import Budget, Setting, make_task
from experiments.images import digits
from experiments.memory import adding
from lstm_jax import tasks
from lstm_jax._internal.errors import WrongValue

TIME = "1 min"


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Tasks, by their names in lstm_jax.tasks.registry, with options in brackets, as in
    "adding(length=50)"."""
    cells: tuple[str, ...] = ("lstm", "gru", "rnn")
    lengths: tuple[int, ...] = ()
    """Further lengths at which the trained cells are tested, for tasks that have test_at."""
    seeds: int = 2

    @property
    def options(self) -> dict[str, Any]:
        return {**super().options, **({"lengths": list(self.lengths)} if self.lengths else {})}


def settings(config: Config) -> list[Setting]:
    if not config.names:
        raise WrongValue(
            "names: expected the name of at least one task, got none; "
            "python -m experiments tasks shows them all"
        )
    further = functools.partial(score_by_length, config.lengths) if config.lengths else None
    made = []
    for text in config.names:
        task = make_task(text, "names")
        if config.lengths:
            require_lengths(config.lengths, task)
        without_criterion = config.until_solved and task.success is None
        budget = dataclasses.replace(config, until_solved=False) if without_criterion else config
        made.append(Setting(task, budget, chosen_rates(text), further=further))
    return made


def chosen_rates(text: str) -> Mapping[str, float | ChosenRate]:
    """The rates that sweeps chose for the task, or for the same task at another length."""
    name, options = tasks.parse(text)
    if name == "adding" and not options.get("variable", False):
        return nearest_rates(adding.RATES, options.get("length", 100))
    return digits.RATES if name == "digits" and not options else {}


def run_name(config: Config) -> str:
    """The name of the run folder; each choice of tasks has its own."""
    return "_".join(["task", *map(slug, config.names)])
