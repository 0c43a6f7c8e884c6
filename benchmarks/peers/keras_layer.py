"""Keras on JAX: ``keras.layers.LSTM`` or ``GRU``, with ``stateless_call`` under ``jax.jit``.

Keras takes batch first and transposes inside; it has no other layout. The LSTM has our gate order;
the GRU's is update, reset, candidate.
"""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax.numpy as jnp
import keras
import numpy as np

from benchmarks.harness.work import Layer, reorder_gates
from benchmarks.peers import Model

if keras.backend.backend() != "jax":
    raise ImportError("Keras is already imported with a backend other than JAX")

PACKAGE = "keras"
CONVENTIONS = {"lstm": "default", "gru": "default"}
ORDER = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}  # each its own inverse


def model(cell: str, layers: list[Layer]) -> Model:
    size = layers[0]["w_h"].shape[0]
    order = ORDER[cell]

    def weights(layer: Layer) -> list[Any]:
        w_x, w_h, b = (reorder_gates(layer[name], order) for name in ("w_x", "w_h", "b"))
        bias = b if cell == "lstm" else np.stack([b, np.zeros_like(b)])  # the recurrent one: zero
        return [jnp.asarray(array) for array in (w_x, w_h, bias)]

    kind: Any = keras.layers.LSTM if cell == "lstm" else keras.layers.GRU
    parts = [kind(size, return_sequences=True) for _ in layers]
    for part, layer in zip(parts, layers, strict=True):
        part.build((None, None, layer["w_x"].shape[0]))
    frozen = [[v.value for v in part.non_trainable_variables] for part in parts]
    first = parts[0].cell
    first_frozen = [v.value for v in first.non_trainable_variables]

    def run(params: Any, xs: Any) -> Any:
        for part, values, rest in zip(parts, params, frozen, strict=True):
            xs, _ = part.stateless_call(values, rest, xs)
        return xs

    def step(params: Any, state: Any, x: Any) -> tuple[Any, Any]:
        (y, state), _ = first.stateless_call(params[0], first_frozen, x, state)
        return state, y

    def to_layer(values: Any) -> Layer:
        w_x, w_h, bias = map(np.asarray, values)
        named = {"w_x": w_x, "w_h": w_h, "b": bias if cell == "lstm" else bias[0]}
        return {name: reorder_gates(array, order) for name, array in named.items()}

    zeros = jnp.zeros((1, size))
    return Model(
        params=[weights(layer) for layer in layers],
        run=run,
        to_layers=lambda tree: [to_layer(values) for values in tree],
        time_axis=1,
        step=step,
        state=[zeros, zeros] if cell == "lstm" else [zeros],
    )
