"""Training: a cell with a readout, many steps in one scan, and exact checkpoints."""

from lstm_jax._internal.allocator import keep_freed_memory
from lstm_jax.train import checkpoint, heads, inputs, losses, metrics, series
from lstm_jax.train.fit import (
    NonFiniteLoss,
    Steps,
    TrainState,
    draw_batch,
    require_finite,
    start,
    take_steps,
)
from lstm_jax.train.heads import Head
from lstm_jax.train.inputs import Inputs, Vectors
from lstm_jax.train.metrics import Metric
from lstm_jax.train.model import Model, count_parameters, recurrent
from lstm_jax.train.network import network
from lstm_jax.train.optimizers import optimizer
from lstm_jax.train.saved import Description, load_cell, load_model, save_model
from lstm_jax.train.sizes import size_for, size_near, state_size
from lstm_jax.unrolling.truncated import unroll_truncated

__all__ = [
    "Description",
    "Head",
    "Inputs",
    "Metric",
    "Model",
    "NonFiniteLoss",
    "Steps",
    "TrainState",
    "Vectors",
    "checkpoint",
    "count_parameters",
    "draw_batch",
    "heads",
    "inputs",
    "keep_freed_memory",
    "load_cell",
    "load_model",
    "losses",
    "metrics",
    "network",
    "optimizer",
    "recurrent",
    "require_finite",
    "save_model",
    "series",
    "size_for",
    "size_near",
    "start",
    "state_size",
    "take_steps",
    "unroll_truncated",
]
