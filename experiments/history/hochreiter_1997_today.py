"""The tasks of the 1997 paper for today's cells: LSTM, GRU and a tanh RNN under Adam.

    python -m experiments hochreiter_1997_today

The tasks, losses and criteria of hochreiter_1997, with batches of 32 sequences, Adam, clipped
gradients, and cells of equal parameter counts. The published numbers are those of the 1997 cell
under the paper's own training, in sequences.

Expect, in 6 minutes on two cores (kept in experiments/results/hochreiter_1997_today; two seeds):
the LSTM solves 3a and 2c, the GRU experiment 1, and nothing 2a or 4, in 32,000 sequences; the tanh
RNN solves 1 and 3a with one seed of two.
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
