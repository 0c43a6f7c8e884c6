"""Draws any graph from left to right in layers (Sugiyama, Tagawa & Toda 1981)."""

import itertools
import re
from collections.abc import Callable

from lstm_jax.insight.drawing.graph import Graph, Node, Value
from lstm_jax.insight.drawing.operations import CIRCLES
from lstm_jax.insight.drawing.picture import Picture
from lstm_jax.insight.drawing.svg import Box

GAP = 34.0  # between columns
ROW = 16.0  # between the boxes of a column
SWEEPS = 40

Edges = list[tuple[int, int]]


def draw_layered(graph: Graph, *, tall: bool = False) -> Picture:
    """The picture of a graph: every operation, and every named value as a box of its own.

    Args:
        graph: The equations.
        tall: Whether the boxes of values have room for a number.
    """
    boxes, edges = boxes_and_edges(graph)
    for box in boxes:
        box.tall = tall and box.value not in ("", "input")
    layers = layer_of_each(boxes, edges)
    for i, box in enumerate(boxes):
        if box.value.startswith(("state:", "output")):
            layers[i] = max(layers)
    # A long edge passes through one point in each layer between its ends.
    chains: list[list[int]] = []
    points = list(layers)
    for a, b in edges:
        chain = [a]
        for layer in range(layers[a] + 1, layers[b]):
            points.append(layer)
            chain.append(len(points) - 1)
        chains.append([*chain, b])
    links = [link for chain in chains for link in itertools.pairwise(chain)]
    columns = order_columns(points, links)
    heights = [box.height for box in boxes] + [4.0] * (len(points) - len(boxes))
    ys = place_rows(columns, links, heights, len(boxes))
    straighten(chains, columns, points, heights, ys)
    place_columns(boxes, columns, ys)
    picture = Picture(boxes)
    widths = [
        max((boxes[i].width for i in column if i < len(boxes)), default=8.0) for column in columns
    ]
    centres = [next((boxes[i].x for i in column if i < len(boxes)), 0.0) for column in columns]
    for chain, port in zip(chains, ports_of(boxes, chains, ys), strict=True):
        start, end = boxes[chain[0]], boxes[chain[-1]]
        # Out of its column first, so that it crosses no box there.
        line = [(start.x + start.width / 2, start.y),
                (start.x + widths[layers[chain[0]]] / 2, start.y)]  # fmt: skip
        for point in chain[1:-1]:
            x, half = centres[points[point]], widths[points[point]] / 2
            line += [(x - half, ys[point]), (x + half, ys[point])]
        inset = 14.0 - (14.0**2 - port**2) ** 0.5 if end.kind == "circle" else 0.0
        line += [(end.x - widths[layers[chain[-1]]] / 2, end.y + port),
                 (end.x - end.width / 2 + inset, end.y + port)]  # fmt: skip
        picture.line(line)
    return picture


def boxes_and_edges(graph: Graph) -> tuple[list[Box], Edges]:
    """A box for each node and each named value, and who reads whom."""
    boxes: list[Box] = []
    edges: Edges = []
    of_node: dict[int, int] = {}
    of_value: dict[Value, int] = {}
    consumers = graph.consumers()
    read = {i for i, readers in consumers.items() if readers}
    read |= {value.node for value in graph.named.values()}
    gates = {value: name for name, value in graph.named.items() if name.startswith("gate:")}

    def source(value: Value) -> int:
        return of_value.get(value, of_value.get(whole_part(value), of_node[value.node]))

    def add(box: Box, *inputs: Value) -> int:
        boxes.append(box)
        edges.extend((source(value), len(boxes) - 1) for value in dict.fromkeys(inputs))
        return len(boxes) - 1

    for i, node in enumerate(graph.nodes):
        if node is None or (not node.inputs and i not in read):
            continue
        of_node[i] = add(box_of(node), *node.inputs)
        for value, name in gates.items():
            if value.node == i:
                gate = name.removeprefix("gate:")
                of_value[value] = add(Box("value", gate, name), value)
                if whole_part(value).part == gate:  # others may read it in another form
                    of_value[whole_part(value)] = of_value[value]
    for name, value in graph.named.items():
        if not name.startswith("gate:"):
            label = name.removeprefix("state:")
            add(Box("end", f"{label}_{{t}}" if label != name else "y_{t}", name), value)
    return boxes, edges


def whole_part(value: Value) -> Value:
    """The whole gate that ``value`` is a part of."""
    return Value(value.node, re.split(r"[/\[]", value.part)[0])


def box_of(node: Node) -> Box:
    """The box of an operation or of an input."""
    if not node.inputs:
        name = node.label
        label = "x_{t}" if name == "input" else f"{name.removeprefix('previous:')}_{{t−1}}"
        return Box("end", label, name)
    if node.weighted:
        return Box("product", node.label)
    return Box("circle" if node.label in CIRCLES else "function", node.label)


def layer_of_each(boxes: list[Box], edges: Edges) -> list[int]:
    """The length of the longest path to each box."""
    layers = [0] * len(boxes)
    for a, b in sorted(edges, key=lambda edge: edge[1]):  # a box reads earlier ones only
        layers[b] = max(layers[b], layers[a] + 1)
    return layers


