"""lstm_jax: ``lj.unroll`` of a cell or a chain of cells, by default with method "auto"."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from benchmarks.harness.work import Layer
from benchmarks.peers import Model

PACKAGE = "lstm_jax"
CONVENTIONS = {"lstm": "default", "gru": "default"}


def model(
    cell: str, layers: list[Layer], *, reset_after: bool = True, method: str = "auto"
) -> Model:
    size = layers[0]["w_h"].shape[0]

    def one() -> lj.Cell:
        return lj.lstm(size) if cell == "lstm" else lj.gru(size, reset_after=reset_after)

    def weights(layer: Layer) -> dict[str, Any]:
        extra = {"b_h": np.zeros(size, np.float32)} if cell == "gru" and reset_after else {}
        return jax.tree.map(jnp.asarray, layer | extra)

    def named(params: Any) -> Layer:
        return {name: np.asarray(params[name]) for name in ("w_x", "w_h", "b")}

    first = one()
    network = lj.chain(*(one() for _ in layers)) if len(layers) > 1 else first
    each = [weights(layer) for layer in layers]
    params: Any = tuple(each) if len(layers) > 1 else each[0]
    return Model(
        params=params,
        run=lambda params, xs: lj.unroll(network, params, xs, method=method)[1],
        to_layers=lambda tree: [named(part) for part in (tree if len(layers) > 1 else [tree])],
        time_axis=0,
        step=lambda params, state, x: first.step(params, state, x),
        state=first.initial_state(each[0], (1,)),
        data_parallel=lj.data_parallel,
    )
