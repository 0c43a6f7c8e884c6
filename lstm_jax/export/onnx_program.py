"""``lj.export.onnx``: a cell or a model as an ONNX graph of native recurrent nodes."""

from typing import Any

import jax
import numpy as np

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.recipes import FactoryMade
from lstm_jax.core.typing import Params
from lstm_jax.export import onnx_layers, onnx_models
from lstm_jax.export.onnx_graph import Graph
from lstm_jax.export.onnx_layers import Before
from lstm_jax.export.plain import to_plain
from lstm_jax.version import __version__

COUNT = "t"  # dropout's count of steps, which nothing reads without a key


def onnx(
    model: Any,
    params: Params,
    *,
    lengths: bool = False,
    state: bool = False,
    answer: bool = False,
) -> Any:
    """A cell or a model as an ONNX graph, with the nodes ``LSTM``, ``GRU`` and ``RNN``.

        Path("model.onnx").write_bytes(lj.export.onnx(cell, params).SerializeToString())

    and where there is neither lstm_jax nor JAX:

        session = onnxruntime.InferenceSession("model.onnx")
        ys, = session.run(["ys"], {"xs": xs})

    Batch and time are open. Inputs: ``xs [T, B, D]`` (ids ``[T, B]`` of a model that reads ids,
    int64), with ``lengths`` also ``lengths [B]``, int32, with ``state`` also the state before the
    first step, one input ``[B, H]`` for each field ("before.h", in a chain "before.0.h"). Outputs:
    ``ys [T, B, H]`` and the state after the last step ("after.h"); of a model ``outputs``. A step
    is an unroll of T = 1 that is given the state.

    Expressed are ``lstm`` (with peepholes, coupled, without some of its gates), ``gru`` in both
    conventions, ``rnn`` and ``irnn``, with the activations sigmoid, tanh, relu, hard_sigmoid and
    identity; ``chain``, ``bidirectional``, ``residual`` and ``learned_state``; ``dropout``,
    ``drop_connect`` and ``initialize``, which change nothing without a key; and models of
    ``train.recurrent`` and ``train.network``. Anything else raises an error that names it;
    ``lj.export.stablehlo`` exports every cell.

    Install onnx by ``pip install 'lstm_jax[onnx]'``.

    Args:
        model: A cell, or a model made by ``train.recurrent`` or ``train.network``.
        params: Its params, of float32.
        lengths: Whether the graph takes lengths. Values in the padding change nothing, and outputs
            there are zero.
        state: Whether the graph of a cell takes the state before the first step.
        answer: Whether the graph of a model gives its answers, such as probabilities, in place of
            its outputs.

    Returns:
        The graph, an ``onnx.ModelProto``, which ``onnx.checker`` has checked.

    Raises:
        ValueError, TypeError: For what ONNX cannot express, and for other dtypes than float32.
        ImportError: Without onnx.
    """
    for option, value in {"lengths": lengths, "state": state, "answer": answer}.items():
        checking.flag(option, value)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = f"params{jax.tree_util.keystr(path)}"
        if isinstance(leaf, jax.core.Tracer):
            raise WrongType(
                f"{name}: expected an array with values, got a tracer; export outside jit"
            )
        dtype = getattr(leaf, "dtype", type(leaf).__name__)
        if dtype != np.float32:
            raise WrongValue(f"{name}: expected an array of float32 for ONNX, got {dtype}")
    params = jax.tree.map(np.asarray, params)
    graph = Graph()
    if isinstance(model, Cell):
        if answer:
            raise WrongValue("answer: expected False for a cell, got True")
        _add_cell(graph, model, params, lengths, state)
    else:
        if state:
            raise WrongValue("state: expected False for a model, got True; export its cell")
        if not (isinstance(model, FactoryMade) and hasattr(model, "apply")):
            raise WrongType(
                "model: expected a cell, or a model of train.recurrent or train.network, got "
                f"{type(model).__name__}"
            )
        onnx_models.add_model(graph, model, params, lengths, answer)
    return graph.make_model(f"{model.recipe.name}, exported by lstm_jax", __version__)


def _add_cell(graph: Graph, cell: Cell, params: Params, lengths: bool, state: bool) -> None:
    size = cell_checks.input_size_of(cell, params)
    xs = graph.input("xs", np.float32, ("time", "batch", size))
    xs, rows = onnx_layers.add_rows(graph, xs, lengths)
    shapes = to_plain(jax.eval_shape(lambda p: cell.initial_state(p, ()), params))
    before = Before()
    if state:
        before = Before(_state_inputs(graph, shapes))
    after, ys = onnx_layers.add_cell(graph, cell, params, xs, rows, before)
    graph.output(ys, "ys", np.float32, ("time", "batch", cell.size))
    for path, value in jax.tree_util.tree_leaves_with_path(after):
        name = ".".join(jax.tree_util.keystr((key,), simple=True) for key in path)
        graph.output(value, f"after.{name}", np.float32, ("batch", _leaf_at(shapes, path)))


def _state_inputs(graph: Graph, shapes: Any) -> Any:
    def add(path: Any, leaf: Any) -> str | None:
        name = ".".join(jax.tree_util.keystr((key,), simple=True) for key in path)
        if name.split(".")[-1] == COUNT:
            return None
        return graph.input(f"before.{name}", np.float32, ("batch", leaf.shape[-1]))

    return jax.tree_util.tree_map_with_path(add, shapes)


def _leaf_at(shapes: Any, path: Any) -> int:
    for key in path:
        shapes = shapes[getattr(key, "key", getattr(key, "idx", None))]
    return shapes.shape[-1]
