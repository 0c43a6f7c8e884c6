"""MNIST, one pixel per step over 784 steps, in the files' order and permuted.

    LSTM_JAX_DATA=FOLDER python -m experiments sequential_mnist
    LSTM_JAX_DATA=FOLDER python -m experiments sequential_mnist --permuted

Le, Jaitly & Hinton 2015. Published test accuracies: LSTM 98.9 %, IRNN 97.0 %, tanh RNN 35.0 %
(Cooijmans et al. 2016, 100 units, trained until they stop improving); LSTM 87.2 %, GRU 96.2 %, RNN
21.5 % (70,000 parameters, 10 epochs; Bai et al. 2018, table 1). The cells here have chrono
initialisation (Tallec & Ollivier 2018) for lags of up to 100 steps. After 400 updates of the LSTM
the training loss was 1.27 with it, 1.92 with lags of up to 784 (where input gates are nearly shut,
at twice the rate), and 2.30, that of chance, with a forget bias of 5 for all units.

Expect, in an hour on two cores (one seed; results in experiments/results/sequential_mnist): test
accuracies of 97.8 % for the LSTM and 98.1 % for the GRU with 17,500 parameters, beside 92.0 % for
logistic regression on all pixels at once.
"""

import dataclasses

from experiments.harness.run.study import Published, Study
from experiments.images import _mnist
from experiments.images._mnist import TEST

TIME = "1 h"

PUBLISHED = {
    False: (
        Published("LSTM, 10 epochs", "Bai 2018", {TEST: 87.2}, parameters=70_000),
        Published("GRU, 10 epochs", "Bai 2018", {TEST: 96.2}, parameters=70_000),
        Published("RNN, 10 epochs", "Bai 2018", {TEST: 21.5}, parameters=70_000),
        Published("LSTM, 100 units", "Cooijmans 2016", {TEST: 98.9}),
        Published("IRNN, 100 units", "Cooijmans 2016", {TEST: 97.0}),
    ),
    True: (
        Published("LSTM, 10 epochs", "Bai 2018", {TEST: 85.7}, parameters=70_000),
        Published("GRU, 10 epochs", "Bai 2018", {TEST: 87.3}, parameters=70_000),
        Published("RNN, 10 epochs", "Bai 2018", {TEST: 25.3}, parameters=70_000),
        Published("LSTM, 100 units", "Cooijmans 2016", {TEST: 90.2}),
        Published("IRNN, 100 units", "Cooijmans 2016", {TEST: 82.0}),
    ),
}


@dataclasses.dataclass(frozen=True)
class Config:
    permuted: bool = False
    """Permute the pixels, in the same way for all digits."""
    cells: tuple[str, ...] = ("lstm", "gru")
    """Cells, by their names in lj.cells.registry, with options in brackets."""
    parameters: int = 17_500
    """Parameters of each net; the hidden size that comes nearest is used."""
    seeds: int = 1
    epochs: int = 10
    batch_size: int = 50
    learning_rate: float = 4e-3
    """Rate of Adam at the start; it falls to zero along a cosine."""
    t_max: int = 100
    """The longest lag that chrono initialisation is made for; 0 for the cells' own biases."""
    permutation_seed: int = 0


def studies(config: Config) -> list[Study]:
    order = _mnist.permutation(config.permutation_seed) if config.permuted else None
    digits, data = _mnist.load(1, order)
    training = _mnist.Training(
        config.parameters, config.epochs, config.batch_size, config.learning_rate, config.t_max
    )
    name = "permuted MNIST" if config.permuted else "sequential MNIST"
    published = PUBLISHED[config.permuted]
    return [_mnist.make_study(name, digits, data, config.cells, training, config.seeds, published)]
