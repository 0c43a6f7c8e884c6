"""The equations of one step of a cell, with its gates by name, as a graph."""

from typing import Any, NamedTuple

import jax

from lstm_jax.core.cell import Cell, with_memory
from lstm_jax.core.forms import Composite, Gated
from lstm_jax.core.numerics import like, product
from lstm_jax.core.steps import input_product
from lstm_jax.insight.drawing.graph import Constant, Graph, Value, read_graph
from lstm_jax.insight.drawing.operations import ACTIVATIONS
from lstm_jax.insight.drawing.simplify import simplify


class Shapes(NamedTuple):
    """The shapes of one step's arguments, without batch axes; params are prepared."""

    params: Any
    state: Any
    x: Any


def shapes_of(cell: Cell, input_size: int) -> Shapes:
    """The shapes of one step for inputs of ``input_size``."""
    params = jax.eval_shape(lambda key: cell.init(key, input_size), jax.random.key(0))
    state = jax.eval_shape(lambda p: cell.initial_state(p, ()), params)
    prepared = jax.eval_shape(lambda p: cell.prepare(with_memory(cell, p), (), None), params)
    return Shapes(prepared, state, jax.ShapeDtypeStruct((input_size,), "float32"))


def step_with_gates(cell: Cell, params: Any, state: Any, x: jax.Array) -> tuple[Any, Any, dict]:
    """``(state, y, gates)`` of one step, with the gates of the cell inside a wrapper."""
    form = cell.form
    if isinstance(form, Gated):
        weights, vectors = form.split(params)
        z = input_product(weights, x)
        r = product(form.source(vectors, state), weights.w_h)
        new, y, gates = form.pointwise(vectors, state, z, r)
        if weights.w_p is not None:
            y = product(y, weights.w_p)
            new = new._replace(h=y)
        return like(state, new), y, gates
    if isinstance(form, Composite):
        gates = {}

        def run(inner, params, xs, state, initial, *, reverse=False, method=None):
            state, y, found = step_with_gates(inner, params, state, xs[0])
            gates.update(found)
            return state, y[None]

        new, ys = form.over_time(run, params, x[None], state, state)
        return new, ys[0], gates
    new, y = cell.advance(params, state, x)
    return new, y, {}


class Part(NamedTuple):
    """A cell inside another one, with the shapes of its step."""

    name: str
    cell: Cell
    shapes: Shapes


def parts_of(cell: Cell, shapes: Shapes) -> list[Part]:
    """The layers of a chain or of a bidirectional layer; empty for a single cell.

    A wrapper has the parts of the cell that it wraps.
    """
    if not isinstance(cell.form, Composite):
        return []
    found: list[tuple[bool, Cell, Shapes]] = []

    def run(inner, params, xs, state, initial, *, reverse=False, method=None):
        if inner.gates or isinstance(inner.form, Composite):
            abstract = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (params, state, xs[0])
            )
            found.append((reverse, inner, Shapes(*abstract)))
        # By step_with_gates, since a bidirectional layer inside has no step.
        state, y, _ = step_with_gates(inner, params, state, xs[0])
        return state, y[None]

    over_time = cell.form.over_time
    jax.eval_shape(
        lambda p, s, x: over_time(run, p, x[None], s, s), shapes.params, shapes.state, shapes.x
    )
    if len(found) == 1:
        return parts_of(*found[0][1:])
    names = [str(i) for i in range(len(found))]
    if any(reverse for reverse, _, _ in found):
        names = ["backward" if reverse else "forward" for reverse, _, _ in found]
    return [Part(name, inner, of) for name, (_, inner, of) in zip(names, found, strict=True)]


def graph_of(cell: Cell, shapes: Shapes) -> Graph:
    """The simplified graph of one step of ``cell``."""
    jaxpr, outputs = jax.make_jaxpr(
        lambda p, s, x: step_with_gates(cell, p, s, x), return_shape=True
    )(*shapes)
    constants = [last_name(path) for path, _ in leaves_of(shapes.params)]
    fields = field_names(shapes.state)
    leaves = jax.tree.leaves(shapes.state)
    inputs = {f"previous:{name}": leaf for name, leaf in zip(fields, leaves, strict=True)}
    inputs |= {"input": shapes.x}
    builder = read_graph(jaxpr, constants, inputs, cell.axis)
    gates = sorted(outputs[2])  # the order of a dict's leaves
    names = [*(f"state:{name}" for name in field_names(outputs[0])), "output"]
    names += [f"gate:{name}" for name in gates]
    named = {
        name: value
        for name, value in zip(names, builder.outputs, strict=True)
        if not isinstance(value, Constant)
    }
    ends = {name: i for i, name in enumerate(inputs)}
    graph = Graph(list(builder.nodes), ends, named)
    if not gates:
        graph.named |= find_gates(graph, cell.gates)
    return simplify(graph)


def leaves_of(tree: Any) -> list:
    return jax.tree_util.tree_leaves_with_path(tree)


def last_name(path: tuple) -> str:
    """The last name on the path of a leaf."""
    names = [str(getattr(k, "name", getattr(k, "key", ""))) for k in path]
    return next((name for name in reversed(names) if name), "parameter")


def field_names(state: Any) -> list[str]:
    """The fields of a state, with as much of their path as tells them apart."""
    paths = [path for path, _ in leaves_of(state)]
    names = [last_name(path) for path in paths]
    if len(set(names)) == len(names):
        return names
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path in paths]


def find_gates(graph: Graph, names: tuple[str, ...]) -> dict[str, Value]:
    """The gates of a cell that does not name them: what becomes of the parts of its packed axis."""
    found = {}
    consumers = graph.consumers()
    for name in names:
        read = [v for n in graph.nodes if n for v in n.inputs if v.part.split("/")[0] == name]
        if not read:
            continue
        value = Value(read[0].node, name)
        readers = [i for i in consumers[value.node] if read[0] in graph.node(Value(i)).inputs]
        while len(set(readers)) == 1:
            node = graph.node(Value(readers[0]))
            if node.label in ACTIVATIONS:
                value = Value(readers[0])
            if node.primitive != "add":
                break
            readers = consumers[readers[0]]
        found[f"gate:{name}"] = value
    return found
