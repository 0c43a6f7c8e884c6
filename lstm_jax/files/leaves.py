"""The names of weights: their paths in the params, such as "0.w_x" or "cell.forward.b"."""

from typing import Any

import jax

from lstm_jax._internal.errors import WrongValue


def leaf_names(argument: str, tree: Any) -> list[str]:
    """The names of the leaves, in their order.

    Raises:
        ValueError: If two leaves have the same name, since a key has a dot in it.
    """
    names = [
        ".".join(jax.tree_util.keystr((key,), simple=True) for key in path)
        for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ]
    for name in names:
        if names.count(name) > 1:
            raise WrongValue(f"{argument}: expected a name for each leaf, got {name!r} twice")
    return names


def by_name(tree: Any) -> dict[str, Any]:
    """The leaves by name."""
    return dict(zip(leaf_names("params", tree), jax.tree.leaves(tree), strict=True))
