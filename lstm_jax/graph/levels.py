"""Levels: the order in which the nodes of acyclic graphs are computed, in steps of equal shapes.

A node's level is the longest path that leads to it, so that all nodes of a level can be computed
at once. A step takes up to ``width`` nodes of one level and up to ``edge_width`` edges to them:
narrow levels waste little, and the shapes depend on sizes alone.
"""

import dataclasses
import itertools
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

NARROWEST, WIDEST = 8, 512  # nodes of a step


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("order", "rank", "sources", "targets", "kinds", "nodes", "edges", "steps"),
    meta_fields=("width", "edge_width"),
)
@dataclasses.dataclass(frozen=True, eq=False)
class Levels:
    """Nodes by level, and the edges sorted by the node that they lead to.

    A place is the position of a node in the order of levels. Arrays are longer than there are
    nodes or edges by the width of a step, so that a step at the end reads within them.

    Attributes:
        order: The node in each place, ``[N + width]``.
        rank: The place of each node, ``[N]``.
        sources: The place that each edge comes from, ``[E + edge_width]``.
        targets: The place that each edge leads to.
        kinds: The kind of each edge.
        nodes: The first place of each step and the number of its nodes, ``[S, 2]``.
        edges: The same for its edges, ``[S, 2]``.
        steps: The number of steps that are used.
        width: The most nodes of a step.
        edge_width: The most edges of a step.
    """

    order: Any  # all fields: JAX puts other things than arrays into pytrees, too
    rank: Any
    sources: Any
    targets: Any
    kinds: Any
    nodes: Any
    edges: Any
    steps: Any
    width: int
    edge_width: int

    def without_kinds(self) -> "Levels":
        """The same, with edges of one kind."""
        return dataclasses.replace(self, kinds=np.zeros(self.kinds.shape, np.int32))


def find_levels(
    count: int, sources: Int[np.ndarray, "E"], targets: Int[np.ndarray, "E"]
) -> Int[np.ndarray, " count"]:
    """The level of each node, from 0; -1 for nodes on a cycle, and for those behind one."""
    level = np.full(count, -1)
    missing = np.bincount(targets, minlength=count)
    by_source = np.argsort(sources, kind="stable")
    ends = np.cumsum(np.bincount(sources, minlength=count))
    outgoing = np.bincount(sources, minlength=count)
    ready, at = np.flatnonzero(missing == 0), 0
    while len(ready):
        level[ready] = at
        counts = outgoing[ready]
        # The positions of all edges that leave these nodes, range after range.
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        reached = targets[by_source[np.repeat(ends[ready] - counts, counts) + offsets]]
        np.subtract.at(missing, reached, 1)
        ready, at = np.unique(reached[missing[reached] == 0]), at + 1
    return level


def widths(nodes: int, levels: int, degree: int) -> tuple[int, int]:
    """The widths of a step, by the sizes of a bucket: about as many nodes as a level has."""
    width = min(max(next_power(-(-nodes // levels)), NARROWEST), WIDEST)
    return width, 2 * max(width, degree)


def make_levels(
    level: Int[np.ndarray, "n"],
    sources: Int[np.ndarray, "e"],
    targets: Int[np.ndarray, "e"],
    kinds: Int[np.ndarray, "e"],
    *,
    nodes: int,
    edges: int,
    levels: int,
    degree: int,
) -> Levels:
    """Puts nodes and edges in order, and cuts the levels into steps.

    ``nodes``, ``edges``, ``levels`` and ``degree`` are the sizes of the bucket.
    """
    count = len(level)
    width, edge_width = widths(nodes, levels, degree)
    order = np.argsort(level, kind="stable")
    rank = np.full(nodes, nodes)
    rank[order] = np.arange(count)
    by_target = np.argsort(rank[targets], kind="stable")
    until = np.zeros(count + 1, int)  # edges to the places before each
    until[1:] = np.cumsum(np.bincount(rank[targets], minlength=nodes)[:count])
    starts, edge_starts = [], []
    bounds = np.searchsorted(level[order], np.arange(int(level.max(initial=-1)) + 2))
    for first, last in itertools.pairwise(bounds.tolist()):
        while first < last:
            fits = int(np.searchsorted(until, until[first] + edge_width, side="right")) - 1
            end = min(first + width, last, fits)
            starts.append((first, end - first))
            edge_starts.append((until[first], until[end] - until[first]))
            first = end
    # Each step but the last of its level has all the nodes, or more than half the edges, of a
    # full one, since edge_width is at least twice the degree.
    bound = levels + nodes // width + 2 * edges // edge_width
    return Levels(
        order=padded(order, nodes + width, 0),
        rank=rank.astype(np.int32),
        sources=padded(rank[sources[by_target]], edges + edge_width, 0),
        targets=padded(rank[targets[by_target]], edges + edge_width, 0),
        kinds=padded(kinds[by_target], edges + edge_width, 0),
        nodes=padded(np.reshape(starts, (-1, 2)), bound, 0),
        edges=padded(np.reshape(edge_starts, (-1, 2)), bound, 0),
        steps=np.asarray(len(starts), np.int32),
        width=width,
        edge_width=edge_width,
    )


def padded(values: np.ndarray, length: int, fill: int) -> np.ndarray:
    """``values`` as int32, with ``fill`` behind them up to ``length``."""
    out = np.full((length, *values.shape[1:]), fill, np.int32)
    out[: len(values)] = values
    return out


def next_power(number: int) -> int:
    """The smallest power of two that is at least ``number``."""
    return 1 << max(number - 1, 0).bit_length()
