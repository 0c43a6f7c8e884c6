"""MNIST, a row of 28 pixels per step: recurrent cells at equal parameter counts.

    LSTM_JAX_DATA=FOLDER python -m experiments mnist_rows

The digits of LeCun et al. 1998 in 28 steps, an easy task for a recurrent cell, which an hour of
pixel by pixel (``sequential_mnist``) should not be confused with. There are no published numbers
that all agree on; logistic regression on the pixels is the linear baseline.

Expect, in five minutes on two cores (one seed; results in experiments/results/mnist_rows): test
accuracies of 99.0 % for the LSTM and 98.9 % for the GRU, beside 92.0 % for logistic regression.
"""

import dataclasses

from experiments.harness.run.study import Study
from experiments.images import _mnist

TIME = "5 min"


@dataclasses.dataclass(frozen=True)
class Config:
    cells: tuple[str, ...] = ("lstm", "gru")
    """Cells, by their names in lj.cells.registry."""
    parameters: int = 82_000
    """Parameters of each net; the hidden size that comes nearest is used."""
    seeds: int = 1
    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 2e-3
    """Rate of Adam at the start; it falls to zero along a cosine."""


def studies(config: Config) -> list[Study]:
    digits, data = _mnist.load(28)
    training = _mnist.Training(
        config.parameters, config.epochs, config.batch_size, config.learning_rate
    )
    return [
        _mnist.make_study("MNIST by rows", digits, data, config.cells, training, config.seeds, ())
    ]
