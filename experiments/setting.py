"""What is compared on what: settings, and the jobs they are made of."""

import dataclasses
import functools
import re
from typing import Any, NamedTuple

import lstm_jax as lj
from lstm_jax import checking, train
from lstm_jax.tasks import Task


@dataclasses.dataclass(frozen=True)
class Budget:
    """What every cell gets alike. Also the options that experiments share."""

    cells: tuple[str, ...] = ("lstm", "gru", "rnn", "irnn")
    """Cells to compare, by their names in lj.cells.registry."""
    seeds: int = 4
    """Runs of each cell, from seeds 0, 1, 2, ...; a multiple of the CPU devices divides best."""
    parameters: int = 4500
    """Parameters of each model, readout included; the hidden size that comes nearest is taken."""
    steps: int = 1000
    """Training steps."""
    every: int = 100
    """Steps in one compiled call, and between two measurements on validation data."""
    batch_size: int = 32
    """Sequences in a training batch."""
    clip: float = 1.0
    """Largest global norm of a gradient."""
    learning_rate: float | None = None
    """Adam's learning rate for all cells; none: the rate that --sweep chose for each."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One panel of a comparison: a task, and the budget that all cells have on it.

    chosen: learning rates by cell, as a sweep on validation data chose them.
    """

    task: Task
    budget: Budget
    chosen: dict[str, float]

    def learning_rate(self, cell: str) -> float:
        """Adam's rate for ``cell``. Raises ValueError where none was given or chosen."""
        if self.budget.learning_rate is not None:
            return self.budget.learning_rate
        if cell not in self.chosen:
            raise ValueError(
                f"learning_rate: none was chosen for {cell} on {self.task.name}; takes "
                "--learning-rate, or a sweep (--sweep) whose choice is put into the experiment"
            )
        return self.chosen[cell]


class Job(NamedTuple):
    """One cell in one setting: several runs, which differ in seed and perhaps learning rate."""

    setting: Setting
    cell: str
    model: train.Model
    parameters: int
    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]  # one a run

    @property
    def name(self) -> str:
        return f"{self.setting.task.name} {self.cell}"

    @property
    def folder(self) -> str:
        return f"{slug(self.setting.task.name)}/{slug(self.cell)}"

    def run_name(self, run: int) -> str:
        """Which of the runs: for errors."""
        rate = self.learning_rates[run]
        return f"{self.name}, seed {self.seeds[run]}, learning rate {rate:g}"

    def as_config(self) -> dict[str, Any]:
        """All that decides the numbers, as JSON; it is compared before a run goes on."""
        budget = self.setting.budget
        return {
            "hidden_size": self.model.cell.size,
            "parameters": self.parameters,
            "steps": budget.steps,
            "every": budget.every,
            "batch_size": budget.batch_size,
            "clip": budget.clip,
            "seeds": list(self.seeds),
            "learning_rates": list(self.learning_rates),
        }


def comparison_jobs(setting: Setting) -> list[Job]:
    """Every cell at its own learning rate, from seeds 0, 1, 2, ..."""
    seeds = tuple(range(checking.positive_int("seeds", setting.budget.seeds)))
    return [
        make_job(setting, cell, seeds, (setting.learning_rate(cell),) * len(seeds))
        for cell in setting.budget.cells
    ]


def make_job(setting: Setting, cell: str, seeds: tuple[int, ...], rates: tuple[float, ...]) -> Job:
    """The cell at the hidden size that comes nearest to the setting's parameter count."""
    task, budget = setting.task, setting.budget
    if budget.steps % checking.positive_int("every", budget.every):
        raise ValueError(f"steps: got {budget.steps}; takes a multiple of every, {budget.every}")
    for name in ("steps", "batch_size", "parameters"):
        checking.positive_int(name, getattr(budget, name))
    for name, value in (("clip", budget.clip), *(("learning_rate", rate) for rate in rates)):
        if checking.real(name, value) <= 0:
            raise ValueError(f"{name}: got {value}; takes a number above 0")
    checking.choice("cells", cell, lj.cells.registry)
    size = size_for(cell, budget.parameters, task.input_size, task.output_size)
    cell_of_size = lj.cells.make(cell, size)
    model = train.recurrent(cell_of_size, task.input_size, task.output_size, reads=task.reads)
    return Job(setting, cell, model, train.count_parameters(model), seeds, rates)


@functools.cache
def size_for(cell: str, parameters: int, input_size: int, output_size: int) -> int:
    make = functools.partial(lj.cells.make, cell)
    return train.size_for(make, parameters, input_size, output_size)


def slug(name: str) -> str:
    """A name as a folder: "adding(100)" is "adding_100"."""
    return re.sub(r"\W+", "_", name).strip("_")
