"""Cells, stacks and wrappers as ONNX nodes."""

from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params
from lstm_jax.export import onnx_cells
from lstm_jax.export.onnx_cells import NATIVE, Native
from lstm_jax.export.onnx_graph import Graph
from lstm_jax.files.description import call_of

# Without a key these compute what the cell inside computes, with the same params and fields.
QUIET = ("dropout", "drop_connect", "initialize")
LAYERS = ("chain", "bidirectional", "residual", "learned_state")


class Before(NamedTuple):
    """What a cell starts from, in place of zeros.

    Attributes:
        given: The names of the graph's inputs ``[B, H]`` by field; None without them.
        learned: What a wrapper adds to the initial state, ``[H]`` by field; not read if a state is
            given.
    """

    given: Any = None
    learned: Any = None

    def part(self, key: Any) -> "Before":
        """That of a part of a composite, by its place or name."""
        return Before(_part(self.given, key), _part(self.learned, key))


class Rows(NamedTuple):
    """The rows of a graph, by the names of values.

    Attributes:
        batch: The batch size ``[1]``.
        lengths: ``[B]``; "" without lengths, as are None the others.
        padding: True in the padding, ``[T, B, 1]``.
        empty: True for rows of length 0, ``[B, 1]``.
    """

    batch: str
    lengths: str = ""
    padding: str | None = None
    empty: str | None = None


def add_rows(graph: Graph, xs: str, lengths: bool, rank: int = 3) -> tuple[str, Rows]:
    """The rows of ``xs``, and ``xs`` with zeros in the padding (or id 0, if its rank is 2)."""
    shape = graph.node("Shape", [xs])
    batch = graph.node("Gather", [shape, graph.ints(1)], axis=0)
    if not lengths:
        return xs, Rows(batch)
    ends = graph.input("lengths", np.int32, ("batch",))
    steps = graph.node("Gather", [shape, graph.weight(np.int64(0))], axis=0)
    zero, one = graph.weight(np.int64(0)), graph.weight(np.int64(1))
    time = graph.node("Range", [zero, steps, one])
    time = graph.node("Unsqueeze", [time, graph.ints(1)])
    wide = graph.node("Cast", [ends], to=graph.onnx.TensorProto.INT64)
    beyond = graph.node("GreaterOrEqual", [time, wide])  # [T, B]
    padding = graph.node("Unsqueeze", [beyond, graph.ints(2)])
    blank = graph.weight(np.float32(0) if rank == 3 else np.int64(0))
    xs = graph.node("Where", [padding if rank == 3 else beyond, blank, xs])
    empty = graph.node("Equal", [ends, graph.weight(np.int32(0))])
    empty = graph.node("Unsqueeze", [empty, graph.ints(1)])
    return xs, Rows(batch, ends, padding, empty)


def add_cell(
    graph: Graph,
    cell: Cell,
    params: Params,
    xs: str,
    rows: Rows,
    before: Before,
    reverse: bool = False,
) -> tuple[Any, str]:
    """Adds the nodes of ``cell`` over the value ``xs [T, B, D]``.

    Returns:
        ``(state, ys)``: the names of the last state ``[B, H]``, in the structure of the cell's, and
        of the outputs ``[T, B, H]``.

    Raises:
        ValueError: For a cell or an option that ONNX cannot express.
    """
    name, options = call_of(cell)
    if name in NATIVE:
        node = onnx_cells.native(name, cell, options, params)
        states, ys = _add_nodes(graph, [node], xs, rows, [before], [reverse])
        return states[0], ys
    if name in QUIET:
        inner = options["cell"]
        if not _same_state(cell, inner, params):  # dropout counts its steps
            state, ys = add_cell(graph, inner, params, xs, rows, before.part("cell"), reverse)
            return {"cell": state}, ys
        return add_cell(graph, inner, params, xs, rows, before, reverse)
    if name == "learned_state":
        learned = params["state"]
        if before.learned is not None:  # of a wrapper further out
            learned = jax.tree.map(np.add, learned, before.learned)
        before = Before(before.given, learned)
        return add_cell(graph, options["cell"], params["cell"], xs, rows, before, reverse)
    if name == "residual":
        state, ys = add_cell(graph, options["cell"], params, xs, rows, before, reverse)
        return state, graph.node("Add", [xs, ys])
    if name == "chain":
        states = []
        for i, (part, part_params) in enumerate(zip(options["cells"], params, strict=True)):
            state, xs = add_cell(graph, part, part_params, xs, rows, before.part(i), reverse)
            states.append(state)
        return tuple(states), xs
    if name == "bidirectional":
        return _add_bidirectional(graph, options, params, xs, rows, before, reverse)
    raise WrongValue(
        f"model: expected cells of {', '.join((*NATIVE, *LAYERS, *QUIET))} for ONNX, got "
        f"{cell.name}; lj.export.stablehlo exports every cell"
    )