def order_columns(points: list[int], links: Edges) -> list[list[int]]:
    """The points of each layer, in an order with few crossings (barycentre heuristic)."""
    columns: list[list[int]] = [[] for _ in range(max(points) + 1)]
    for i, layer in enumerate(points):
        columns[layer].append(i)
    before: dict[int, list[int]] = {i: [] for i in range(len(points))}
    after: dict[int, list[int]] = {i: [] for i in range(len(points))}
    for a, b in links:
        before[b].append(a)
        after[a].append(b)
    best, fewest = [list(column) for column in columns], count_crossings(columns, links)

    def crossings_of(pair: tuple[int, int], place: dict[int, int]) -> int:
        """How many links of the first and the second of a pair cross."""
        return sum(
            place[j] > place[k]
            for near in (before, after)
            for j in near[pair[0]]
            for k in near[pair[1]]
        )

    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        place = {i: k for column in columns for k, i in enumerate(column)}
        near = before if forward else after
        for column in columns if forward else reversed(columns):
            column.sort(key=mean_place(near, place))
            place |= {i: k for k, i in enumerate(column)}
        for column in columns:
            for k in range(len(column) - 1):
                a, b = column[k : k + 2]
                if crossings_of((a, b), place) > crossings_of((b, a), place):
                    column[k : k + 2] = b, a
                    place |= {b: k, a: k + 1}
        crossings = count_crossings(columns, links)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    return best


def mean_place(near: dict[int, list[int]], place: dict[int, int]) -> Callable[[int], float]:
    """The mean place of a point's neighbours; its own place if it has none."""
    return lambda i: sum(place[j] for j in near[i]) / len(near[i]) if near[i] else place[i]


def count_crossings(columns: list[list[int]], links: Edges) -> int:
    """How many pairs of links cross."""
    layer = {i: k for k, column in enumerate(columns) for i in column}
    place = {i: k for column in columns for k, i in enumerate(column)}
    between: dict[int, list[tuple[int, int]]] = {}
    for a, b in links:
        between.setdefault(layer[a], []).append((place[a], place[b]))
    return sum(
        (a - c) * (b - d) < 0
        for pairs in between.values()
        for k, (a, b) in enumerate(pairs)
        for c, d in pairs[:k]
    )


def place_rows(
    columns: list[list[int]], links: Edges, heights: list[float], real: int
) -> list[float]:
    """The height of each point: near its neighbours, and far enough from those of its column."""
    ys = [0.0] * len(heights)
    near: dict[int, list[tuple[int, float]]] = {i: [] for i in range(len(heights))}
    for a, b in links:  # long edges should be straight
        weight = 8.0 ** ((a >= real) + (b >= real))
        near[a].append((b, weight))
        near[b].append((a, weight))
    for column in columns:
        total = 0.0
        for i in column:
            ys[i] = total
            total += heights[i] + ROW
        for i in column:
            ys[i] -= total / 2
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 else reversed(columns):
            wishes, weights = [], []
            for i in column:
                weight = sum(w for _, w in near[i])
                mean = sum(w * ys[j] for j, w in near[i]) / weight if weight else ys[i]
                wishes.append(mean)
                weights.append(max(weight, 0.1))
            for i, y in zip(column, spread(column, wishes, weights, heights), strict=True):
                ys[i] = y
    return ys


def straighten(
    chains: list[list[int]],
    columns: list[list[int]],
    layers: list[int],
    heights: list[float],
    ys: list[float],
) -> None:
    """Moves the points of each long edge to one height, if nothing is in the way; changes ``ys``.

    The longest edges come first.
    """
    place = {i: k for column in columns for k, i in enumerate(column)}

    def is_free(i: int, y: float) -> bool:
        column, k = columns[layers[i]], place[i]
        beside = [j for j in (k - 1, k + 1) if 0 <= j < len(column)]
        return all(
            (ys[column[j]] - y) * (j - k) >= (heights[i] + heights[column[j]]) / 2 + 0.6 * ROW
            for j in beside
        )

    for _ in range(2):
        for chain in sorted(chains, key=len, reverse=True):
            inner, ends = chain[1:-1], (ys[chain[0]], ys[chain[-1]])
            free = [
                y
                for y in dict.fromkeys((*ends, *(ys[i] for i in inner)))
                if all(is_free(i, y) for i in inner)
            ]
            if inner and free:
                best = min(free, key=lambda y: sum(abs(y - end) for end in ends))
                for i in inner:
                    ys[i] = best


def spread(
    column: list[int], wishes: list[float], weights: list[float], heights: list[float]
) -> list[float]:
    """The places nearest to ``wishes``, in least squares, that keep the boxes apart.

    Without the distances between boxes this is isotonic regression: neighbours that want to pass
    each other are pooled at their mean.
    """
    offsets = [0.0]
    for a, b in itertools.pairwise(column):
        offsets.append(offsets[-1] + (heights[a] + heights[b]) / 2 + ROW)
    pools: list[tuple[float, float, int]] = []
    for wish, weight, offset in zip(wishes, weights, offsets, strict=True):
        mean, total, count = wish - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, w, n = pools.pop()
            mean = (mean * total + other * w) / (total + w)
            total, count = total + w, count + n
        pools.append((mean, total, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def place_columns(boxes: list[Box], columns: list[list[int]], ys: list[float]) -> None:
    """Gives all boxes of a column one x, and each its y."""
    x = 0.0
    for column in columns:
        own = [boxes[i] for i in column if i < len(boxes)]
        width = max((box.width for box in own), default=8.0)
        for i in column:
            if i < len(boxes):
                boxes[i].x, boxes[i].y = x + width / 2, ys[i]
        x += width + GAP


def ports_of(boxes: list[Box], chains: list[list[int]], ys: list[float]) -> list[float]:
    """Where each edge ends, above or below the middle of its box, so that arrows stand apart."""
    ports = [0.0] * len(chains)
    ending: dict[int, list[int]] = {}
    for k, chain in enumerate(chains):
        ending.setdefault(chain[-1], []).append(k)
    for arrivals in ending.values():
        arrivals.sort(key=lambda k: ys[chains[k][-2]])
        for place, k in enumerate(arrivals):
            ports[k] = 8.0 * (place - (len(arrivals) - 1) / 2)
    return ports
