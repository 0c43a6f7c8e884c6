"""Haiku: ``hk.LSTM`` or ``hk.GRU`` under ``hk.dynamic_unroll``, layer by layer, time first.

The LSTM's gate order is input, cell, forget, output, and it adds 1 to the forget gate. The GRU
resets before the product, and its update gate is the share that is written, while ours is the share
that is kept.
"""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.work import Layer, reorder_gates
from benchmarks.peers import Model

PACKAGE = "dm-haiku"
CONVENTIONS = {"lstm": "default", "gru": "reset before"}
ORDER = {"lstm": (0, 2, 1, 3), "gru": (1, 0, 2)}  # each its own inverse


def model(cell: str, layers: list[Layer]) -> Model:
    size = layers[0]["w_h"].shape[0]
    order = ORDER[cell]
    # sigmoid(-a) = 1 - sigmoid(a) turns the share written into the share kept.
    signs = np.repeat(np.array([1, 1, 1, 1] if cell == "lstm" else [-1, 1, 1], np.float32), size)
    forget = np.repeat(np.array([0, 0, 1, 0], np.float32), size)

    def core(i: int) -> Any:
        return (hk.LSTM if cell == "lstm" else hk.GRU)(size, name=f"layer_{i}")

    def run(xs: Any) -> Any:
        for i in range(len(layers)):
            part = core(i)
            xs, _ = hk.dynamic_unroll(part, xs, part.initial_state(xs.shape[1]))
        return xs

    def weights(i: int, layer: Layer) -> dict[str, Any]:
        w_x, w_h, b = (reorder_gates(layer[name], order) * signs for name in ("w_x", "w_h", "b"))
        if cell == "lstm":
            stacked = np.concatenate([w_x, w_h])
            return {f"layer_{i}/linear": {"w": stacked, "b": b - forget}}
        return {f"layer_{i}": {"w_i": w_x, "w_h": w_h, "b": b}}

    def to_layer(i: int, layer: Layer, tree: Any) -> Layer:
        if cell == "lstm":
            part = tree[f"layer_{i}/linear"]
            w_x, w_h = np.split(np.asarray(part["w"]), [layer["w_x"].shape[0]])
        else:
            part = tree[f"layer_{i}"]
            w_x, w_h = part["w_i"], part["w_h"]
        named = {"w_x": w_x, "w_h": w_h, "b": part["b"]}
        return {name: reorder_gates(np.asarray(a) * signs, order) for name, a in named.items()}

    params: dict[str, Any] = {}
    for i, layer in enumerate(layers):
        params |= weights(i, layer)
    transformed: Any = hk.without_apply_rng(hk.transform(run))
    one: Any = hk.without_apply_rng(hk.transform(lambda x, state: core(0)(x, state)))

    def step(params: Any, state: Any, x: Any) -> tuple[Any, Any]:
        y, state = one.apply(params, x, state)
        return state, y

    zeros = jnp.zeros((1, size))
    return Model(
        params=jax.tree.map(jnp.asarray, params),
        run=transformed.apply,
        to_layers=lambda tree: [to_layer(i, layer, tree) for i, layer in enumerate(layers)],
        time_axis=0,
        step=step,
        state=hk.LSTMState(zeros, zeros) if cell == "lstm" else zeros,
    )
