"""The graph of a cell's equations, read from the jaxpr of one step."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.core.gates import GateAxis
from lstm_jax.insight.drawing.operations import (
    COMPARISONS,
    FUNCTIONS,
    PART,
    PRODUCTS,
    SAME_VALUES,
    SYMBOLS,
    number_text,
    parameter_name,
    with_constant,
)


class Value(NamedTuple):
    """What a node computes, or a named part of it, such as the columns of one gate."""

    node: int
    part: str = ""


class Constant(NamedTuple):
    """A value that depends on no input: a number, or made from parameters."""

    label: str
    number: float | None = None
    names: tuple[str, ...] = ()
    part: str = ""  # which part of the parameter it is


@dataclasses.dataclass
class Node:
    """An input of the step or an operation.

    Attributes:
        primitive: The operation in JAX's name, or "input".
        label: The text that is drawn.
        inputs: What it reads.
        weighted: Whether it multiplies by a matrix of parameters.
        counts: Whether it holds whole numbers or booleans that depend on such inputs alone.
    """

    primitive: str
    label: str
    inputs: tuple[Value, ...] = ()
    weighted: bool = False
    counts: bool = False


@dataclasses.dataclass
class Graph:
    """The equations of a step.

    Attributes:
        nodes: The nodes in an order in which they can be computed. A removed node is None.
        inputs: The nodes of "input", and of "previous:c" for each field of the state.
        named: The values of "gate:forget", "state:c" and "output".
    """

    nodes: list[Node | None]
    inputs: dict[str, int]
    named: dict[str, Value]

    def node(self, value: Value) -> Node:
        """The node that computes ``value``."""
        node = self.nodes[value.node]
        assert node is not None
        return node

    def consumers(self) -> dict[int, list[int]]:
        """For each node the nodes that read it."""
        read: dict[int, list[int]] = {i: [] for i, node in enumerate(self.nodes) if node}
        for i, node in enumerate(self.nodes):
            for value in node.inputs if node else ():
                read[value.node].append(i)
        return read


def read_graph(
    jaxpr: Any, constants: list[Any], inputs: dict[str, Any], axis: GateAxis
) -> "Builder":
    """Reads a closed jaxpr whose first inputs are ``constants``, by name, and then ``inputs``.

    Args:
        jaxpr: The closed jaxpr.
        constants: The names of the parameters.
        inputs: The names of the other inputs with their shapes.
        axis: The gate axis, by which parts of packed values are named.
    """
    builder = Builder(axis)
    arguments: list[Value | Constant] = [
        Constant(parameter_name(name), None, (parameter_name(name),)) for name in constants
    ]
    for name, shape in inputs.items():
        counts = not np.issubdtype(shape.dtype, np.inexact) and shape.dtype.name != "bfloat16"
        builder.nodes.append(Node("input", name, counts=counts))
        arguments.append(Value(len(builder.nodes) - 1))
    builder.outputs = builder.run(jaxpr.jaxpr, jaxpr.consts, arguments)
    return builder


class Builder:
    """Collects nodes while it walks through a jaxpr."""

    def __init__(self, axis: GateAxis) -> None:
        self.axis = axis
        self.nodes: list[Node] = []
        self.known: dict[tuple[Any, ...], Value] = {}
        self.outputs: list[Value | Constant] = []

    def add(
        self,
        primitive: str,
        label: str,
        inputs: tuple[Value, ...],
        *,
        constant: Constant | None = None,
    ) -> Value:
        """The value of a node, which may read a constant too; equal nodes are one."""
        weighted = primitive in PRODUCTS and constant is not None
        key = (primitive, label, inputs, constant)
        if key not in self.known:
            counts = bool(inputs) and all(self.nodes[value.node].counts for value in inputs)
            self.nodes.append(Node(primitive, label, inputs, weighted, counts))
            self.known[key] = Value(len(self.nodes) - 1)
        return self.known[key]

    def run(self, jaxpr: Any, constants: Any, arguments: list[Any]) -> list[Any]:
        """The values of a jaxpr's outputs."""
        known: dict[Any, Value | Constant] = dict(zip(jaxpr.invars, arguments, strict=True))
        known |= {var: constant_of(value) for var, value in zip(jaxpr.constvars, constants)}  # noqa: B905

        def read(atom: Any) -> Value | Constant:
            return constant_of(atom.val) if hasattr(atom, "val") else known[atom]

        for equation in jaxpr.eqns:
            values = self.equation(equation, [read(atom) for atom in equation.invars])
            known |= dict(zip(equation.outvars, values, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: Any, operands: list[Any]) -> list[Any]:
        """The values of one equation's outputs."""
        primitive, params = equation.primitive.name, equation.params
        inputs = tuple(operand for operand in operands if isinstance(operand, Value))
        count = len(equation.outvars)
        if primitive == "iota":
            return [Constant("positions", None, ("positions",))]
        inner = next((params[k] for k in ("jaxpr", "call_jaxpr", "fun_jaxpr") if k in params), None)
        name = params.get("name", "")
        if inner is not None and primitive not in ("scan", "while", "cond"):
            if name in FUNCTIONS and len(set(inputs)) == 1 and count == 1:
                return [self.add(name, FUNCTIONS[name], inputs[:1])]
            body = getattr(inner, "jaxpr", inner)
            return self.run(body, getattr(inner, "consts", ()), operands)
        if primitive == "split":
            return self.split(operands[0], params["sizes"])
        if not inputs:
            return [combine(primitive, operands, str(params.get("start_indices")))] * count
        if primitive in SAME_VALUES:
            return [operands[0]]
        if primitive in PART:
            start, limit = params.get("start_indices", ""), params.get("limit_indices", "")
            node, part = inputs[0]
            return [Value(node, f"{part}[{start}:{limit}]")]
        if primitive == "select_n":
            return [self.select(operands, inputs)]
        if primitive == "concatenate":
            return [self.concatenate(operands, inputs)]
        if primitive in PRODUCTS and len(inputs) == 1:
            weights = next(o for o in operands if isinstance(o, Constant))
            kind = "" if primitive == "dot_general" else "conv "
            return [self.add(primitive, f"{kind}{weights.label}", inputs, constant=weights)]
        if len(operands) == 2 and len(inputs) == 1:
            first = isinstance(operands[0], Constant)
            constant = operands[0] if first else operands[1]
            label = with_constant(primitive, constant.label, constant.number, first)
            if label is not None:
                if not label:
                    return [inputs[0]]
                return [self.add(primitive, label, inputs, constant=constant)]
        label = SYMBOLS.get(primitive) or COMPARISONS.get(primitive) or primitive
        if primitive == "mul" and is_outer(equation):
            label = "⊗"
        value = self.add(primitive, label, inputs)
        return [value] if count == 1 else [Value(value.node, str(i)) for i in range(count)]

    def split(self, packed: Value | Constant, sizes: tuple[Any, ...]) -> list[Any]:
        if isinstance(packed, Constant):
            return [packed._replace(part=f"{packed.part}/{i}") for i in range(len(sizes))]
        names = [str(i) for i in range(len(sizes))]
        if tuple(sizes) == self.axis.widths:
            names = list(self.axis.names)
        prefix = f"{packed.part}/" if packed.part else ""
        return [Value(packed.node, prefix + name) for name in names]

    def select(self, operands: list[Any], inputs: tuple[Value, ...]) -> Value:
        condition, *cases = operands
        data = {case for case in cases if isinstance(case, Value)}
        by_count = isinstance(condition, Constant) or self.nodes[condition.node].counts
        # A mask of places that are not in use, which depends on a count alone, is not drawn.
        if len(data) == 1 and by_count:
            return data.pop()
        return self.add("select_n", "where", inputs)

    def concatenate(self, operands: list[Any], inputs: tuple[Value, ...]) -> Value:
        if len(inputs) == 1:
            return inputs[0]
        parts = [v.part for v in inputs if self.nodes[v.node].primitive == "input"]
        moved = len(inputs) == 2 and any(part.startswith("[") for part in parts)
        return self.add("concatenate", "append" if moved else "concat", inputs)


def constant_of(value: Any) -> Constant:
    """A literal of a jaxpr."""
    try:
        number = float(value)
    except (TypeError, ValueError):  # an array or a random key
        return Constant("constant")
    return Constant(number_text(number), number)


def combine(primitive: str, operands: list[Any], part: str) -> Constant:
    """A constant that is computed from constants; ``part`` tells slices apart."""
    if primitive in SAME_VALUES:
        return operands[0]
    if primitive in PART:
        return operands[0]._replace(part=f"{operands[0].part}/{part}")
    names = tuple(dict.fromkeys(name for operand in operands for name in operand.names))
    if primitive in ("concatenate", "select_n", "pad") and names:  # as blocks of a matrix
        return Constant(names[0] if len(names) == 1 else f"[{'; '.join(names)}]", None, names)
    return Constant(f"f({', '.join(names)})" if names else "constant", None, names)


def is_outer(equation: Any) -> bool:
    """Whether a product pairs each entry of one operand with each of the other."""
    left, right = (np.array(atom.aval.shape) for atom in equation.invars)
    if left.shape != right.shape:
        return False
    return bool(np.any((left == 1) & (right > 1)) and np.any((right == 1) & (left > 1)))
