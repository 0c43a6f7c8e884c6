"""Many rows answered a few at a time, for what would not fit into RAM at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def in_parts(function: Callable[[Any], jax.Array], xs: Any, rows: int, axis: int = 0) -> jax.Array:
    """``function(xs)``, computed for so many ``rows`` at a time and put together again.

    Args:
        function: gives an array whose ``axis`` is that of the rows, each computed from its own
            row of ``xs`` alone.
        xs: a tree of arrays ``[T, B, ...]`` or ``[B]``, such as ``Sequences`` or a ``PairBatch``.
    """
    count = next(leaf.shape[1] for leaf in jax.tree.leaves(xs) if leaf.ndim > 1)
    parts = -(-count // rows)
    if parts == 1:
        return function(xs)

    def cut(leaf: Any) -> jax.Array:
        """Rows in parts, as the leading axis; the last part is filled up with the last row."""
        at = min(leaf.ndim - 1, 1)
        beyond = [(0, parts * rows - count) if n == at else (0, 0) for n in range(leaf.ndim)]
        filled = jnp.pad(leaf, beyond, mode="edge")
        shape = (*leaf.shape[:at], parts, rows, *leaf.shape[at + 1 :])
        return jnp.moveaxis(filled.reshape(shape), at, 0)

    outputs = jnp.moveaxis(jax.lax.map(function, jax.tree.map(cut, xs)), 0, axis)
    shape = (*outputs.shape[:axis], parts * rows, *outputs.shape[axis + 2 :])
    return jax.lax.slice_in_dim(outputs.reshape(shape), 0, count, axis=axis)
