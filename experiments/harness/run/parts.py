"""Applies a function to a few rows at a time, for batches that do not fit into RAM at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def map_in_parts(
    function: Callable[[Any], jax.Array], xs: Any, rows: int, axis: int = 0
) -> jax.Array:
    """``function(xs)``, computed for ``rows`` rows at a time and joined.

    Args:
        function: Returns an array with one entry per row along ``axis``, which depends only on the
            same row of ``xs``.
        xs: A tree of arrays ``[T, B, ...]`` or ``[B]``, such as ``Sequences`` or a ``PairBatch``.
        rows: How many rows are computed at a time.
        axis: The axis of rows in the function's output.
    """
    count = next(leaf.shape[1] for leaf in jax.tree.leaves(xs) if leaf.ndim > 1)
    parts = -(-count // rows)
    if parts == 1:
        return function(xs)

    def split(leaf: Any) -> jax.Array:
        """Splits the rows into parts, as a new first axis; the last part repeats the last row."""
        at = min(leaf.ndim - 1, 1)
        beyond = [(0, parts * rows - count) if n == at else (0, 0) for n in range(leaf.ndim)]
        filled = jnp.pad(leaf, beyond, mode="edge")
        shape = (*leaf.shape[:at], parts, rows, *leaf.shape[at + 1 :])
        return jnp.moveaxis(filled.reshape(shape), at, 0)

    outputs = jnp.moveaxis(jax.lax.map(function, jax.tree.map(split, xs)), 0, axis)
    shape = (*outputs.shape[:axis], parts * rows, *outputs.shape[axis + 2 :])
    return jax.lax.slice_in_dim(outputs.reshape(shape), 0, count, axis=axis)
