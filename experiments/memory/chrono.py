"""Chrono initialisation against a forget bias of 1, on copying and adding over 200 steps.

    python -m experiments chrono

Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", section 3: with chrono
initialisation, forget biases are log U[1, Tmax - 1] and input biases their negatives (Tmax = 1.5 T
on copying and T on adding); the alternative is 1 and 0. They train 128 units with RMSProp at 1e-3,
decay 0.9 and no clipping, and report that chrono beats the copy baseline at T = 500 and 2000, which
a bias of 1 does not, and that it is about 7 times as fast on adding at T = 750. Here T is 200, and
the cells have 60 units.

Expect, in 4 minutes of training on an NVIDIA H200 (four seeds; results in
experiments/results/chrono) or about 45 minutes on two cores: the same as they report. On copying, a
bias of 1 ends at the baseline with every seed, and chrono ends 2.5 % below it (three of four seeds
by step 8,000, all by 12,000). On adding, chrono solves the task with all four seeds (MSE below
0.01, after 5,300 steps in the median), while a bias of 1 is at chance until about step 8,000 and
solves it with two of four by step 12,000. With --steps 2000 there is no difference yet.
"""

import dataclasses
import functools
from typing import Any

import lstm_jax as lj
from experiments.harness.run.setting import Budget, Setting, hidden_size, recurrent_model
from lstm_jax import tasks, train
from lstm_jax._internal import checking
from lstm_jax.core import initializers
from lstm_jax.tasks import Task

TIME = "45 min"

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
    """The initialisations of the LSTM to compare."""
    steps: int = 12_000
    every: int = 200
    optimizer: str = "rmsprop"
    learning_rate: tuple[float, ...] = (RATE,)
    clip: float | None = None
    parameters: int = 17_500


def settings(config: Config) -> list[Setting]:
    copying = tasks.make("copy_memory", length=config.length)
    adding = tasks.make("adding", length=config.length)
    return [
        Setting(task, config, model=functools.partial(make_model, t_max), published=PUBLISHED[kind])
        for kind, task, t_max in (
            ("copy_memory", copying, 1.5 * config.length),
            ("adding", adding, 1.0 * config.length),
        )
    ]


def make_model(t_max: float, task: Task, budget: Budget, contender: str) -> train.Model:
    """The LSTM with one of the two initialisations."""
    checking.choice("cells", contender, CONTENDERS)
    size = hidden_size("lstm", lj.lstm, budget, task)
    cell: Any = lj.lstm(size, forget_bias=1.0)
    if contender == "chrono":
        cell = lj.initialize(cell, b=initializers.chrono(t_max))
    source = train.Description("lstm", size, task.input_size, task.output_size, task.reads)
    return recurrent_model(cell, source, task, budget)
