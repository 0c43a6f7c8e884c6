"""Makes the graph of a cell's equations readable: groups of operations become one node."""

from lstm_jax.insight.drawing.graph import Graph, Node, Value
from lstm_jax.insight.drawing.operations import ACTIVATIONS

LARGEST_GROUP = 16


def simplify(graph: Graph) -> Graph:
    """Groups operations and removes what nobody reads; changes ``graph``."""
    remove_unread(graph)
    group_functions(graph)
    remove_unread(graph)
    label_products(graph)
    while fuse_once(graph):
        pass
    return graph


def remove_unread(graph: Graph) -> None:
    """Removes nodes that lead to no named value. Inputs stay."""
    live = {value.node for value in graph.named.values()} | set(graph.inputs.values())
    for i in reversed(range(len(graph.nodes))):
        node = graph.nodes[i]
        if node is None:
            continue
        if i in live:
            live |= {value.node for value in node.inputs}
        else:
            graph.nodes[i] = None


def group_functions(graph: Graph) -> None:
    """Normalisation, softmax and the like, which read one value, become one node each."""
    for end in range(len(graph.nodes)):
        node = graph.nodes[end]
        if node is not None and node.primitive in ("mul", "div", "concatenate", "select_n"):
            found = find_group(graph, end)
            if found is not None:
                entry, label = found
                graph.nodes[end] = Node("function", label, (entry,))
                remove_unread(graph)


def find_group(graph: Graph, end: int) -> tuple[Value, str] | None:
    """The only value that a group of operations ending in ``end`` reads, and the group's name."""
    consumers = graph.consumers()
    named = {value.node for value in graph.named.values()}
    group = {end}
    frontier = {value.node for value in graph.node(Value(end)).inputs}
    found = None
    while frontier and len(group) <= LARGEST_GROUP:
        last = max(frontier)
        node = graph.node(Value(last))
        if len(frontier) == 1:
            found = named_group(graph, group, last) or found
            if found is not None and node.primitive != "sub":  # the mean or the largest is in it
                break
        if not node.inputs or node.weighted or last in named or not set(consumers[last]) <= group:
            break
        group.add(last)
        frontier = (frontier - {last}) | {value.node for value in node.inputs}
    return found


def named_group(graph: Graph, group: set[int], source: int) -> tuple[Value, str] | None:
    """What the ``group`` reads of ``source``, and the group's name, if it has one."""
    members = [graph.node(Value(i)) for i in group]
    label = group_name({node.primitive for node in members})
    if label is None:
        return None
    parts = {value.part for node in members for value in node.inputs if value.node == source}
    if label == "rotate":  # it reads both halves
        parts = {part.rpartition("/")[0] for part in parts}
    return (Value(source, parts.pop()), label) if len(parts) == 1 else None


def group_name(primitives: set[str]) -> str | None:
    """What people call a function of one value that is made of these operations."""
    if {"exp", "reduce_sum", "div"} <= primitives:
        return "softmax"
    if {"rsqrt", "reduce_sum", "sub"} <= primitives:
        return "norm"
    if "reduce_sum" in primitives and primitives & {"rsqrt", "sqrt"}:
        return "unit length"
    if {"concatenate", "mul", "add", "sub"} == primitives:
        return "rotate"
    if {"ge", "add", "logistic", "select_n"} == primitives:
        return "positive"
    return None


def label_products(graph: Graph) -> None:
    """Products with parameters are written with their operand: ``W x``."""
    for node in graph.nodes:
        if node is not None and node.weighted:
            operand = graph.node(node.inputs[0])
            known = {"input": "x", "previous:h": "h"}.get(operand.label, "·")
            node.label = f"{node.label} {known}"


def fuse_once(graph: Graph) -> bool:
    """Joins one operation with a constant to the function before it: ``W x`` and ``+ b``."""
    consumers = graph.consumers()
    named = {value.node for value in graph.named.values()}
    for i, node in enumerate(graph.nodes):
        if node is None or len(node.inputs) != 1 or node.primitive not in ("add", "sub", "mul"):
            continue
        before = node.inputs[0]
        inner = graph.node(before)
        if before.node in named or len(consumers[before.node]) > 1 or before.part:
            continue
        function = inner.label in ACTIVATIONS or inner.primitive in ("fused", "function")
        constant = node.label[2:]
        if node.label.startswith(("+ ", "− ")) and (inner.weighted or function):
            label = f"{inner.label} {node.label}"
        elif node.label.startswith("× ") and function and " + " not in inner.label:
            number = constant[0].isdigit() or constant[0] == "−"
            label = f"{constant} {inner.label}" if number else f"{inner.label} {node.label}"
        else:
            continue
        graph.nodes[i] = Node("fused", label, inner.inputs, inner.weighted)
        graph.nodes[before.node] = None
        return True
    return False
