"""lstm_jax's GRU with the reset gate before the product, which equals Haiku's."""

from benchmarks.harness.work import Layer
from benchmarks.peers import Model, ours

PACKAGE = "lstm_jax"
CONVENTIONS = {"lstm": "default", "gru": "reset before"}


def model(cell: str, layers: list[Layer]) -> Model:
    return ours.model(cell, layers, reset_after=False)
