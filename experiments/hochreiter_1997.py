"""The table of the 1997 paper: its nets, its tasks, its own training, sequence by sequence.

    python -m experiments hochreiter_1997

Hochreiter & Schmidhuber 1997, "Long short-term memory", experiments 1 to 6: the 1997 cell (no
forget gate, truncated gradient) under stochastic gradient descent at a fixed rate, one sequence a
step, to the paper's own criterion; beside it a plain recurrent net of logistic units and about as
many weights, under the full gradient and the same rate. The published numbers are means over the
paper's trials. Today's cells under Adam: hochreiter_1997_today.

Where this is not the paper's training: weights change at the end of a sequence, also where errors
come at every step (1, 2a, 2b). In 2a and 2b the cell is there from the start, while the paper adds
it once the error has stopped falling. The output of 4 is linear, and 2c has twice the paper's rate
and is judged on 1,000 sequences, not 10,000: each because the paper's numbers were out of reach
otherwise (see adding_1997, lags_2c and nets_1997).

Expect, in 15 minutes on two cores (kept in experiments/results/hochreiter_1997): ten of ten trials
of 3a, 4 and 6a solve their task, in 27,500, 81,000 and 24,000 sequences (medians) where the paper
has 39,850, 74,000 and 31,390, and eight of ten of 2c, in 49,000 (30,000). Not reached: no trial of
1 (one comes near) or of 2a, which the paper solves in 8,440 and 5,040. The plain net solves none.
"""

import dataclasses
import functools

from experiments.nets_1997 import NETS, Net, paper, plain
from experiments.setting import Setting, Training
from lstm_jax import checking, tasks, train
from lstm_jax.tasks import Task

TIME = "15 min"

MODELS = {"lstm_1997": paper, "plain": plain}
LAGS = {"2c": 50, "2c q=100": 100, "2c q=200": 200, "2c q=500": 500, "2c q=1000": 1000}
MORE = 3  # times the paper's mean number of sequences: the longest that a run may take
LONG, FEW = 200, 4  # lags from which on so few seeds are run


@dataclasses.dataclass(frozen=True)
class Config(Training):
    experiments: tuple[str, ...] = ("1", "2a", "2c", "3a", "4", "6a")
    """Rows of the paper's tables, by their names in experiments.nets_1997.NETS."""
    nets: tuple[str, ...] = tuple(MODELS)
    """The 1997 cell, the plain net, or both; on 2c with lags above 50 the 1997 cell alone."""
    seeds: int = 10
    """Runs of each net; of 2c with lags of 200 and more, 4 at the most."""
    steps: int = 0
    """Sequences at the most; 0: three times as many as the paper's mean."""
    every: int = 500
    batch_size: int = 1
    until_solved: bool = True
    optimizer: str = "sgd"
    clip: float | None = None

    @property
    def contenders(self) -> tuple[str, ...]:
        return self.nets


def settings(config: Config) -> list[Setting]:
    made = []
    checking.positive_int("every", config.every)
    for name in config.experiments:
        net = NETS[checking.choice("experiments", name, NETS)]
        task = tasks.make(net.task, **net.options)
        steps = config.steps or round(MORE * net.sequences / config.every) * config.every
        seeds = min(config.seeds, FEW) if LAGS.get(name, 0) >= LONG else config.seeds
        budget = dataclasses.replace(
            config, steps=steps + rows_beyond(task, config.every), seeds=seeds,
            # That the plain net fails at the shortest lag of 2c is enough.
            nets=tuple(n for n in config.nets if n != "plain" or LAGS.get(name, 0) <= LAGS["2c"]),
        )  # fmt: skip
        published = {"lstm_1997": f"{net.sequences:,} sequences"}
        model = functools.partial(named_model, net)
        rates = {contender: net.rate for contender in MODELS}
        made.append(Setting(task, budget, rates, model, published=published, lag=LAGS.get(name)))
    return made


def rows_beyond(task: Task, every: int) -> int:
    """Steps for the window of a criterion that does not count among the sequences to success."""
    success = task.success
    if success is None or success.on != "training" or success.window_counts:
        return 0
    return -(-success.rows // every) * every


def named_model(net: Net, task: Task, budget: Training, contender: str) -> train.Model:
    return MODELS[checking.choice("nets", contender, MODELS)](net, task)
