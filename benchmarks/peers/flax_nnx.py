"""Flax NNX: ``nnx.RNN(nnx.OptimizedLSTMCell)`` or ``nnx.RNN(nnx.GRUCell)``, time first.

The GRU has no recurrent candidate bias. Time first is its faster
layout: with batch first, ``nnx.RNN`` transposes before and after the same loop.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.harness.work import Layer
from benchmarks.peers import Model, weights

PACKAGE = "flax"
CONVENTIONS = {"lstm": "default", "gru": "default"}


def model(cell: str, layers: list[Layer], *, dtype: Any = None) -> Model:
    """dtype: of its products; if None, the wider one of the weights' and the inputs'."""

    def filled(layer: Layer) -> nnx.RNN:
        kind: Any = nnx.OptimizedLSTMCell if cell == "lstm" else nnx.GRUCell
        made = kind(layer["w_x"].shape[0], layer["w_h"].shape[0], rngs=nnx.Rngs(0), dtype=dtype)
        for path, array in weights.write("Flax NNX", cell, layer).items():
            dense, name = path.split("/")
            getattr(getattr(made, dense), name).set_value(jnp.asarray(array))
        return nnx.RNN(made, time_major=True)

    parts = [filled(layer) for layer in layers]
    split: Any = nnx.split
    graph, params, rest = split(nnx.Sequential(*parts), nnx.Param, ...)
    step_graph, _, step_rest = split(parts[0].cell, nnx.Param, ...)

    def run(params: Any, xs: Any) -> Any:
        # New variables: the random counters of ``rest`` must belong to this trace.
        return nnx.merge(graph, params, jax.tree.map(lambda leaf: leaf, rest))(xs)

    def first(tree: Any) -> Any:
        return tree["layers"][0]["cell"]

    def step(params: Any, state: Any, x: Any) -> tuple[Any, Any]:
        return nnx.merge(step_graph, first(params), step_rest)(state, x)

    def to_layer(layer: Layer, part: Any) -> Layer:
        paths = [path.split("/") for path in weights.write("Flax NNX", cell, layer)]
        arrays = {f"{dense}/{name}": part[dense][name].get_value() for dense, name in paths}
        return weights.read_gradients("Flax NNX", cell, layer, arrays)

    def to_layers(tree: Any) -> list[Layer]:
        return [to_layer(layer, tree["layers"][i]["cell"]) for i, layer in enumerate(layers)]

    zeros = jnp.zeros((1, layers[0]["w_h"].shape[0]))
    return Model(
        params=params,
        run=run,
        to_layers=to_layers,
        time_axis=0,
        step=step,
        state=(zeros, zeros) if cell == "lstm" else zeros,
    )
