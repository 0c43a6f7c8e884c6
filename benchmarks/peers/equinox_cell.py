"""Equinox: ``eqx.nn.LSTMCell`` or ``eqx.nn.GRUCell`` in ``jax.lax.scan``, as in its docs.

Its cells take a single row, so the scan is mapped over the batch with ``jax.vmap``, along axis 1,
so that time comes first and nothing is transposed. Its weights are ours transposed, in our gate
order.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.work import Layer
from benchmarks.peers import Model

PACKAGE = "equinox"
CONVENTIONS = {"lstm": "default", "gru": "default"}


def model(cell: str, layers: list[Layer]) -> Model:
    def filled(layer: Layer) -> Any:
        kind: Any = eqx.nn.LSTMCell if cell == "lstm" else eqx.nn.GRUCell
        made = kind(layer["w_x"].shape[0], layer["w_h"].shape[0], key=jax.random.key(0))
        values = [jnp.asarray(layer["w_x"].T), jnp.asarray(layer["w_h"].T), jnp.asarray(layer["b"])]
        made = eqx.tree_at(lambda m: [m.weight_ih, m.weight_hh, m.bias], made, values)
        if cell == "gru":
            made = eqx.tree_at(lambda m: m.bias_n, made, jnp.zeros(made.hidden_size))
        return made

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
            {
                "w_x": np.asarray(part.weight_ih).T,
                "w_h": np.asarray(part.weight_hh).T,
                "b": np.asarray(part.bias),
            }
            for part in tree
        ]

    params = [filled(layer) for layer in layers]
    return Model(
        params=params,
        run=lambda parts, xs: jax.vmap(row, in_axes=(None, 1), out_axes=1)(parts, xs),
        to_layers=to_layers,
        time_axis=0,
        step=step,
        state=zero(params[0]),
    )
