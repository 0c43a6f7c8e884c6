"""Inside ``shard_map``: over which mesh axes values vary, which a loop's carry must say at once.

JAX refuses a loop whose first carry is the same on all devices where what follows is not. Outside
``shard_map`` nothing varies, and nothing is done.
"""

from typing import Any

import jax


def axes_of(*trees: Any) -> frozenset:
    """The mesh axes over which any leaf varies: an array's, or those of ``jax.eval_shape``."""
    leaves = jax.tree.leaves(trees)
    return frozenset().union(*(_axes(leaf) for leaf in leaves))


def cast(axes: frozenset, tree: Any) -> Any:
    """``tree`` with leaves that vary over ``axes``, from here on.

    The gradient's sum over devices then stands here, outside of any loop that follows.
    """

    def cast(leaf: jax.Array) -> jax.Array:
        missing = tuple(sorted(axes - _axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(cast, tree) if axes else tree


def _axes(leaf: Any) -> frozenset:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        manual = leaf.manual_axis_type
    else:
        manual = jax.typeof(leaf).mat
    return frozenset() if manual is None else manual.varying
