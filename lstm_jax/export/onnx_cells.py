"""The cells that ONNX has as nodes: their weights in its order, and their options.

The node ``LSTM`` has its gates in the order input, output, forget, cell (i, o, f, c), and peepholes
i, o, f; ``GRU`` update, reset, candidate (z, r, h). A bias is the one of the input's product
followed by that of the recurrent one. Matrices are ours transposed.
"""

from typing import Any, NamedTuple

import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params

LSTM_ORDER = ("input", "output", "forget", "cell")
GRU_ORDER = ("update", "reset", "candidate")
OPEN = 100.0  # a bias at which a sigmoid is exactly 1 in float32
# The name of each activation in ONNX, with its alpha and beta.
ACTIVATIONS: dict[str, tuple[str, float | None, float | None]] = {
    "sigmoid": ("Sigmoid", None, None),
    "tanh": ("Tanh", None, None),
    "relu": ("Relu", None, None),
    "hard_sigmoid": ("HardSigmoid", 1.0 / 6.0, 0.5),
    "identity": ("Affine", 1.0, 0.0),
}


class Native(NamedTuple):
    """One direction of an ONNX node.

    Attributes:
        kind: "LSTM", "GRU" or "RNN".
        size: H.
        fields: The fields of the state, in the order of the node's inputs and outputs.
        attributes: The node's attributes, without direction, size and activations.
        activations: By our names.
        w, r, b: ``[G*H, D]``, ``[G*H, H]``, ``[2*G*H]``.
        p: Peepholes ``[3*H]``, or None.
    """

    kind: str
    size: int
    fields: tuple[str, ...]
    attributes: dict[str, Any]
    activations: tuple[str, ...]
    w: np.ndarray
    r: np.ndarray
    b: np.ndarray
    p: np.ndarray | None = None

    def shares_node(self, other: "Native") -> bool:
        """Whether both can be the two directions of one node."""
        same = self[:4] == other[:4] and (self.p is None) == (other.p is None)
        return same and self.w.shape == other.w.shape


def native(name: str, cell: Cell, options: dict[str, Any], params: Params) -> Native:
    """The node of a cell.

    Raises:
        ValueError: For an option that ONNX cannot express.
    """
    return {"lstm": _lstm, "gru": _gru, "rnn": _rnn, "irnn": _rnn}[name](cell, options, params)


NATIVE = ("lstm", "gru", "rnn", "irnn")


def activation_attributes(activations: list[str]) -> dict[str, Any]:
    """The attributes of a node for these activations, in its order.

    Each function that has numbers takes the next ones of the list.
    """
    rows = [ACTIVATIONS[name] for name in activations]
    attributes: dict[str, Any] = {"activations": [row[0] for row in rows]}
    given = [row for row in rows if row[1] is not None]
    if given:
        attributes["activation_alpha"] = [row[1] for row in given]
        attributes["activation_beta"] = [row[2] for row in given]
    return attributes


def _lstm(cell: Cell, options: dict[str, Any], params: Params) -> Native:
    for option in ("norm", "projection"):
        _refuse(cell, option, options[option], None)
    _refuse(cell, "full_gate_recurrence", options["full_gate_recurrence"], False)
    acts = _activations(cell, options, "gate_activation", "cell_activation", "output_activation")
    for gate in ("input", "forget", "output"):
        # Such a gate is a sigmoid that is always open; other activations do not end at 1.
        absent = gate not in cell.gates and not (gate == "forget" and options["coupled"])
        if absent and acts[0] not in ("sigmoid", "hard_sigmoid"):
            raise WrongValue(
                f"{gate}_gate: expected True for ONNX with gate_activation {acts[0]!r}, got False"
            )
    peephole = None
    if options["peephole"]:
        names = [name for name in cell.gates if name != "cell"]
        peep = dict(zip(names, np.split(np.asarray(params["p"]), len(names)), strict=True))
        zero = np.zeros(options["size"], np.float32)
        peephole = np.concatenate([peep.get(gate, zero) for gate in LSTM_ORDER[:3]])
    coupled = {"input_forget": 1} if options["coupled"] else {}
    w, r, b = _packed(cell, params, LSTM_ORDER)
    return Native("LSTM", options["size"], ("h", "c"), coupled, acts, w, r, b, peephole)


def _gru(cell: Cell, options: dict[str, Any], params: Params) -> Native:
    _refuse(cell, "norm", options["norm"], None)
    acts = _activations(cell, options, "gate_activation", "activation")
    w, r, b = _packed(cell, params, GRU_ORDER)
    after = options["reset_after"]
    if after:
        b[-options["size"] :] = np.asarray(params["b_h"])
    attributes = {"linear_before_reset": int(after)}
    return Native("GRU", options["size"], ("h",), attributes, acts, w, r, b)


def _rnn(cell: Cell, options: dict[str, Any], params: Params) -> Native:
    acts = _activations(cell, {"activation": "relu", **options}, "activation")
    w, r, b = _packed(cell, params, ("cell",))
    return Native("RNN", options["size"], ("h",), {}, acts, w, r, b)


def _packed(
    cell: Cell, params: Params, order: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``w``, ``r`` and ``b`` in ONNX' order; a gate that the cell lacks is open."""
    parts = {}
    for name in ("w_x", "w_h", "b"):
        packed = np.asarray(params[name])
        blocks = dict(zip(cell.gates, np.split(packed, len(cell.gates), axis=-1), strict=True))
        absent = np.full_like(blocks["cell" if "cell" in blocks else "candidate"],
                              OPEN if name == "b" else 0.0)  # fmt: skip
        parts[name] = np.concatenate([blocks.get(gate, absent) for gate in order], axis=-1)
    b = np.concatenate([parts["b"], np.zeros_like(parts["b"])])
    return parts["w_x"].T, parts["w_h"].T, b


def _activations(cell: Cell, options: dict[str, Any], *names: str) -> tuple[str, ...]:
    for name in names:
        if options[name] not in ACTIVATIONS:
            raise WrongValue(
                f"{name}: expected one of {', '.join(ACTIVATIONS)} for ONNX, got "
                f"{options[name]!r} in {cell.name}"
            )
    return tuple(options[name] for name in names)


def _refuse(cell: Cell, option: str, value: Any, only: Any) -> None:
    if value != only:
        raise WrongValue(
            f"{option}: expected {only} for ONNX, whose nodes have no such option, got {value!r} "
            f"in {cell.name}; lj.export.stablehlo exports every cell"
        )
