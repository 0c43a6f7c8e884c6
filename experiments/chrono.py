"""Chrono initialisation against a forget bias of 1, on copying and adding over 200 steps.

    python -m experiments chrono

Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", section 3: forget biases log
U[1, Tmax - 1] and input biases their negatives, Tmax = 1.5 T on copying and T on adding, against 1
and 0; RMSProp at 1e-3 with decay 0.9 and no clipping, 128 units. They report that chrono beats the
copy baseline at T = 500 and 2000 where a bias of 1 does not, and is about 7 times as fast on adding
at T = 750. Here T is 200, and units and steps are far fewer, so that two cores can do it.

Expect, in 3 minutes on two cores (kept in experiments/results/chrono; two seeds): too few steps to
settle it. On adding chrono begins to learn (MSE 0.161) where a bias of 1 stays at chance; on
copying neither beats the baseline. More steps (--steps 20000) were not run here.
"""

import dataclasses
import functools
from typing import Any

import lstm_jax as lj
from experiments.setting import Budget, Setting, size_of
from lstm_jax import checking, initializers, tasks, train
from lstm_jax.tasks import Task

TIME = "3 min"

CONTENDERS = ("bias of 1", "chrono")
RATE = 1e-3
PUBLISHED = {
    "copy_memory": {
        "bias of 1": "at the baseline, T = 500 and 2000",
        "chrono": "beats the baseline, T = 500 and 2000",
    },
    "adding": {"chrono": "about 7 times as fast, T = 750"},
}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    length: int = 200
    """The lag T of both tasks."""
    cells: tuple[str, ...] = CONTENDERS
    """Which of the two initialisations of the LSTM."""
    seeds: int = 2
    steps: int = 2000
    optimizer: str = "rmsprop"
    learning_rate: tuple[float, ...] = (RATE,)
    clip: float | None = None
    parameters: int = 17_500


def settings(config: Config) -> list[Setting]:
    copying = tasks.make("copy_memory", length=config.length)
    adding = tasks.make("adding", length=config.length)
    return [
        Setting(task, config, model=functools.partial(model, t_max), published=PUBLISHED[kind])
        for kind, task, t_max in (
            ("copy_memory", copying, 1.5 * config.length),
            ("adding", adding, 1.0 * config.length),
        )
    ]


def model(t_max: float, task: Task, budget: Budget, contender: str) -> train.Model:
    """The LSTM with one of the two initialisations."""
    checking.choice("cells", contender, CONTENDERS)
    size = size_of("lstm", lj.lstm, budget, task)
    cell: Any = lj.lstm(size, forget_bias=1.0)
    if contender == "chrono":
        cell = lj.initialize(cell, b=initializers.chrono(t_max))
    made = train.recurrent(
        cell, task.input_size, task.output_size,
        reads=task.reads, truncate=budget.truncate, random_offset=budget.random_truncation,
    )  # fmt: skip
    sizes = (task.input_size, task.output_size)
    return made._replace(source=train.Description("lstm", size, *sizes, task.reads))
