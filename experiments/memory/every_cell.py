"""Every registered cell on the tasks that long memories are judged by, in one table.

    python -m experiments every_cell

Copying with T = 100 and 200 and adding with T = 200 (Arjovsky, Shah & Bengio 2016, "Unitary
evolution recurrent neural networks", where the unitary network solves copying and the LSTM stays at
the memoryless baseline), for all cells of lj.cells.registry but those of images, and the mogrified
LSTM. All have about 6,500 parameters, as the networks have in the paper's copying, and 2,000 steps
of Adam at two rates, of which validation data choose one. The last table has the score of every
cell on each task, its parameters and the time of a training step. A cell of your own joins by
--load my_cell.py.

Expect, with 55 seconds of one core for each net as below: the scoRNN, uRNN, EURNN, complex GRU and
attention ten times below the baseline of copying at T = 100, of 0.173 nats a step, and the LSTM at
0.147. On adding, most gated cells leave chance. All 2,000 steps at both rates take about 5 hours on
two cores (estimated; that run is not kept).

The run may be stopped and started again. On a machine with more cores, start it once for each core
with --share. With equal time instead of equal steps, for about 10 minutes on 16 cores:

    for core in $(seq 0 15); do
        taskset -c $core python -m experiments every_cell --share --seconds 55 --every 100 \\
            --seeds 1 --learning-rate 0.001 &
    done; wait
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import lstm_jax as lj
from experiments.harness.run.setting import Budget, Setting, cell_model
from experiments.memory import _every_cell_figures
from lstm_jax import tasks, train
from lstm_jax.tasks import Task

TIME = "5 h"

# Contenders beside the registered cells: cells in a wrapper, by hidden size.
WRAPPED: dict[str, Callable[[int], Any]] = {
    "mogrifier(lstm)": lambda size: lj.mogrifier(lj.lstm(size)),
}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    cells: tuple[str, ...] = ()
    """Cells to compare, by their names in lj.cells.registry, with options in brackets, or
    "mogrifier(lstm)"; by default all."""
    copying: tuple[int, ...] = (100, 200)
    """Lags T of copying."""
    adding: tuple[int, ...] = (200,)
    """Lengths T of adding."""
    seeds: int = 2
    steps: int = 2000
    parameters: int = 6500
    learning_rate: tuple[float, ...] = (1e-3, 1e-2)


def settings(config: Config) -> list[Setting]:
    if not config.cells:
        config = dataclasses.replace(config, cells=(*cells_of_vectors(), *WRAPPED))
    made = [tasks.make("copy_memory", length=length) for length in config.copying]
    made += [tasks.make("adding", length=length) for length in config.adding]
    found = [Setting(task, config, model=make_model) for task in made]
    if found:  # the table of all tasks stands below the last one
        overall = functools.partial(_every_cell_figures.compare, found[:-1])
        found[-1] = dataclasses.replace(found[-1], overall=overall)
    return found


def cells_of_vectors() -> tuple[str, ...]:
    """The registered cells but those of images."""
    made = {name: lj.cells.make(name, 8) for name in lj.cells.registry}
    return tuple(name for name, cell in made.items() if not cell.grid.inputs)


def make_model(task: Task, budget: Budget, contender: str) -> train.Model:
    """The cell with a readout, at the hidden size that comes nearest to the budget."""
    make = WRAPPED.get(contender)
    if make is None:
        return cell_model(task, budget, contender)
    if budget.size is not None:
        size = budget.size
    elif budget.state is not None:
        size = train.size_near(make, budget.state, train.state_size)
    else:
        size = train.size_for(make, budget.parameters, task.input_size, task.output_size)
    return train.recurrent(
        make(size), task.input_size, task.output_size,
        reads=task.reads, truncate=budget.truncate, random_offset=budget.random_truncation,
    )  # fmt: skip
