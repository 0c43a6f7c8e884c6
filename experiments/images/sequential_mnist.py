"""MNIST, one pixel per step over 784 steps, with a short budget.

    LSTM_JAX_DATA=FOLDER python -m experiments sequential_mnist

Le, Jaitly & Hinton 2015. The files are read from the folder LSTM_JAX_DATA, or downloaded. Published
test accuracies, after many epochs: LSTM 98.9 % (100 units), IRNN 97.0 %, tanh RNN 35.0 % (Cooijmans
et al. 2016); LSTM 87.2 %, GRU 96.2 %, RNN 21.5 % (70,000 parameters, 10 epochs; Bai et al. 2018).
Here each cell gets a small part of one epoch, on two cores. For a GPU (not yet run):

    python -m experiments sequential_mnist --permuted --parameters 70_000 --steps 11_000 \\
        --batch-size 50 --every 500

Expect, in 3 minutes on two cores (two seeds; results in experiments/results/sequential_mnist): LRU
0.29, GRU 0.28, LSTM 0.22, and the tanh RNN at chance.
"""

import dataclasses

from experiments.harness.run.setting import Budget, Setting
from lstm_jax import tasks

TIME = "3 min"

PUBLISHED = {
    "lstm": "0.872 (Bai 2018), 0.989 (Cooijmans 2016)",
    "gru": "0.962 (Bai 2018)",
    "rnn": "0.215 (Bai 2018), 0.350 (Cooijmans 2016)",
    "irnn": "0.970 (Cooijmans 2016)",
}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    permuted: bool = False
    """Permute the pixels, in the same way for all digits."""
    cells: tuple[str, ...] = ("lstm", "gru", "rnn", "lru")
    seeds: int = 2
    steps: int = 300
    every: int = 50
    batch_size: int = 32
    parameters: int = 17_500
    learning_rate: tuple[float, ...] = (3e-3,)


def settings(config: Config) -> list[Setting]:
    task = tasks.make("sequential_mnist", permuted=config.permuted)
    return [Setting(task, config, published={} if config.permuted else PUBLISHED)]
