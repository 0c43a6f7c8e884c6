"""Real digits, one pixel per step: recurrent cells and attention at equal parameter counts.

    python -m experiments digits

The 1797 handwritten digits of 8 by 8 pixels that come with scikit-learn, as sequences of 64 steps:
a small stand-in for the sequential MNIST of Le, Jaitly & Hinton 2015 (784 steps), without published
numbers. The score is the accuracy on held-out digits.

Expect, in 1 minute on two cores: the tanh RNN 92 %, GRU and LSTM about 91 % and still rising, the
IRNN 55 %. At 64 steps, memory does not decide. A single layer of attention stays near 33 % (on the
sweep's validation data), since it reads an average of pixels, each weighted on its own.
"""

import dataclasses

from experiments.harness.run.setting import Budget, Setting
from lstm_jax import tasks

TIME = "1 min"

# Chosen by python -m experiments digits --sweep --seeds 3, on validation data from other seeds.
RATES = {"lstm": 1e-2, "gru": 1e-2, "rnn": 1e-3, "irnn": 1e-3, "attention": 1e-2}


@dataclasses.dataclass(frozen=True)
class Config(Budget):
    cells: tuple[str, ...] = ("lstm", "gru", "rnn", "irnn", "attention")
    steps: int = 1500


def settings(config: Config) -> list[Setting]:
    return [Setting(tasks.make("digits"), config, RATES)]
