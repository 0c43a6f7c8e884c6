"""The equations of one step of a cell, with its gates by name, as a graph."""

from typing import Any, NamedTuple

import jax

from lstm_jax.core.cell import Cell, with_memory
from lstm_jax.core.forms import Composite, PartCall
from lstm_jax.core.steps import observe
from lstm_jax.core.typing import State
from lstm_jax.insight.drawing.graph import Constant, Graph, read_graph
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
    x = jax.ShapeDtypeStruct((*cell.grid.inputs, input_size), "float32")
    return Shapes(prepared, state, x)


def step_with_gates(
    cell: Cell, params: Any, state: Any, x: jax.Array
) -> tuple[Any, Any, dict[str, Any]]:
    """``(state, y, gates)`` of one step, with the gates of the cell inside a wrapper."""
    if not isinstance(cell.form, Composite):
        state, y, observed = observe(cell)(params, state, x)
        return state, y, observed.gates
    gates = {}

    def run_part(part: PartCall) -> tuple[State, jax.Array]:
        # Not by the step of the cell, since a bidirectional layer inside has none.
        state, y, found = step_with_gates(part.cell, part.params, part.state, part.xs)
        gates.update(found)
        return state, y

    state, y = cell.form.run_parts(run_part, params, x, state, state)
    return state, y, gates


class Part(NamedTuple):
    """A cell inside another one, with the shapes of its step."""

    name: str
    cell: Cell
    shapes: Shapes


def parts_of(cell: Cell, shapes: Shapes) -> list[Part]:
    """The layers of a chain or of a bidirectional layer; empty for a single cell.

    A wrapper has the parts of the cell that it wraps.
    """
    form = cell.form
    if not isinstance(form, Composite):
        return []
    found: list[Part] = []

    def run_part(part: PartCall) -> tuple[State, jax.Array]:
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype),
            (part.params, part.state, part.xs),
        )
        if part.name is None:
            found.extend(parts_of(part.cell, Shapes(*abstract)))
        else:
            found.append(Part(part.name, part.cell, Shapes(*abstract)))
        return step_with_gates(part.cell, part.params, part.state, part.xs)[:2]

    jax.eval_shape(lambda p, s, x: form.run_parts(run_part, p, x, s, s), *shapes)
    return found


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
    return simplify(Graph(list(builder.nodes), ends, named))


def leaves_of(tree: Any) -> list[Any]:
    return jax.tree_util.tree_leaves_with_path(tree)


def last_name(path: tuple[Any, ...]) -> str:
    """The last name on the path of a leaf."""
    names = [str(getattr(k, "name", getattr(k, "key", ""))) for k in path]
    return next((name for name in reversed(names) if name), "parameter")


def field_names(state: Any) -> list[str]:
    """The fields of a state; those of one name, such as two counts, with their whole path."""
    paths = [path for path, _ in leaves_of(state)]
    names = [last_name(path) for path in paths]
    return [
        name if names.count(name) == 1 else jax.tree_util.keystr(path, simple=True, separator=".")
        for name, path in zip(names, paths, strict=True)
    ]
