"""Modules of other libraries by name, "library/case": functions of a dtype that give a ``Peer``."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from tests.interop.peers import (
    D,
    H,
    Peer,
    equinox_peer,
    haiku_peer,
    keras_peer,
    linen_peer,
    nnx_peer,
    torch_peer,
)


def rnn_of_cells(layers: Any, dtype: str) -> Any:
    cells = [layers.LSTMCell(H, dtype=dtype), layers.LSTMCell(5, dtype=dtype)]
    stacked = layers.StackedRNNCells(cells, dtype=dtype)
    return layers.RNN(stacked, return_sequences=True, dtype=dtype)


def _deep(name: str) -> Callable:
    return lambda hk: hk.DeepRNN([getattr(hk, name)(H), getattr(hk, name)(5)])


def _bi(layers: Any, kind: str, dtype: str, merge: str = "concat", **options: Any) -> Any:
    inner = getattr(layers, kind)(H, return_sequences=True, dtype=dtype, **options)
    return layers.Bidirectional(inner, merge_mode=merge, dtype=dtype)


def _plain(kind: str, **options: Any) -> Callable:
    return lambda layers, dtype: getattr(layers, kind)(
        H, return_sequences=True, dtype=dtype, **options
    )


TORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "lstm_no_bias": ("LSTM", {"bias": False}),
    "lstm_3_layers": ("LSTM", {"num_layers": 3}),
    "lstm_bidirectional": ("LSTM", {"bidirectional": True}),
    "lstm_2_layers_bidirectional": ("LSTM", {"num_layers": 2, "bidirectional": True}),
    "lstm_projection": ("LSTM", {"proj_size": 2}),
    "lstm_projection_2_layers_bidirectional": (
        "LSTM",
        {"proj_size": 2, "num_layers": 2, "bidirectional": True},
    ),
    "lstm_batch_first": ("LSTM", {"batch_first": True}),
    "lstm_cell": ("LSTMCell", {}),
    "lstm_cell_no_bias": ("LSTMCell", {"bias": False}),
    "gru": ("GRU", {}),
    "gru_no_bias": ("GRU", {"bias": False}),
    "gru_2_layers": ("GRU", {"num_layers": 2}),
    "gru_2_layers_bidirectional": ("GRU", {"num_layers": 2, "bidirectional": True}),
    "gru_cell": ("GRUCell", {}),
    "rnn": ("RNN", {}),
    "rnn_relu_2_layers": ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    "rnn_bidirectional_no_bias": ("RNN", {"bidirectional": True, "bias": False}),
    "rnn_cell_relu": ("RNNCell", {"nonlinearity": "relu"}),
}
KERAS: dict[str, Callable] = {
    "lstm": _plain("LSTM"),
    "lstm_no_bias": _plain("LSTM", use_bias=False),
    "lstm_activations": _plain("LSTM", activation="relu", recurrent_activation="hard_sigmoid"),
    "gru": _plain("GRU"),
    "gru_no_bias": _plain("GRU", use_bias=False),
    "gru_reset_before": _plain("GRU", reset_after=False),
    "gru_reset_before_no_bias": _plain("GRU", reset_after=False, use_bias=False),
    "rnn": _plain("SimpleRNN"),
    "rnn_relu_no_bias": _plain("SimpleRNN", activation="relu", use_bias=False),
    "lstm_bidirectional": lambda layers, dtype: _bi(layers, "LSTM", dtype),
    "gru_bidirectional_sum": lambda layers, dtype: _bi(layers, "GRU", dtype, "sum"),
    "rnn_of_cells": rnn_of_cells,
    "lstm_2_layers": lambda layers, dtype: [_plain("LSTM")(layers, dtype) for _ in range(2)],
    "gru_2_layers_bidirectional": lambda layers, dtype: [
        _bi(layers, "GRU", dtype, reset_after=False) for _ in range(2)
    ],
}
FLAX: dict[str, Callable] = {
    "optimized_lstm": lambda nn, cell: cell("OptimizedLSTMCell"),
    "lstm": lambda nn, cell: cell("LSTMCell"),
    "lstm_activations": lambda nn, cell: cell(
        "LSTMCell", gate_fn=jax.nn.hard_sigmoid, activation_fn=jax.nn.relu
    ),
    "gru": lambda nn, cell: nn.RNN(cell("GRUCell")),
    "gru_activations": lambda nn, cell: cell("GRUCell", activation_fn=jax.nn.relu),
    "rnn": lambda nn, cell: cell("SimpleCell"),
}
NNX = FLAX | {
    "lstm_bidirectional": lambda nn, cell: nn.Bidirectional(
        nn.RNN(cell("LSTMCell")), nn.RNN(cell("LSTMCell")), time_major=True
    ),
    "gru_bidirectional_sum": lambda nn, cell: nn.Bidirectional(
        nn.RNN(cell("GRUCell")), nn.RNN(cell("GRUCell")), time_major=True, merge_fn=jnp.add
    ),
    "rnn_2_layers": lambda nn, cell: nn.Sequential(
        nn.RNN(cell("SimpleCell"), time_major=True),
        nn.RNN(cell("SimpleCell", H, 5), time_major=True),
    ),
}
LINEN = FLAX | {
    "lstm_bidirectional": NNX["lstm_bidirectional"],
    "gru_bidirectional_sum": NNX["gru_bidirectional_sum"],
    "rnn_2_layers": lambda nn, cell: nn.Sequential(
        [nn.RNN(cell("SimpleCell"), time_major=True), nn.RNN(cell("GRUCell", 5), time_major=True)]
    ),
}
EQUINOX: dict[str, Callable] = {
    "lstm": lambda cell: cell("LSTMCell"),
    "lstm_no_bias": lambda cell: cell("LSTMCell", use_bias=False),
    "gru": lambda cell: cell("GRUCell"),
    "gru_no_bias": lambda cell: cell("GRUCell", use_bias=False),
    "gru_2_layers": lambda cell: (cell("GRUCell"), cell("GRUCell", H, 5)),
    "lstm_bidirectional": lambda cell: {
        "forward": cell("LSTMCell"),
        "backward": cell("LSTMCell", D, 5),
    },
}
HAIKU: dict[str, tuple[Callable, list[str] | None]] = {
    "lstm": (lambda hk: hk.LSTM(H), None),
    "gru": (lambda hk: hk.GRU(H), None),
    "rnn": (lambda hk: hk.VanillaRNN(H), None),
    "rnn_single_bias": (lambda hk: hk.VanillaRNN(H, double_bias=False), None),
    "lstm_2_layers": (_deep("LSTM"), ["lstm", "lstm_1"]),
    "gru_2_layers": (_deep("GRU"), ["gru", "gru_1"]),
}

CONFIGURATIONS: dict[str, Callable[[str], Peer]] = {
    **{f"torch/{n}": partial(torch_peer, name=k, **o) for n, (k, o) in TORCH.items()},
    **{f"keras/{n}": partial(keras_peer, make=make) for n, make in KERAS.items()},
    **{f"nnx/{n}": partial(nnx_peer, make=make) for n, make in NNX.items()},
    **{f"linen/{n}": partial(linen_peer, make=make) for n, make in LINEN.items()},
    **{f"equinox/{n}": partial(equinox_peer, make=make) for n, make in EQUINOX.items()},
    **{f"haiku/{n}": partial(haiku_peer, make=m, names=n2) for n, (m, n2) in HAIKU.items()},
}
