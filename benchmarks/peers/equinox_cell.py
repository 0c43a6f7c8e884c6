"""Equinox: ``eqx.nn.LSTMCell`` or ``eqx.nn.GRUCell`` in ``jax.lax.scan``, as in its docs.

Its cells take a single row, so the scan is mapped over the batch with ``jax.vmap``, along axis 1,
so that time comes first and nothing is transposed.
"""

from typing import Any

import equinox  # noqa: F401 - if it is missing, so is this contender
import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.harness.work import Layer
from benchmarks.peers import Model, weights

PACKAGE = "equinox"
CONVENTIONS = {"lstm": "default", "gru": "default"}


def model(cell: str, layers: list[Layer]) -> Model:
    def zero(part: Any) -> Any:
        zeros = jnp.zeros(part.hidden_size)
        return (zeros, zeros) if cell == "lstm" else zeros

    def hidden(state: Any) -> Any:
        return state[0] if cell == "lstm" else state

    def row(parts: Any, xs: Any) -> Any:
        for part in parts:

            def scan_fn(state: Any, x: Any, part: Any = part) -> tuple[Any, Any]:
                state = part(x, state)
                return state, hidden(state)

            _, xs = jax.lax.scan(scan_fn, zero(part), xs)
        return xs

    def step(parts: Any, state: Any, x: Any) -> tuple[Any, Any]:
        state = parts[0](x[0], state)
        return state, hidden(state)[None]

    def to_layers(tree: Any) -> list[Layer]:
        return [
            weights.read_gradients("Equinox", cell, layer, {n: getattr(part, n) for n in names})
            for layer, part in zip(layers, tree, strict=True)
        ]

    names = weights.write("Equinox", cell, layers[0])
    params = [lj.interop.to_equinox(*weights.ours(cell, [layer])) for layer in layers]
    return Model(
        params=params,
        run=lambda parts, xs: jax.vmap(row, in_axes=(None, 1), out_axes=1)(parts, xs),
        to_layers=to_layers,
        time_axis=0,
        step=step,
        state=zero(params[0]),
    )
