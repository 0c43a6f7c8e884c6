"""Per-row choices between trees, and the split of a tree into what has a derivative and not."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Masks(NamedTuple):
    """Which steps of which rows count, and where rows start anew; None where all or none do.

    Both are ``[T, *batch]``. ``resets`` is already that of the direction of travel.
    """

    valid: jax.Array | None
    resets: jax.Array | None


def where(mask: jax.Array | None, chosen: Any, other: Any) -> Any:
    """``chosen`` in the rows where ``mask [*rows]`` holds, ``other`` elsewhere, leaf by leaf.

    No mask means ``chosen`` everywhere. A leaf may have further axes behind the rows'.
    """
    if mask is None:
        return chosen

    def select(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(jnp.expand_dims(mask, range(mask.ndim, a.ndim)), a, b)

    return jax.tree.map(select, chosen, other)


def zero_where_not(mask: jax.Array | None, tree: Any) -> Any:
    """``tree`` with zeros in the rows where ``mask`` does not hold."""
    return where(mask, tree, jax.tree.map(jnp.zeros_like, tree))


def not_finite(values: jax.Array) -> jax.Array:
    """Whether there is NaN or infinity along the last axis of ``values``.

    By a product, which reads them faster than a reduction; its factor keeps sums from overflowing.
    """
    factor = jnp.full(values.shape[-1:], 1e-4, values.dtype)
    return ~jnp.isfinite(jax.lax.stop_gradient(values) @ factor)


def nan_where(rows: jax.Array, values: jax.Array, source: jax.Array) -> jax.Array:
    """``values [*rows, ...]`` with NaN in the ``rows [*rows]`` that hold.

    The NaN is a multiple of ``source [*rows, n]``. So a derivative that reads it is NaN too, and is
    NaN to the source of that row alone.
    """
    factor = jnp.where(rows, jnp.nan, 0.0)  # elsewhere no NaN times a cotangent of zero
    nan = (factor.astype(source.dtype) * source[..., 0]).astype(values.dtype)
    further = range(rows.ndim, values.ndim)
    return jnp.where(jnp.expand_dims(rows, further), jnp.expand_dims(nan, further), values)


def widen_floats(tree: Any) -> Any:
    """``tree`` with its floating leaves in float32 or wider: what sums over time are kept in."""

    def widen(leaf: Any) -> Any:
        if not differentiable(leaf):  # keys, which no cast is for, among them
            return leaf
        return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))

    return jax.tree.map(widen, tree)


def narrow_floats(tree: Any, like: Any) -> Any:
    """``tree`` in the dtypes of ``like``."""

    def narrow(leaf: Any, like: Any) -> Any:
        return leaf.astype(like.dtype) if differentiable(leaf) else leaf

    return jax.tree.map(narrow, tree, like)


def differentiable(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def partition(tree: Any) -> tuple[Any, Any]:
    """``tree`` twice: with its floating leaves alone, and with the others alone (keys, counts).

    None stands where a leaf is missing; ``combine`` puts the halves together again.
    """
    floats = jax.tree.map(lambda leaf: leaf if differentiable(leaf) else None, tree)
    others = jax.tree.map(lambda leaf: None if differentiable(leaf) else leaf, tree)
    return floats, others


def combine(floats: Any, others: Any) -> Any:
    """The tree whose halves ``partition`` gave."""
    return jax.tree.map(
        lambda a, b: b if a is None else a, floats, others, is_leaf=lambda leaf: leaf is None
    )
