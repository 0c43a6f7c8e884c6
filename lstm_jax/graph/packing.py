"""Batches of graphs of any shapes, in arrays whose shapes depend on a bucket of sizes alone."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int, Shaped

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray
from lstm_jax.graph.levels import find_levels, make_levels, next_power, padded

FEWEST = 8  # sizes that are not given are powers of two, from this one


class Graph(NamedTuple):
    """A directed graph.

    Attributes:
        nodes: The number of its nodes.
        edges: ``[E, 2]``, or a list of pairs: the node that an edge comes from, and the one that
            it leads to, counted from 0.
        kinds: The kind of each edge, ``[E]``, counted from 0; by default all are 0.
    """

    nodes: int
    edges: Any
    kinds: Any = None


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("owner", "sizes", "sources", "targets", "edge_kinds", "edge_count", "levels"),
    meta_fields=("kinds",),
)
@dataclasses.dataclass(frozen=True, eq=False)
class Graphs:
    """A batch of graphs: their nodes end to end, with padding behind them.

    A pytree, so an argument of compiled functions: those of one bucket share a program.

    Attributes:
        owner: The graph of each node, ``[N]``; that of padding is the number of graphs.
        sizes: The number of nodes of each graph, ``[graphs]``.
        sources: The node that each edge comes from, ``[E]``.
        targets: The node that each edge leads to, ``[E]``, in ascending order; N for padding.
        edge_kinds: The kind of each edge, ``[E]``.
        edge_count: The number of edges.
        levels: The order in which to compute the nodes of acyclic graphs; None for others.
        kinds: The number of kinds of edges.
    """

    owner: Any
    sizes: Any
    sources: Any
    targets: Any
    edge_kinds: Any
    edge_count: Any
    levels: Any
    kinds: int

    @property
    def nodes(self) -> int:
        """The number N of rows, padding included."""
        return len(self.owner)

    def fill(self, values: Sequence[Shaped[AnyArray, "_ *features"]]) -> np.ndarray:
        """Values of nodes, one array ``[n, *features]`` per graph, as ``[N, *features]``."""
        return fill(values, np.asarray(self.sizes), self.nodes)

    def split(self, values: Shaped[AnyArray, "N *features"]) -> list[np.ndarray]:
        """The inverse of ``fill``: one array ``[n, *features]`` per graph."""
        return split(values, np.asarray(self.sizes), self.nodes)


@default_promotion
def pack(
    graphs: Sequence[Graph],
    *,
    acyclic: bool = True,
    nodes: int | None = None,
    edges: int | None = None,
    levels: int | None = None,
    degree: int | None = None,
    kinds: int | None = None,
) -> Graphs:
    """Packs graphs of any shapes into a batch.

        graphs = lj.graph.pack([lj.graph.Graph(3, [(0, 1), (0, 2), (1, 2)])])
        xs = graphs.fill([features])

    The sizes make the bucket: batches of equal sizes have equal shapes and share a compiled
    program. Those that are not given are rounded up to powers of two (kinds are as given).

    Args:
        graphs: The graphs.
        acyclic: Whether they are to be run in topological order; False allows cycles, and
            ``lj.graph.propagate`` alone.
        nodes: The most nodes of all graphs together.
        edges: The most edges of all graphs together.
        levels: The most levels: the nodes on the longest path.
        degree: The most edges that lead to a node.
        kinds: The number of kinds of edges.

    Raises:
        ValueError, TypeError: Without graphs, for a graph without nodes, an edge of a node that is
            not there, a cycle although ``acyclic``, and graphs that the bucket has no room for.
    """
    acyclic = checking.flag("acyclic", acyclic)
    if not isinstance(graphs, list | tuple) or not graphs:
        got = "none" if isinstance(graphs, list | tuple) else type(graphs).__name__
        raise WrongValue(f"graphs: expected a list of at least one Graph, got {got}")
    sizes: list[int] = []
    parts, part_kinds = [], []
    for i, graph in enumerate(graphs):
        count, pairs, kind = _check(f"graphs[{i}]", graph)
        parts.append(pairs + sum(sizes))
        part_kinds.append(kind)
        sizes.append(count)
    pairs, edge_kinds = np.concatenate(parts), np.concatenate(part_kinds)
    sources, targets = pairs[:, 0], pairs[:, 1]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    kinds = room("kinds", kinds, int(edge_kinds.max(initial=0)) + 1, rounded=False)
    nodes = room("nodes", nodes, len(owner), of=", those of all graphs")
    edges = room("edges", edges, len(sources), of=", those of all graphs")
    order = None
    if acyclic:
        level = find_levels(len(owner), sources, targets)
        if (level < 0).any():
            i = int(owner[np.argmax(level < 0)])
            raise WrongValue(f"graphs[{i}]: expected an acyclic graph, got one with a cycle")
        deepest = int(owner[np.argmax(level)])
        levels = room("levels", levels, int(level.max()) + 1,
                      of=f", the levels of graphs[{deepest}]")  # fmt: skip
        degrees = np.bincount(targets, minlength=len(owner))
        widest = int(owner[np.argmax(degrees)])
        degree = room("degree", degree, int(degrees.max()),
                      of=f", those of a node of graphs[{widest}]")  # fmt: skip
        order = make_levels(level, sources, targets, edge_kinds,
                            nodes=nodes, edges=edges, levels=levels, degree=degree)  # fmt: skip
    by_target = np.argsort(targets, kind="stable")
    return Graphs(
        owner=padded(owner, nodes, len(sizes)),
        sizes=np.asarray(sizes, np.int32),
        sources=padded(sources[by_target], edges, 0),
        targets=padded(targets[by_target], edges, nodes),
        edge_kinds=padded(edge_kinds[by_target], edges, 0),
        edge_count=np.asarray(len(sources), np.int32),
        levels=order,
        kinds=kinds,
    )


def _check(argument: str, graph: Any) -> tuple[int, Int[np.ndarray, "E 2"], Int[np.ndarray, " E"]]:
    """The nodes, edges and kinds of a graph."""
    if not isinstance(graph, Graph):
        raise WrongType(f"{argument}: expected a lj.graph.Graph, got {type(graph).__name__}")
    count = checking.positive_int(f"{argument}.nodes", graph.nodes)
    edges = np.asarray(graph.edges)
    if edges.size == 0:
        edges = np.zeros((0, 2), int)
    if edges.ndim != 2 or edges.shape[1] != 2 or not np.issubdtype(edges.dtype, np.integer):
        raise WrongValue(
            f"{argument}.edges: expected pairs of integers, got {edges.dtype} of shape "
            f"{edges.shape}"
        )
    if edges.size and (edges.min() < 0 or edges.max() >= count):
        wrong = edges.min() if edges.min() < 0 else edges.max()
        raise WrongValue(f"{argument}.edges: expected nodes from 0 to {count - 1}, got {wrong}")
    kinds = np.zeros(len(edges), int) if graph.kinds is None else np.asarray(graph.kinds)
    if kinds.shape != (len(edges),) or (kinds.size and not np.issubdtype(kinds.dtype, np.integer)):
        raise WrongValue(
            f"{argument}.kinds: expected an integer for each of {len(edges)} edges, got "
            f"{kinds.dtype} of shape {kinds.shape}"
        )
    if kinds.min(initial=0) < 0:
        raise WrongValue(f"{argument}.kinds: expected kinds from 0 up, got {kinds.min()}")
    return count, edges.astype(int), kinds.astype(int)


def room(argument: str, given: Any, needed: int, *, rounded: bool = True, of: str = "") -> int:
    """The size of a bucket: as given, if there is room, or ``needed`` rounded up."""
    if given is None:
        return next_power(max(needed, FEWEST)) if rounded else needed
    given = checking.positive_int(argument, given)
    if given < needed:
        raise WrongValue(f"{argument}: expected at least {needed}{of}, got {given}")
    return given


def fill(values: Any, sizes: np.ndarray, nodes: int) -> np.ndarray:
    """One array per graph, end to end, with zeros behind them."""
    arrays = [np.asarray(value) for value in values]
    if [len(a) for a in arrays] != sizes.tolist():
        raise WrongValue(
            f"values: expected arrays of {sizes.tolist()} nodes, got {[len(a) for a in arrays]}"
        )
    if len({(a.shape[1:], a.dtype) for a in arrays}) != 1:
        shapes = sorted({f"{a.dtype} {a.shape[1:]}" for a in arrays})
        raise WrongValue(f"values: expected features of one shape and dtype, got {shapes}")
    out = np.zeros((nodes, *arrays[0].shape[1:]), arrays[0].dtype)
    out[: int(sizes.sum())] = np.concatenate(arrays)
    return out


def split(values: Any, sizes: np.ndarray, nodes: int) -> list[np.ndarray]:
    """The inverse of ``fill``."""
    values = np.asarray(checking.array("values", values))
    if values.ndim < 1 or len(values) != nodes:
        raise WrongValue(f"values: expected {nodes} rows, as many as nodes, got {values.shape}")
    return np.split(values[: int(sizes.sum())], np.cumsum(sizes)[:-1])
