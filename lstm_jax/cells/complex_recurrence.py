"""The recurrent weights of the complex gated cells."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.cells.complex_numbers import draw_parts, real_form
from lstm_jax.cells.unitary_matrices import UNITARY_MATRICES
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.numerics import product
from lstm_jax.core.typing import Params

RECURRENCES = ("free", *UNITARY_MATRICES)


class Recurrent:
    """The recurrent weights of a gated cell: those of its gates, and W, which may be unitary.

    Args:
        axis: The gates, the last of which is the one that W feeds.
        fed: The name of this gate.
        units: The number N of complex units.
        recurrence: "free", or a key of ``UNITARY_MATRICES``.
    """

    def __init__(self, axis: GateAxis, fed: str, units: int, recurrence: str):
        self.fed, self.units = fed, units
        self.matrix = None if recurrence == "free" else UNITARY_MATRICES[recurrence](units)
        # Free weights of W stand in w_h beside those of the gates.
        self.axis = axis if self.matrix is None else axis.leading(axis.width - 2 * units)

    def init(self, key: jax.Array, dtype: jnp.dtype) -> Params:
        key_h, key_w = jax.random.split(key)
        w_h = draw_parts(key_h, self.units, self.axis, dtype, complex_rows=True)
        return {"w_h": w_h} | ({} if self.matrix is None else self.matrix.init(key_w, dtype))

    def prepare(self, params: Params, batch_shape: Any, key: Any) -> Params:
        weights = self.axis.split(real_form(params["w_h"], self.units))
        matrix = weights.pop(self.fed, None)
        if self.matrix is not None:
            matrix = self.matrix.prepare(params)
        gates = jnp.concatenate(list(weights.values()), axis=-1)
        return params | {"w_h": gates, "w": matrix}

    def gates(self, params: Params, h: jax.Array) -> dict[str, jax.Array]:
        """``h w_h`` by gate, for all gates but the one that W feeds."""
        packed = product(h, params["w_h"])
        return self.axis.leading(packed.shape[-1]).split(packed)

    def apply(self, params: Params, h: jax.Array) -> jax.Array:
        """``W h``."""
        if self.matrix is None:
            return product(h, params["w"])
        return self.matrix.apply(params["w"], h)
