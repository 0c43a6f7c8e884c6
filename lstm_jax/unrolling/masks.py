"""Per-row choices between trees, and the partition of trees into floats and other leaves."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Masks(NamedTuple):
    """The steps that count and those at which rows restart, each ``[T, *batch]``.

    ``valid`` is None if all steps count, ``resets`` if no row restarts. In a method, ``resets`` are
    those in the direction of travel.
    """

    valid: jax.Array | None
    resets: jax.Array | None


def where(mask: jax.Array | None, chosen: Any, other: Any) -> Any:
    """``chosen`` in the rows where ``mask [*rows]`` is True, ``other`` elsewhere, leaf by leaf.

    Without a mask the result is ``chosen``. Leaves may have further axes after those of the rows.
    """
    if mask is None:
        return chosen

    def select(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(jnp.expand_dims(mask, range(mask.ndim, a.ndim)), a, b)

    return jax.tree.map(select, chosen, other)


def zero_where_not(mask: jax.Array | None, tree: Any) -> Any:
    """``tree`` with zeros in the rows where ``mask`` is False."""
    return where(mask, tree, jax.tree.map(jnp.zeros_like, tree))


def not_finite(values: jax.Array) -> jax.Array:
    """Whether there is a NaN or an infinity along the last axis of ``values``.

    A matrix product is used since it is faster than a reduction; its factor avoids an overflow of
    the sums.
    """
    factor = jnp.full(values.shape[-1:], 1e-4, values.dtype)
    return ~jnp.isfinite(jax.lax.stop_gradient(values) @ factor)


def nan_where(rows: jax.Array, values: jax.Array, source: jax.Array) -> jax.Array:
    """``values [*rows, ...]`` with NaN where ``rows [*rows]`` is True.

    The NaN is a multiple of ``source [*rows, n]``, so that the derivative by the source of that
    row, and of no other, is NaN too.
    """
    factor = jnp.where(rows, jnp.nan, 0.0)  # zero elsewhere: NaN makes zero cotangents NaN
    nan = (factor.astype(source.dtype) * source[..., 0]).astype(values.dtype)
    further = range(rows.ndim, values.ndim)
    return jnp.where(jnp.expand_dims(rows, further), jnp.expand_dims(nan, further), values)


def widen_floats(tree: Any) -> Any:
    """``tree`` with its floating leaves in float32 or wider, for sums over time."""

    def widen(leaf: Any) -> Any:
        if not differentiable(leaf):  # such as random keys, which cannot be cast
            return leaf
        return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))

    return jax.tree.map(widen, tree)


def narrow_floats(tree: Any, like: Any) -> Any:
    """``tree`` in the dtypes of ``like``."""

    def narrow(leaf: Any, like: Any) -> Any:
        return leaf.astype(like.dtype) if differentiable(leaf) else leaf

    return jax.tree.map(narrow, tree, like)


def differentiable(leaf: Any) -> bool:
    """Whether ``leaf`` is an array of real or complex floats."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def partition(tree: Any) -> tuple[Any, Any]:
    """Splits ``tree`` into its floating leaves and the others (keys, counts).

    In each half None replaces the leaves of the other one; ``combine`` is the inverse.
    """
    floats = jax.tree.map(lambda leaf: leaf if differentiable(leaf) else None, tree)
    others = jax.tree.map(lambda leaf: None if differentiable(leaf) else leaf, tree)
    return floats, others


def combine(floats: Any, others: Any) -> Any:
    """The inverse of ``partition``."""
    return jax.tree.map(
        lambda a, b: b if a is None else a, floats, others, is_leaf=lambda leaf: leaf is None
    )
