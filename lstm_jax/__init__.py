"""lstm_jax: recurrent sequence models in JAX, as pure functions.

``import lstm_jax as lj``: a factory such as ``lj.lstm(128)`` returns a ``Cell``; ``lj.unroll``
runs it over time.
"""

from lstm_jax import attend, cells, decode, initializers, seq2seq
from lstm_jax.allocator import keep_freed_memory
from lstm_jax.cell import (
    Cell,
    Composite,
    Gated,
    Linear,
    Weights,
    gated_cell,
    linear_cell,
    plain_cell,
)
from lstm_jax.cells.attention import attention
from lstm_jax.cells.gru import GRUState, gru, mgu
from lstm_jax.cells.linear_attention import (
    FastWeightState,
    LinearAttentionState,
    linear_attention,
)
from lstm_jax.cells.lru import LRUState, lru
from lstm_jax.cells.lstm import GREFF_VARIANTS, GateRecurrentState, LSTMState, lstm
from lstm_jax.cells.lstm_1997 import LSTM1997State, lstm_1997
from lstm_jax.cells.lstmn import LSTMNState, lstmn
from lstm_jax.cells.minimal import MinimalState, min_gru, min_lstm
from lstm_jax.cells.rnn import RNNState, irnn, rnn
from lstm_jax.cells.xlstm import MLSTMState, SLSTMState, mlstm, slstm
from lstm_jax.compose import (
    AttentiveState,
    BidirectionalState,
    CountedState,
    attentive,
    bidirectional,
    chain,
    drop_connect,
    dropout,
    initialize,
    learned_state,
    mixed_precision,
    residual,
    zoneout,
)
from lstm_jax.devices import data_parallel, use_cpu_cores
from lstm_jax.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.forms import MatrixMemory, Projected, Window, Windowed
from lstm_jax.gates import GateAxis, equal_gates
from lstm_jax.matrix_memory import matrix_cell
from lstm_jax.recipes import factory
from lstm_jax.unrolling import Deferred, Packed, explain, pack, unpack, unroll
from lstm_jax.version import __version__
from lstm_jax.windowed import windowed_cell

__all__ = [
    "GREFF_VARIANTS",
    "ArgumentError",
    "AttentiveState",
    "BidirectionalState",
    "Cell",
    "Composite",
    "CountedState",
    "Deferred",
    "FastWeightState",
    "GRUState",
    "GateAxis",
    "GateRecurrentState",
    "Gated",
    "LRUState",
    "LSTM1997State",
    "LSTMNState",
    "LSTMState",
    "Linear",
    "LinearAttentionState",
    "MLSTMState",
    "MatrixMemory",
    "MinimalState",
    "Packed",
    "Projected",
    "RNNState",
    "SLSTMState",
    "Weights",
    "Window",
    "Windowed",
    "WrongType",
    "WrongValue",
    "__version__",
    "attend",
    "attention",
    "attentive",
    "bidirectional",
    "cells",
    "chain",
    "data_parallel",
    "decode",
    "drop_connect",
    "dropout",
    "equal_gates",
    "explain",
    "factory",
    "gated_cell",
    "gru",
    "initialize",
    "initializers",
    "irnn",
    "keep_freed_memory",
    "learned_state",
    "linear_attention",
    "linear_cell",
    "lru",
    "lstm",
    "lstm_1997",
    "lstmn",
    "matrix_cell",
    "mgu",
    "min_gru",
    "min_lstm",
    "mixed_precision",
    "mlstm",
    "pack",
    "plain_cell",
    "residual",
    "rnn",
    "seq2seq",
    "slstm",
    "unpack",
    "unroll",
    "use_cpu_cores",
    "windowed_cell",
    "zoneout",
]
