"""The tasks of the 1997 paper for today's cells: LSTM, GRU and a tanh RNN under Adam.

    python -m experiments hochreiter_1997_today

The tasks, losses and criteria are those of hochreiter_1997, but with batches of 32 sequences, Adam,
clipped gradients and cells of equal parameter counts. The published numbers are the sequences that
the 1997 cell needed with the paper's own training.

Expect, in 6 minutes on two cores (two seeds; results in experiments/results/hochreiter_1997_today):
within 32,000 sequences the LSTM solves experiments 3a and 2c, the GRU solves 1, the tanh RNN solves
1 and 3a with one of its two seeds, and no cell solves 2a or 4.
"""

import dataclasses

from experiments.harness.run.setting import Budget, Setting
from experiments.history._nets_1997 import NETS
from experiments.history.hochreiter_1997 import LAGS
from lstm_jax import tasks
from lstm_jax._internal import checking

TIME = "6 min"


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    experiments: tuple[str, ...] = ("1", "2a", "2c", "3a", "4", "6a")
    """Rows of the paper's tables, by their names in experiments.history._nets_1997.NETS."""
    cells: tuple[str, ...] = ("lstm", "gru", "rnn")
    seeds: int = 2
    steps: int = 1000
    until_solved: bool = True
    parameters: int = 3000
    learning_rate: tuple[float, ...] = (3e-3, 1e-2)


def settings(config: Config) -> list[Setting]:
    made = []
    for name in config.experiments:
        net = NETS[checking.choice("experiments", name, NETS)]
        task = tasks.make(net.task, **net.options)
        published = dict.fromkeys(config.cells, f"{net.sequences:,} (1997 cell)")
        made.append(Setting(task, config, published=published, lag=LAGS.get(name)))
    return made
