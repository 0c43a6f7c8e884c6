"""Casts for loops inside ``shard_map``, whose carry must vary over its mesh axes from the start.

JAX refuses a loop whose first carry is the same on all devices while later ones are not. Outside
``shard_map`` nothing varies, and nothing is done.
"""

from typing import Any

import jax


def axes_of(*trees: Any) -> frozenset[Any]:
    """The mesh axes over which any leaf varies; leaves are arrays or ``jax.ShapeDtypeStruct``."""
    leaves = jax.tree.leaves(trees)
    return frozenset().union(*(_axes(leaf) for leaf in leaves))


def cast(axes: frozenset[Any], tree: Any) -> Any:
    """``tree`` with leaves marked as varying over ``axes``.

    The gradient is then summed over devices here, outside of any loop that follows.
    """

    def cast_leaf(leaf: jax.Array) -> jax.Array:
        missing = tuple(sorted(axes - _axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(cast_leaf, tree) if axes else tree


def _axes(leaf: Any) -> frozenset[Any]:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        manual = leaf.manual_axis_type
    else:
        manual = jax.typeof(leaf).mat
    return frozenset() if manual is None else manual.varying
