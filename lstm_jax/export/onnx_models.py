"""Models as ONNX graphs: what they read, the cell, what the readout reads, and the answers."""

from typing import Any

import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.typing import Params
from lstm_jax.export import onnx_layers
from lstm_jax.export.onnx_graph import Graph
from lstm_jax.export.onnx_layers import Before, Rows
from lstm_jax.files.description import call_of

INPUTS = ("train.inputs.numbers", "train.inputs.one_hot", "train.inputs.embedding")
READS = ("last", "every", "mean", "max")
ANSWERS = {"train.heads.classification": "classes", "train.heads.regression": "numbers"}


def add_model(graph: Graph, model: Any, params: Params, lengths: bool, answer: bool) -> None:
    """Adds a model of ``train.recurrent`` or ``train.network``, from its inputs to ``outputs``."""
    name, options = call_of(model)
    kind, single = "numbers", False
    if name == "train.recurrent":
        xs, rows = _add_numbers(graph, options["input_size"], lengths)
    elif name == "train.network":
        head, head_options = call_of(options["head"])
        if head not in ANSWERS:
            raise WrongValue(
                f"head: expected {' or '.join(ANSWERS)} for ONNX, got {options['head'].name}"
            )
        kind = ANSWERS[head]
        single = kind == "numbers" and head_options["outputs"] == 1
        xs, rows = _add_inputs(graph, options["inputs"], params["inputs"], lengths)
    else:
        raise WrongValue(
            f"model: expected one of train.recurrent or train.network for ONNX, got {name}"
        )
    reads = options["reads"]
    if reads not in READS:
        raise WrongValue(f"reads: expected one of {', '.join(READS)} for ONNX, got {reads!r}")
    _, ys = onnx_layers.add_cell(graph, options["cell"], params["cell"], xs, rows, Before())
    ys = _read(graph, reads, ys, rows)
    tied = options.get("tie", False)
    w = params["inputs"]["table"].T if tied else params["readout"]["w"]
    outputs = graph.node("MatMul", [ys, graph.weight(w, "w")])
    outputs = graph.node("Add", [outputs, graph.weight(params["readout"]["b"], "b")])
    shape: tuple[int | str, ...] = ("batch", w.shape[1])
    if answer and kind == "classes":
        outputs = graph.node("Softmax", [outputs], axis=-1)
    elif answer and single:
        outputs = graph.node("Squeeze", [outputs, graph.ints(-1)])
        shape = ("batch",)
    if reads == "every":
        shape = ("time", *shape)
    graph.output(outputs, "outputs", np.float32, shape)


def _add_numbers(graph: Graph, size: int, lengths: bool) -> tuple[str, Rows]:
    xs = graph.input("xs", np.float32, ("time", "batch", size))
    return onnx_layers.add_rows(graph, xs, lengths)


def _add_inputs(graph: Graph, inputs: Any, params: Params, lengths: bool) -> tuple[str, Rows]:
    """The vectors ``[T, B, E]`` that the cell reads."""
    name, options = call_of(inputs)
    if name not in INPUTS:
        raise WrongValue(f"inputs: expected one of {', '.join(INPUTS)} for ONNX, got {inputs.name}")
    if name == "train.inputs.numbers":
        return _add_numbers(graph, options["size"], lengths)
    ids = graph.input("xs", np.int64, ("time", "batch"))
    ids, rows = onnx_layers.add_rows(graph, ids, lengths, rank=2)
    if name == "train.inputs.one_hot":
        table = np.eye(options["size"], dtype=np.float32)
    else:
        table = np.asarray(options["vectors"] if options["frozen"] else params["table"])
    # An id beyond the table is an error of the runtime, but a negative one counts from the end.
    negative = graph.node("Less", [ids, graph.weight(np.int64(0))])
    ids = graph.node("Where", [negative, graph.weight(np.int64(len(table))), ids])
    return graph.node("Gather", [graph.weight(table, "table"), ids], axis=0), rows


def _read(graph: Graph, reads: str, ys: str, rows: Rows) -> str:
    """What the readout reads of the outputs ``ys [T, B, H]``."""
    if reads == "every":
        return ys
    if reads == "max" and rows.padding is not None:
        lowest = graph.weight(np.float32(-np.inf))
        highest = graph.node("ReduceMax", [graph.node("Where", [rows.padding, lowest, ys])],
                             axes=[0], keepdims=0)  # fmt: skip
        assert rows.empty is not None
        return graph.node("Where", [rows.empty, graph.weight(np.float32(0)), highest])
    if reads == "max":
        return graph.node("ReduceMax", [ys], axes=[0], keepdims=0)
    if reads == "mean" and rows.padding is None:
        return graph.node("ReduceMean", [ys], axes=[0], keepdims=0)
    if rows.padding is None:
        return graph.node("Gather", [ys, graph.weight(np.int64(-1))], axis=0)
    steps = graph.node("Max", [rows.lengths, graph.weight(np.int32(1))])  # a row may have none
    if reads == "mean":
        total = graph.node("ReduceSum", [ys, graph.ints(0)], keepdims=0)
        steps = graph.node("Cast", [steps], to=graph.onnx.TensorProto.FLOAT)
        return graph.node("Div", [total, graph.node("Unsqueeze", [steps, graph.ints(1)])])
    wide = graph.node("Cast", [steps], to=graph.onnx.TensorProto.INT64)
    last = graph.node("Sub", [wide, graph.weight(np.int64(1))])
    batch_first = graph.node("Transpose", [ys], perm=[1, 0, 2])
    index = graph.node("Unsqueeze", [last, graph.ints(1)])
    return graph.node("GatherND", [batch_first, index], batch_dims=1)
