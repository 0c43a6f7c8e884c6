"""MNIST, one pixel a step over 784 steps: one short budget on real files.

    LSTM_JAX_DATA=FOLDER python -m experiments sequential_mnist

Le, Jaitly & Hinton 2015; the files come from the folder that LSTM_JAX_DATA names or are
downloaded. Published test accuracies are after many passes through the training digits: LSTM 98.9 %
(100 units), IRNN 97.0, tanh RNN 35.0 (Cooijmans et al. 2016); LSTM 87.2, GRU 96.2, RNN 21.5 (70,000
parameters, 10 epochs; Bai et al. 2018). Here each cell gets a small part of one pass, on two cores.
On a GPU, not run here:

    python -m experiments sequential_mnist --permuted --parameters 70_000 --steps 11_000 \\
        --batch-size 50 --every 500

Expect, in 3 minutes on two cores (kept in experiments/results/sequential_mnist; two seeds): LRU
0.29, GRU 0.28, LSTM 0.22, tanh RNN at chance.
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
    """Reorder the pixels, all digits alike."""
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
