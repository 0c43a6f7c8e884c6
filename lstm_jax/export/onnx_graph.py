"""A builder of ONNX graphs: nodes, weights and names."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm_jax._internal.extras import require_extra

OPSET, IR_VERSION = 17, 8  # what runtimes since 2022 read


class Graph:
    """The nodes and weights so far. Values are known by their names."""

    def __init__(self) -> None:
        self.onnx: Any = require_extra("onnx", "onnx", "lj.export.onnx")
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._count = 0

    def node(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> Any:
        """Adds a node; returns the name of its output, or a list of those of several."""
        names = [self._name(kind) for _ in range(outputs)]
        made = self.onnx.helper.make_node(kind, list(inputs), names, **attributes)
        self._nodes.append(made)
        return names[0] if outputs == 1 else names

    def weight(self, values: Any, name: str = "constant") -> str:
        """Adds an array that is part of the graph; returns its name."""
        name = self._name(name)
        array = np.asarray(values, order="C")  # ascontiguousarray makes a scalar a vector
        self._weights.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        """Adds a vector of int64."""
        return self.weight(np.array(values, np.int64))

    def input(self, name: str, dtype: Any, shape: Sequence[int | str]) -> str:
        self._inputs.append(self._value(name, dtype, shape))
        return name

    def output(self, value: str, name: str, dtype: Any, shape: Sequence[int | str]) -> None:
        self._nodes.append(self.onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(self._value(name, dtype, shape))

    def make_model(self, description: str, version: str) -> Any:
        """The model of the graph, checked."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            self._nodes, "lstm_jax", self._inputs, self._outputs, self._weights
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="lstm_jax",
            producer_version=version,
            doc_string=description,
        )
        self.onnx.checker.check_model(model, full_check=True)
        return model

    def _value(self, name: str, dtype: Any, shape: Sequence[int | str]) -> Any:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.onnx.helper.make_tensor_value_info(name, kind, list(shape))

    def _name(self, base: str) -> str:
        self._count += 1
        return f"{base}_{self._count}"
