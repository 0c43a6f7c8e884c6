"""Recognises the LSTM and GRU families by their equations.

A cell belongs to a family if every operation of its graph has a place in the family's picture. So
a cell from outside is recognised like the library's own, and nothing is drawn that it lacks.
"""

from typing import NamedTuple

from lstm_jax.insight.drawing.graph import Graph, Node, Value


class Lstm(NamedTuple):
    """What a cell of the LSTM family has.

    Attributes:
        gates: The label of each gate's activation, "" for none.
        peepholes: For each gate that reads the cell state: the label of the product, and whether
            it reads the new state.
        keep: What multiplies the old cell state: "forget", "coupled" for one minus the input gate,
            or "" for nothing.
        readout: The functions from the cell state to the output, such as ("tanh",).
        projection: The functions after the output gate, such as a matrix product.
        from_x: The functions from the input to the pre-activations.
        from_h: The functions from the recurrent source to the pre-activations.
        source: The inputs that are recurrent sources.
        gate_state: The gates that the state keeps, in their order.
    """

    gates: dict[str, str]
    peepholes: dict[str, tuple[str, bool]]
    keep: str
    readout: tuple[str, ...]
    projection: tuple[Node, ...]
    from_x: tuple[Node, ...]
    from_h: tuple[Node, ...]
    source: tuple[str, ...]
    gate_state: tuple[str, ...]


class Gru(NamedTuple):
    """What a cell of the GRU family has.

    Attributes:
        gates: The label of each gate's activation, "" for none.
        from_x: The functions from the input to the pre-activations.
        from_h: The functions from the state to the pre-activations of the gates.
        recurrent: The functions that surround the product with the reset gate: those before it,
            and those after it.
        reset_after: Whether the reset gate acts after the recurrent product.
    """

    gates: dict[str, str]
    from_x: tuple[Node, ...]
    from_h: tuple[Node, ...]
    recurrent: tuple[tuple[Node, ...], tuple[Node, ...]]
    reset_after: bool


class NoMatch(Exception):
    """The graph is of another family."""


class Reader:
    """Walks through a graph from its ends, and notes which nodes it has explained."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.explained: set[int] = set()

    def named(self, name: str) -> Value:
        """A named value; without it there is no match."""
        if name not in self.graph.named:
            raise NoMatch
        return self.graph.named[name]

    def previous(self, field: str) -> Value:
        """A field of the state before the step."""
        return Value(self.graph.inputs.get(f"previous:{field}", -1))

    def operands(self, value: Value, label: str, count: int = 2) -> tuple[Value, ...]:
        """The operands of the operation ``label`` that computes ``value``."""
        node = self.graph.node(value)
        if value.part or node.label != label or len(node.inputs) != count:
            raise NoMatch
        self.explained.add(value.node)
        return node.inputs

    def is_a(self, value: Value, label: str) -> bool:
        """Whether ``value`` is computed by the operation ``label``."""
        return not value.part and self.graph.node(value).label == label

    def factors(self, value: Value, factor: Value) -> Value | None:
        """The other factor of a product, or None if ``value`` is ``factor`` alone."""
        if value == factor:
            return None
        left, right = self.operands(value, "×")
        if factor not in (left, right):
            raise NoMatch
        return left if right == factor else right

    def functions(self, value: Value, start: set[Value]) -> tuple[tuple[Node, ...], Value]:
        """The functions of one value between ``start`` and ``value``, and where they begin."""
        found: list[Node] = []
        while value not in start:
            node = self.graph.node(value)
            if value.part or len(node.inputs) != 1:
                raise NoMatch
            self.explained.add(value.node)
            found.insert(0, node)
            value = node.inputs[0]
        return tuple(found), value

    def check_all_explained(self, gates: set[str]) -> None:
        """Raises if an operation or a gate has no place in the family's picture."""
        live = {i for i, node in enumerate(self.graph.nodes) if node and node.inputs}
        names = {n.removeprefix("gate:") for n in self.graph.named if n.startswith("gate:")}
        if live != self.explained or names != gates:
            raise NoMatch


def match_lstm(graph: Graph) -> Lstm | None:
    """The parts of an LSTM, or None if the graph is none."""
    try:
        return _lstm(Reader(graph))
    except (NoMatch, KeyError):
        return None


