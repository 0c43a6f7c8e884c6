"""lstm_jax: ``lj.unroll`` of a cell or a chain of cells, by default with method "auto"."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from benchmarks.harness.work import Layer
from benchmarks.peers import Model, weights

PACKAGE = "lstm_jax"
CONVENTIONS = {"lstm": "default", "gru": "default"}


def model(
    cell: str, layers: list[Layer], *, reset_after: bool = True, method: str = "auto"
) -> Model:
    def named(params: Any) -> Layer:
        return {name: np.asarray(params[name]) for name in ("w_x", "w_h", "b")}

    network, weighted = weights.ours(cell, layers, reset_after=reset_after)
    params = jax.tree.map(jnp.asarray, weighted)
    first, first_params = weights.ours(cell, layers[:1], reset_after=reset_after)
    return Model(
        params=params,
        run=lambda params, xs: lj.unroll(network, params, xs, method=method)[1],
        to_layers=lambda tree: [named(part) for part in (tree if len(layers) > 1 else [tree])],
        time_axis=0,
        step=lambda params, state, x: first.step(params, state, x),
        state=first.initial_state(first_params, (1,)),
        data_parallel=lj.data_parallel,
    )
