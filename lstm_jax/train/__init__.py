"""Training: models of cells, on finite data or on tasks that draw them, and exact checkpoints."""

from lstm_jax._internal.allocator import keep_freed_memory
from lstm_jax.train import checkpoint, heads, inputs, losses, metrics, series
from lstm_jax.train.cross_validation import CrossValidation, cross_validate
from lstm_jax.train.data.dataset import Dataset
from lstm_jax.train.data.parts import hold_out
from lstm_jax.train.data.rows import DataBatch
from lstm_jax.train.data.source import Source
from lstm_jax.train.data.streams import Streams
from lstm_jax.train.epochs import EarlyStopping
from lstm_jax.train.evaluation import evaluate, predict
from lstm_jax.train.fitting import Fitted, fit
from lstm_jax.train.heads import Head
from lstm_jax.train.inputs import Inputs, Vectors
from lstm_jax.train.metrics import Metric
from lstm_jax.train.mixtures import Mixture
from lstm_jax.train.model import Model, count_parameters, recurrent
from lstm_jax.train.network import network
from lstm_jax.train.optimizers import optimizer
from lstm_jax.train.progress import Event
from lstm_jax.train.saved import Description, load_cell, load_model, save_model
from lstm_jax.train.sizes import size_for, size_near, state_size
from lstm_jax.train.steps import (
    NonFiniteLoss,
    Steps,
    TrainState,
    draw_batch,
    require_finite,
    start,
    take_steps,
)
from lstm_jax.unrolling.truncated import unroll_truncated

__all__ = [
    "CrossValidation",
    "DataBatch",
    "Dataset",
    "Description",
    "EarlyStopping",
    "Event",
    "Fitted",
    "Head",
    "Inputs",
    "Metric",
    "Mixture",
    "Model",
    "NonFiniteLoss",
    "Source",
    "Steps",
    "Streams",
    "TrainState",
    "Vectors",
    "checkpoint",
    "count_parameters",
    "cross_validate",
    "draw_batch",
    "evaluate",
    "fit",
    "heads",
    "hold_out",
    "inputs",
    "keep_freed_memory",
    "load_cell",
    "load_model",
    "losses",
    "metrics",
    "network",
    "optimizer",
    "predict",
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
