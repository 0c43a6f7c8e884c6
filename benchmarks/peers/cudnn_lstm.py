"""cuDNN's LSTM through JAX, ``jax.experimental.rnn``: only on an NVIDIA GPU, batch first.

Its gates are in our order; its weights are transposed, in one flat array, with a second bias, which
is zero here. It computes in float32 only.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

from benchmarks.harness.work import Layer
from benchmarks.peers import Model
from lstm_jax._internal.errors import WrongValue

PACKAGE = "jax"
CONVENTIONS = {"lstm": "default"}
FULL_FLOAT32 = jax.lax.Precision.HIGHEST  # and not TF32


def flat(layer: Layer) -> np.ndarray:
    """The layer's weights in cuDNN's order: both matrices, then both biases."""
    parts = (layer["w_x"].T, layer["w_h"].T, layer["b"], np.zeros_like(layer["b"]))
    return np.concatenate([part.ravel() for part in parts])


def model(cell: str, layers: list[Layer]) -> Model:
    if cell not in CONVENTIONS:
        raise WrongValue(f"cell: expected lstm, cuDNN's only cell, got {cell}")
    (layer,) = layers
    inputs, hidden = layer["w_x"].shape[0], layer["w_h"].shape[0]

    def run(params: Any, xs: Any) -> Any:
        rows, steps = xs.shape[:2]
        zeros = jnp.zeros((1, rows, hidden), xs.dtype)
        lengths = jnp.full(rows, steps, jnp.int32)
        return rnn.lstm(
            xs, zeros, zeros, params, lengths, inputs, hidden, 1, 0.0, False, FULL_FLOAT32
        )[0]

    def to_layers(tree: Any) -> list[Layer]:
        w_x, w_h, b, _ = rnn.unpack_lstm_weights(jnp.asarray(tree), inputs, hidden, 1, False)
        return [{"w_x": np.asarray(w_x[0]).T, "w_h": np.asarray(w_h[0]).T, "b": np.asarray(b[0])}]

    def step(params: Any, state: Any, x: Any) -> Any:
        raise NotImplementedError("cuDNN's LSTM has no single step here")

    return Model(flat(layer), run, to_layers, time_axis=1, step=step, state=())
