"""lstm_jax: recurrent sequence models in JAX, as pure functions.

A factory such as ``lj.lstm(128)`` returns a ``Cell``, and ``lj.unroll`` runs it over time.
``lj.core`` has what the author of a cell needs. ``lj.nnx``, ``lj.tasks`` and ``lj.train`` are
imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from lstm_jax import (
    attend,
    cells,
    core,
    decode,
    export,
    files,
    graph,
    insight,
    interop,
    seq2seq,
    tree,
    unrolling,
    wrappers,
)
from lstm_jax._internal.devices import data_parallel, use_cpu_cores
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax._internal.hosts import initialize_hosts
from lstm_jax.attend.attentive import AttentiveState, attentive
from lstm_jax.cells.associative_lstm import AssociativeLSTMState, associative_lstm
from lstm_jax.cells.attention import attention
from lstm_jax.cells.complex_gru import complex_gru
from lstm_jax.cells.complex_lstm import ComplexLSTMState, complex_lstm
from lstm_jax.cells.complex_numbers import ComplexState
from lstm_jax.cells.convolutional import ConvGRUState, ConvLSTMState, conv_gru, conv_lstm
from lstm_jax.cells.gru import GRUState, gru, mgu
from lstm_jax.cells.linear_attention import (
    FastWeightState,
    LinearAttentionState,
    linear_attention,
)
from lstm_jax.cells.lru import LRUState, lru
from lstm_jax.cells.lstm import GateRecurrentState, LSTMState, lstm
from lstm_jax.cells.lstm_1997 import LSTM1997State, lstm_1997
from lstm_jax.cells.lstmn import LSTMNState, lstmn
from lstm_jax.cells.minimal import MinimalState, min_gru, min_lstm
from lstm_jax.cells.multidimensional import MultidimensionalState, multidimensional
from lstm_jax.cells.ntm import NTMState, ntm
from lstm_jax.cells.rnn import ClockworkState, RNNState, clockwork, indrnn, irnn, rnn
from lstm_jax.cells.scornn import scornn
from lstm_jax.cells.urnn import urnn
from lstm_jax.cells.xlstm import MLSTMState, SLSTMState, mlstm, slstm
from lstm_jax.core import initializers
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import AttentionState
from lstm_jax.files import load, save
from lstm_jax.insight import Trace, trace
from lstm_jax.unrolling import Deferred, Packed, Stream, explain, pack, stream, unpack, unroll
from lstm_jax.version import __version__
from lstm_jax.wrappers import (
    BidirectionalState,
    CountedState,
    bidirectional,
    chain,
    drop_connect,
    dropout,
    initialize,
    learned_state,
    mixed_precision,
    mogrifier,
    residual,
    zoneout,
)

if TYPE_CHECKING:
    from lstm_jax import nnx, tasks, train

# They import Flax, Orbax and data, which a cell does not need.
ON_FIRST_USE = ("nnx", "tasks", "train")


def __getattr__(name: str) -> Any:
    if name in ON_FIRST_USE:
        return importlib.import_module(f"lstm_jax.{name}")
    raise AttributeError(f"module 'lstm_jax' has no attribute {name!r}")


__all__ = [
    "ArgumentError",
    "AssociativeLSTMState",
    "AttentionState",
    "AttentiveState",
    "BidirectionalState",
    "Cell",
    "ClockworkState",
    "ComplexLSTMState",
    "ComplexState",
    "ConvGRUState",
    "ConvLSTMState",
    "CountedState",
    "Deferred",
    "FastWeightState",
    "GRUState",
    "GateRecurrentState",
    "LRUState",
    "LSTM1997State",
    "LSTMNState",
    "LSTMState",
    "LinearAttentionState",
    "MLSTMState",
    "MinimalState",
    "MultidimensionalState",
    "NTMState",
    "Packed",
    "RNNState",
    "SLSTMState",
    "Stream",
    "Trace",
    "WrongType",
    "WrongValue",
    "__version__",
    "associative_lstm",
    "attend",
    "attention",
    "attentive",
    "bidirectional",
    "cells",
    "chain",
    "clockwork",
    "complex_gru",
    "complex_lstm",
    "conv_gru",
    "conv_lstm",
    "core",
    "data_parallel",
    "decode",
    "drop_connect",
    "dropout",
    "explain",
    "export",
    "files",
    "graph",
    "gru",
    "indrnn",
    "initialize",
    "initialize_hosts",
    "initializers",
    "insight",
    "interop",
    "irnn",
    "learned_state",
    "linear_attention",
    "load",
    "lru",
    "lstm",
    "lstm_1997",
    "lstmn",
    "mgu",
    "min_gru",
    "min_lstm",
    "mixed_precision",
    "mlstm",
    "mogrifier",
    "multidimensional",
    "nnx",
    "ntm",
    "pack",
    "residual",
    "rnn",
    "save",
    "scornn",
    "seq2seq",
    "slstm",
    "stream",
    "tasks",
    "trace",
    "train",
    "tree",
    "unpack",
    "unroll",
    "unrolling",
    "urnn",
    "use_cpu_cores",
    "wrappers",
    "zoneout",
]
