"""Haiku: ``hk.LSTM`` or ``hk.GRU`` under ``hk.dynamic_unroll``, layer by layer, time first.

The GRU resets before the product.
"""

from typing import Any

import haiku as hk
import jax.numpy as jnp

from benchmarks.harness.work import Layer
from benchmarks.peers import Model, weights

PACKAGE = "dm-haiku"
CONVENTIONS = {"lstm": "default", "gru": "reset before"}


def model(cell: str, layers: list[Layer]) -> Model:
    size = layers[0]["w_h"].shape[0]

    def core(i: int) -> Any:
        return (hk.LSTM if cell == "lstm" else hk.GRU)(size, name=f"layer_{i}")

    def run(xs: Any) -> Any:
        for i in range(len(layers)):
            part = core(i)
            xs, _ = hk.dynamic_unroll(part, xs, part.initial_state(xs.shape[1]))
        return xs

    def place(i: int, path: str) -> tuple[str, str]:
        """The module and the name of an array of layer i."""
        inside, _, name = path.rpartition("/")
        return f"layer_{i}/{inside}".rstrip("/"), name

    def to_layer(i: int, layer: Layer, tree: Any) -> Layer:
        places = {path: place(i, path) for path in weights.write("Haiku", cell, layer)}
        arrays = {path: tree[module][name] for path, (module, name) in places.items()}
        return weights.read_gradients("Haiku", cell, layer, arrays)

    params: dict[str, Any] = {}
    for i, layer in enumerate(layers):
        for path, array in weights.write("Haiku", cell, layer).items():
            module, name = place(i, path)
            params.setdefault(module, {})[name] = jnp.asarray(array)
    transformed: Any = hk.without_apply_rng(hk.transform(run))
    one: Any = hk.without_apply_rng(hk.transform(lambda x, state: core(0)(x, state)))

    def step(params: Any, state: Any, x: Any) -> tuple[Any, Any]:
        y, state = one.apply(params, x, state)
        return state, y

    zeros = jnp.zeros((1, size))
    return Model(
        params=params,
        run=transformed.apply,
        to_layers=lambda tree: [to_layer(i, layer, tree) for i, layer in enumerate(layers)],
        time_axis=0,
        step=step,
        state=hk.LSTMState(zeros, zeros) if cell == "lstm" else zeros,
    )
