"""Training: a cell with a readout, many steps in one scan, and checkpoints that are there."""

from lstm_jax.train import checkpoint
from lstm_jax.train.fit import NonFiniteLoss, TrainState, require_finite, start, take_steps
from lstm_jax.train.model import Model, count_parameters, recurrent, size_for, size_near
from lstm_jax.train.optimizers import optimizer

__all__ = [
    "Model",
    "NonFiniteLoss",
    "TrainState",
    "checkpoint",
    "count_parameters",
    "optimizer",
    "recurrent",
    "require_finite",
    "size_for",
    "size_near",
    "start",
    "take_steps",
]
