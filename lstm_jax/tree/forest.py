"""Batches of trees of any shapes, in arrays whose shapes depend on a bucket of sizes alone."""

import dataclasses
import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int, Shaped

from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray
from lstm_jax.graph.levels import find_levels, make_levels, padded
from lstm_jax.graph.packing import fill, room, split


class Tree(NamedTuple):
    """A tree with ordered children.

    Attributes:
        children: For each node the numbers of its children, from the first to the last, counted
            from 0. Nodes are in any order.
        labels: Text at each node, or nothing.
        words: The word at each leaf, and None at each other node; or nothing.
    """

    children: Sequence[Sequence[int]]
    labels: Sequence[str] = ()
    words: Sequence[str | None] = ()


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("owner", "sizes", "roots", "leaves", "parents", "up", "down"),
    meta_fields=("children",),
)
@dataclasses.dataclass(frozen=True, eq=False)
class Forest:
    """A batch of trees: their nodes end to end, with padding behind them.

    A pytree, so an argument of compiled functions: those of one bucket share a program.

    Attributes:
        owner: The tree of each node, ``[N]``; that of padding is the number of trees.
        sizes: The number of nodes of each tree, ``[trees]``.
        roots: The row of each tree's root, ``[trees]``.
        leaves: Whether each node is a leaf, ``[N]``; False for padding.
        parents: The row of each node's parent, ``[N]``; N for roots and padding.
        up: The order from leaves to roots.
        down: The order from roots to leaves.
        children: The most children that a node may have.
    """

    owner: Any
    sizes: Any
    roots: Any
    leaves: Any
    parents: Any
    up: Any
    down: Any
    children: int

    @property
    def nodes(self) -> int:
        """The number N of rows, padding included."""
        return len(self.owner)

    def fill(self, values: Sequence[Shaped[AnyArray, "_ *features"]]) -> np.ndarray:
        """Values of nodes, one array ``[n, *features]`` per tree, as ``[N, *features]``."""
        return fill(values, np.asarray(self.sizes), self.nodes)

    def split(self, values: Shaped[AnyArray, "N *features"]) -> list[np.ndarray]:
        """The inverse of ``fill``: one array ``[n, *features]`` per tree."""
        return split(values, np.asarray(self.sizes), self.nodes)


@default_promotion
def pack(
    trees: Sequence[Tree],
    *,
    nodes: int | None = None,
    levels: int | None = None,
    children: int | None = None,
) -> Forest:
    """Packs trees of any shapes into a batch.

        forest = lj.tree.pack([lj.tree.Tree([[1, 2], [], []])])
        xs = forest.fill([features])

    The sizes make the bucket: batches of equal sizes and as many trees have equal shapes and share
    a compiled program. Those that are not given are rounded up to powers of two, but for
    ``children``, which is what the trees have.

    Args:
        trees: The trees.
        nodes: The most nodes of all trees together.
        levels: The most levels: the nodes on the longest path from a root to a leaf.
        children: The most children of a node.

    Raises:
        ValueError, TypeError: Without trees, for a tree without nodes, a child that is not there, a
            node with two parents, two roots, a cycle, and trees that the bucket has no room for.
    """
    if not isinstance(trees, list | tuple) or isinstance(trees, Tree) or not trees:
        got = "none" if isinstance(trees, list | tuple) and not trees else type(trees).__name__
        raise WrongValue(f"trees: expected a list of at least one Tree, got {got}")
    flat = [_flatten(f"trees[{i}]", tree) for i, tree in enumerate(trees)]
    sizes = np.array([len(counts) for counts, _ in flat])
    starts = np.cumsum(sizes) - sizes
    counts = np.concatenate([counts for counts, _ in flat])
    below = np.concatenate([of + start for (_, of), start in zip(flat, starts, strict=True)])
    above = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(below)) - np.repeat(np.cumsum(counts) - counts, counts)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    height = find_levels(len(counts), below, above)
    _check_shape(owner, below, height)
    depth = find_levels(len(counts), above, below)
    roots = np.flatnonzero(depth == 0)

    nodes = room("nodes", nodes, len(counts), of=", those of all trees")
    deepest = int(owner[np.argmax(height)])
    levels = room("levels", levels, int(height.max()) + 1, of=f", the levels of trees[{deepest}]")
    widest = int(owner[np.argmax(counts)])
    children = room("children", children, max(int(counts.max()), 1), rounded=False,
                    of=f", those of a node of trees[{widest}]")  # fmt: skip
    sizes_of_bucket = {"nodes": nodes, "edges": nodes, "levels": levels}
    parents = np.full(nodes, nodes, np.int32)
    parents[below] = above
    leaves = np.zeros(nodes, bool)
    leaves[: len(counts)] = counts == 0
    return Forest(
        owner=padded(owner, nodes, len(sizes)),
        sizes=sizes.astype(np.int32),
        roots=roots.astype(np.int32),
        leaves=leaves,
        parents=parents,
        up=make_levels(height, below, above, position, degree=children, **sizes_of_bucket),
        down=make_levels(depth, above, below, position, degree=1, **sizes_of_bucket),
        children=children,
    )


def _flatten(argument: str, tree: Any) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " e"]]:
    """The number of children of each node, and all children from node to node."""
    if not isinstance(tree, Tree):
        raise WrongType(f"{argument}: expected a lj.tree.Tree, got {type(tree).__name__}")
    try:
        counts = np.fromiter(map(len, tree.children), int)
        below = np.array(list(itertools.chain.from_iterable(tree.children)))
    except TypeError:
        raise WrongType(
            f"{argument}.children: expected a list of children for each node, got "
            f"{tree.children!r:.60}"
        ) from None
    if not len(counts):
        raise WrongValue(f"{argument}: expected at least one node, got an empty tree")
    if len(below) and not np.issubdtype(below.dtype, np.integer):
        raise WrongType(f"{argument}.children: expected integers, got {below.dtype}")
    below = below.astype(int)
    outside = (below < 0) | (below >= len(counts))
    if outside.any():
        raise WrongValue(
            f"{argument}.children: expected nodes from 0 to {len(counts) - 1}, got "
            f"{below[np.argmax(outside)]}"
        )
    return counts, below


def _check_shape(owner: np.ndarray, below: np.ndarray, height: np.ndarray) -> None:
    """Checks that each part has no cycle, no node with two parents, and one root."""
    trees = int(owner[-1]) + 1
    parents = np.bincount(below, minlength=len(owner))
    if (height < 0).any():
        i = int(owner[np.argmax(height < 0)])
        raise WrongValue(f"trees[{i}].children: expected a tree, got a cycle")
    if (parents > 1).any():
        node = int(np.argmax(parents > 1))
        i = int(owner[node])
        number = node - int(np.searchsorted(owner, i))
        raise WrongValue(
            f"trees[{i}].children: expected each node to be the child of one, got node {number} "
            f"{parents[node]} times"
        )
    roots = np.bincount(owner[parents == 0], minlength=trees)
    if (roots != 1).any():
        i = int(np.argmax(roots != 1))
        raise WrongValue(f"trees[{i}].children: expected one root, got {roots[i]}")


def checked_forest(argument: str, forest: Any) -> Forest:
    """Returns ``forest`` if it is one."""
    if not isinstance(forest, Forest):
        raise WrongType(
            f"{argument}: expected a Forest, as lj.tree.pack gives it, got {type(forest).__name__}"
        )
    return forest