def _add_bidirectional(
    graph: Graph,
    options: dict[str, Any],
    params: Params,
    xs: str,
    rows: Rows,
    before: Before,
    reverse: bool,
) -> tuple[Any, str]:
    sides = ("forward", "backward")
    cells = [options[side] for side in sides]
    calls = [call_of(cell) for cell in cells]
    parts = [before.part(side) for side in sides]
    if all(name in NATIVE for name, _ in calls) and not reverse:
        nodes = [
            onnx_cells.native(name, cell, given, params[side])
            for (name, given), cell, side in zip(calls, cells, sides, strict=True)
        ]
        if nodes[0].shares_node(nodes[1]):
            states, ys = _add_nodes(graph, nodes, xs, rows, parts, [False, True])
            named = dict(zip(sides, states, strict=True))
            return named, _merged(graph, options["merge"], nodes[0].size, ys)
    by_side: dict[str, Any] = {}
    outputs = []
    for side, cell, part in zip(sides, cells, parts, strict=True):
        backward = reverse != (side == "backward")
        by_side[side], ys = add_cell(graph, cell, params[side], xs, rows, part, backward)
        outputs.append(ys)
    if options["merge"] == "sum":
        return by_side, graph.node("Add", outputs)
    return by_side, graph.node("Concat", outputs, axis=-1)


def _merged(graph: Graph, merge: str, size: int, ys: str) -> str:
    if merge == "concat":
        return ys
    halves = [
        graph.node("Slice", [ys, graph.ints(start), graph.ints(start + size), graph.ints(2)])
        for start in (0, size)
    ]
    return graph.node("Add", halves)


def _add_nodes(
    graph: Graph,
    nodes: list[Native],
    xs: str,
    rows: Rows,
    before: list[Before],
    reverse: list[bool],
) -> tuple[list[dict[str, str]], str]:
    """Adds one node of one or two directions: the states by field, and ys ``[T, B, H or 2 H]``."""
    first = nodes[0]
    activations = [name for node in nodes for name in node.activations]
    direction = "bidirectional" if len(nodes) == 2 else "reverse" if reverse[0] else "forward"
    stacked = {n: np.stack([getattr(node, n) for node in nodes]) for n in ("w", "r", "b")}
    inputs = [xs, *(graph.weight(array, n) for n, array in stacked.items()), rows.lengths]
    initial = [_initial(graph, first.size, field, before, rows) for field in first.fields]
    inputs += initial
    if first.p is not None:
        peepholes = [node.p for node in nodes if node.p is not None]
        inputs.append(graph.weight(np.stack(peepholes), "p"))
    outputs = graph.node(
        first.kind,
        inputs,
        1 + len(first.fields),
        hidden_size=first.size,
        direction=direction,
        **first.attributes,
        **onnx_cells.activation_attributes(activations),
    )
    # [T, directions, B, H] to [T, B, directions * H].
    ys = graph.node("Transpose", [outputs[0]], perm=[0, 2, 1, 3])
    ys = graph.node("Reshape", [ys, graph.ints(0, 0, len(nodes) * first.size)])
    if rows.padding is not None:
        # Runtimes differ in what they write there.
        ys = graph.node("Where", [rows.padding, graph.weight(np.float32(0)), ys])
    states: list[dict[str, str]] = [{} for _ in nodes]
    for field, start, last in zip(first.fields, initial, outputs[1:], strict=True):
        if rows.empty is not None and start:
            # onnxruntime gives zeros for a row of length 0, and not its initial state.
            last = graph.node("Where", [rows.empty, start, last])
        for i, state in enumerate(states):
            state[field] = graph.node("Gather", [last, graph.weight(np.int64(i))], axis=0)
    return states, ys


def _initial(graph: Graph, size: int, field: str, before: list[Before], rows: Rows) -> str:
    """The initial values ``[directions, B, H]`` of one field; "" for zeros."""
    if all(part.given is None and part.learned is None for part in before):
        return ""
    values = []
    for part in before:
        if part.given is not None:
            values.append(graph.node("Unsqueeze", [_part(part.given, field), graph.ints(0)]))
            continue
        learned = _part(part.learned, field)
        learned = np.zeros(size, np.float32) if learned is None else np.asarray(learned)
        shape = graph.node("Concat", [graph.ints(1), rows.batch, graph.ints(size)], axis=0)
        values.append(graph.node("Expand", [graph.weight(learned[None, None]), shape]))
    return values[0] if len(values) == 1 else graph.node("Concat", values, axis=0)


def _part(tree: Any, key: Any) -> Any:
    """A part of a state, which may be a NamedTuple or a dict of its fields."""
    if tree is None:
        return None
    if isinstance(key, str) and not isinstance(tree, dict):
        return getattr(tree, key)
    return tree[key]


def _same_state(cell: Cell, inner: Cell, params: Params) -> bool:
    shapes = [jax.eval_shape(lambda p, c=c: c.initial_state(p, ()), params) for c in (cell, inner)]
    first, second = map(str, map(jax.tree.structure, shapes))
    return first == second
