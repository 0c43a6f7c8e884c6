"""Keras on JAX: ``keras.layers.LSTM`` or ``GRU``, with ``stateless_call`` under ``jax.jit``.

Keras takes batch first and transposes inside; it has no other layout.
"""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax.numpy as jnp
import keras

from benchmarks.harness.work import Layer
from benchmarks.peers import Model, weights

if keras.backend.backend() != "jax":
    raise ImportError("Keras is already imported with a backend other than JAX")

PACKAGE = "keras"
CONVENTIONS = {"lstm": "default", "gru": "default"}


def model(cell: str, layers: list[Layer]) -> Model:
    size = layers[0]["w_h"].shape[0]
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

    written = [weights.write("Keras", cell, layer) for layer in layers]

    def to_layer(layer: Layer, values: Any) -> Layer:
        arrays = dict(zip(written[0], values, strict=True))
        return weights.read_gradients("Keras", cell, layer, arrays)

    zeros = jnp.zeros((1, size))
    return Model(
        params=[list(map(jnp.asarray, arrays.values())) for arrays in written],
        run=run,
        to_layers=lambda tree: list(map(to_layer, layers, tree)),
        time_axis=1,
        step=step,
        state=[zeros, zeros] if cell == "lstm" else [zeros],
    )