def _lstm(reader: Reader) -> Lstm:
    graph = reader.graph
    c, old, h = reader.named("state:c"), reader.previous("c"), reader.named("state:h")
    if reader.named("output") != h:
        raise NoMatch
    gate = {n.removeprefix("gate:"): v for n, v in graph.named.items() if n.startswith("gate:")}

    kept, written = reader.operands(c, "+")
    if not _reads(graph, kept, old):
        kept, written = written, kept
    factor, keep = reader.factors(kept, old), ""
    if factor is not None and factor == gate.get("forget"):
        keep = "forget"
    elif factor is not None:
        if reader.operands(factor, "1 −", 1) != (gate["input"],):
            raise NoMatch
        keep = "coupled"
    if (reader.factors(written, gate["cell"]) is None) != ("input" not in gate):
        raise NoMatch

    ends = {c} | ({gate["output"]} if "output" in gate else set())
    value = h
    projection: list[Node] = []
    while not reader.is_a(value, "×") and graph.node(value).weighted:
        reader.explained.add(value.node)
        projection.insert(0, graph.node(value))
        value = graph.node(value).inputs[0]
    if "output" in gate:
        squashed = reader.factors(value, gate["output"])
        if squashed is None:
            raise NoMatch
        value = squashed
    readout, start = reader.functions(value, ends)
    if start != c:
        raise NoMatch

    labels, peepholes, sums = {}, {}, set()
    for name, value in gate.items():
        own: tuple[Node, ...] = ()
        source = value
        if not value.part:
            node = graph.node(value)
            reader.explained.add(value.node)
            if len(node.inputs) != 1:
                raise NoMatch
            own, source = (node,), node.inputs[0]
        if not source.part:
            pre, peep = reader.operands(source, "+")
            pre, peep = (pre, peep) if pre.part else (peep, pre)
            products, cell = reader.functions(peep, {old, c})
            if len(products) != 1:
                raise NoMatch
            peepholes[name], source = (products[0].label, cell == c), pre
        if source.part != name:
            raise NoMatch
        labels[name] = own[0].label if own else ""
        sums.add(source.node)
    if len(sums) != 1:
        raise NoMatch

    x = Value(graph.inputs["input"])
    joined = {Value(i) for i, node in enumerate(graph.nodes) if node and node.label == "concat"}
    left, right = reader.operands(Value(sums.pop()), "+")
    if not _reads(graph, left, x):
        left, right = right, left
    from_x, _ = reader.functions(left, {x})
    from_h, start = reader.functions(right, {reader.previous("h"), *joined})
    sources = reader.operands(start, "concat") if start in joined else (start,)
    names = tuple(graph.node(value).label for value in sources)
    if sorted(names) not in (["previous:h"], ["previous:gates", "previous:h"]):
        raise NoMatch
    kept_gates: tuple[str, ...] = ()
    if "state:gates" in graph.named:
        value, by_value = graph.named["state:gates"], {v: name for name, v in gate.items()}
        values = (value,) if value in by_value else graph.node(value).inputs
        if value not in by_value:
            reader.operands(value, "concat", len(values))
        kept_gates = tuple(by_value[v] for v in values)
    reader.check_all_explained(set(labels))
    if set(graph.named) != {f"gate:{name}" for name in gate} | {
        "output", *(f"state:{n}" for n in ("h", "c", *(("gates",) if kept_gates else ())))
    }:  # fmt: skip
        raise NoMatch
    return Lstm(labels, peepholes, keep, tuple(n.label for n in readout), tuple(projection),
                from_x, from_h, names, kept_gates)  # fmt: skip


def match_gru(graph: Graph) -> Gru | None:
    """The parts of a GRU, or None if the graph is none."""
    try:
        return _gru(Reader(graph))
    except (NoMatch, KeyError):
        return None


def _gru(reader: Reader) -> Gru:
    graph = reader.graph
    h, old, x = reader.named("state:h"), reader.previous("h"), Value(graph.inputs["input"])
    reset, update, candidate = (
        reader.named(f"gate:{name}") for name in ("reset", "update", "candidate")
    )
    if set(graph.named) != {"state:h", "output", *(f"gate:{n}" for n in GRU_GATES)}:
        raise NoMatch
    if reader.named("output") != h:
        raise NoMatch
    kept, written = reader.operands(h, "+")
    if not _reads(graph, kept, old):
        kept, written = written, kept
    opposite = reader.factors(written, candidate)
    if reader.factors(kept, old) != update or opposite is None:
        raise NoMatch
    if reader.operands(opposite, "1 −", 1) != (update,):
        raise NoMatch

    labels: dict[str, str] = {}
    from_x: set[int] = set()
    from_h: set[int] = set()
    for name, value in {"reset": reset, "update": update, "candidate": candidate}.items():
        node = graph.node(value)
        labels[name] = node.label
        (source,) = reader.operands(value, node.label, 1)
        left, right = reader.operands(source, "+")
        left, right = (left, right) if _reads(graph, left, x) else (right, left)
        if left.part != name:
            raise NoMatch
        from_x.add(left.node)
        if name == "candidate":
            recurrent = right
        else:
            from_h.add(right.node)
    if len(from_x) != 1 or len(from_h) != 1:
        raise NoMatch
    products_x, _ = reader.functions(Value(from_x.pop()), {x})
    whole = Value(from_h.pop())
    products_h, _ = reader.functions(whole, {old})
    multiplied = {
        Value(i)
        for i, node in enumerate(graph.nodes)
        if node and node.label == "×" and reset in node.inputs
    }
    after, start = reader.functions(recurrent, multiplied)
    inner = reader.factors(start, reset)
    if inner is None:
        raise NoMatch
    if inner == old:
        before: tuple[Node, ...] = ()
    else:
        before, _ = reader.functions(inner, {Value(whole.node, "candidate")})
    reader.check_all_explained(set(labels))
    return Gru(labels, products_x, products_h, (before, after), inner != old)


GRU_GATES = ("reset", "update", "candidate")


def _reads(graph: Graph, value: Value, source: Value) -> bool:
    """Whether ``value`` depends on ``source`` through functions and products alone."""
    if value == source:
        return True
    node = graph.node(value)
    if node.label in ("×", "concat"):
        return any(source == operand for operand in node.inputs)
    return len(node.inputs) == 1 and _reads(graph, node.inputs[0], source)
