"""What is compared on what: settings, and the jobs they are made of."""

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import lstm_jax as lj
from lstm_jax import checking, train
from lstm_jax.tasks import Task


@dataclasses.dataclass(frozen=True)
class Training:
    """What every contender gets alike. Also the options that all experiments share."""

    seeds: int = 4
    """Runs of each contender, from seeds 0, 1, 2, ...; a multiple of the CPU devices is best."""
    steps: int = 1000
    """Training steps."""
    every: int = 100
    """Steps in one compiled call, and between two measurements on validation data."""
    batch_size: int = 32
    """Sequences in a training batch."""
    clip: float = 1.0
    """Largest global norm of a gradient."""
    learning_rate: float | None = None
    """Adam's learning rate for all contenders; none: the rate that --sweep chose for each."""

    @property
    def contenders(self) -> tuple[str, ...]:
        """The names of what is compared."""
        raise TypeError(f"{type(self).__name__} does not say what is compared")

    @property
    def options(self) -> dict[str, Any]:
        """What decides the numbers of every contender besides the above, by name, as JSON."""
        return {}


@dataclasses.dataclass(frozen=True)
class Budget(Training):
    """Cells at equal parameter counts."""

    cells: tuple[str, ...] = ("lstm", "gru", "rnn", "irnn")
    """Cells to compare, by their names in lj.cells.registry."""
    parameters: int = 4500
    """Parameters of each model, readout included; the hidden size that comes nearest is taken."""

    @property
    def contenders(self) -> tuple[str, ...]:
        return self.cells


def cell_model(task: Task, budget: Budget, cell: str) -> train.Model:
    """The cell at the hidden size that comes nearest to the parameter count, with a readout."""
    checking.positive_int("parameters", budget.parameters)
    checking.choice("cells", cell, lj.cells.registry)
    size = size_for(cell, budget.parameters, task.input_size, task.output_size)
    cell_of_size = lj.cells.make(cell, size)
    return train.recurrent(cell_of_size, task.input_size, task.output_size, reads=task.reads)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One panel of a comparison: a task, and the budget that all contenders have on it.

    chosen: learning rates by contender, as a sweep on validation data chose them.
    model: ``(task, budget, contender) -> Model``.
    further: ``(job, params [runs, ...], folder) -> Further``, what is measured and drawn once a
        job is trained, besides the score; None for nothing.
    """

    task: Task
    budget: Training
    chosen: dict[str, float]
    model: Callable[..., train.Model] = cell_model
    further: Callable[..., Any] | None = None

    def learning_rate(self, contender: str) -> float:
        """Adam's rate for ``contender``. Raises ValueError where none was given or chosen."""
        if self.budget.learning_rate is not None:
            return self.budget.learning_rate
        if contender not in self.chosen:
            raise ValueError(
                f"learning_rate: none was chosen for {contender} on {self.task.name}; takes "
                "--learning-rate, or a sweep (--sweep) whose choice is put into the experiment"
            )
        return self.chosen[contender]


Scores = dict[str, list[float | None]]  # by column, one a run


class Further(NamedTuple):
    """What is told of trained runs besides the score.

    scores: a row of a table, by the table's title.
    texts: paragraphs of Markdown. figures: names of files in the job's folder.
    """

    scores: dict[str, Scores]
    texts: list[str]
    figures: list[str]


class Job(NamedTuple):
    """One contender in one setting: several runs, of other seeds and perhaps learning rates."""

    setting: Setting
    contender: str
    model: train.Model
    parameters: int
    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]  # one a run

    @property
    def name(self) -> str:
        return f"{self.setting.task.name} {self.contender}"

    @property
    def folder(self) -> str:
        return f"{slug(self.setting.task.name)}/{slug(self.contender)}"

    def run_name(self, run: int) -> str:
        """Which of the runs: for errors."""
        rate = self.learning_rates[run]
        return f"{self.name}, seed {self.seeds[run]}, learning rate {rate:g}"

    def as_config(self) -> dict[str, Any]:
        """All that decides the numbers, as JSON; it is compared before a run goes on."""
        budget = self.setting.budget
        return {
            "hidden_size": self.model.size,
            "parameters": self.parameters,
            "steps": budget.steps,
            "every": budget.every,
            "batch_size": budget.batch_size,
            "clip": budget.clip,
            "seeds": list(self.seeds),
            "learning_rates": list(self.learning_rates),
            **budget.options,
        }


def comparison_jobs(setting: Setting) -> list[Job]:
    """Every contender at its own learning rate, from seeds 0, 1, 2, ..."""
    seeds = tuple(range(checking.positive_int("seeds", setting.budget.seeds)))
    return [
        make_job(setting, contender, seeds, (setting.learning_rate(contender),) * len(seeds))
        for contender in setting.budget.contenders
    ]


def make_job(
    setting: Setting, contender: str, seeds: tuple[int, ...], rates: tuple[float, ...]
) -> Job:
    """The runs of one contender. Raises ValueError for a budget that makes no sense."""
    budget = setting.budget
    if budget.steps % checking.positive_int("every", budget.every):
        raise ValueError(f"steps: got {budget.steps}; takes a multiple of every, {budget.every}")
    for name in ("steps", "batch_size"):
        checking.positive_int(name, getattr(budget, name))
    for name, value in (("clip", budget.clip), *(("learning_rate", rate) for rate in rates)):
        if checking.real(name, value) <= 0:
            raise ValueError(f"{name}: got {value}; takes a number above 0")
    model = setting.model(setting.task, budget, contender)
    return Job(setting, contender, model, train.count_parameters(model), seeds, rates)


@functools.cache
def size_for(cell: str, parameters: int, input_size: int, output_size: int) -> int:
    make = functools.partial(lj.cells.make, cell)
    return train.size_for(make, parameters, input_size, output_size)


def slug(name: str) -> str:
    """A name as a folder: "adding(100)" is "adding_100"."""
    return re.sub(r"\W+", "_", name).strip("_")
