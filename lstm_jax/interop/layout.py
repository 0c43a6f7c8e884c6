"""The layout of a framework's cell, and how its arrays become ours and ours become its.

What arrays hold is called by short names. "x" and "h": the weights of the input and of the last
output; "b_x" and "b_h": the biases of these two products; "p": the projection. In all cells but a
GRU that resets after the product, the two biases of a gate are simply added up.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lstm_jax._internal.errors import WrongValue
from lstm_jax.interop.arrays import is_zero, namespace

BIASES = ("b_x", "b_h")


class Block(NamedTuple):
    """One array of a framework.

    Attributes:
        name: Its name, relative to its cell; "/" stands between the parts of a path.
        holds: What it holds: "x", "h", "b_x", "b_h" or "p". Several stand above each other, as
            rows.
        gates: The gates in its columns.
        transposed: Whether the gates are in its rows instead.
        optional: Whether a cell may lack it and have its other biases.
    """

    name: str
    holds: tuple[str, ...]
    gates: tuple[str, ...]
    transposed: bool = False
    optional: bool = False

    @property
    def is_bias(self) -> bool:
        return self.holds[0] in BIASES

    @property
    def rank(self) -> int:
        """The number of its axes."""
        return 1 if self.is_bias and len(self.holds) == 1 else 2


class Layout(NamedTuple):
    """One cell of a framework.

    Attributes:
        kind: Our cell: a key of ``network.KINDS``.
        blocks: Its arrays.
        options: The options of our cell that it has too.
        fixed: Options of our cell for which it has another value than our default.
        negated: Gates that are one minus ours, so that their weights have the other sign.
        added: What it adds to a gate's bias at run time.
    """

    kind: str
    blocks: tuple[Block, ...]
    options: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = {}
    negated: tuple[str, ...] = ()
    added: Mapping[str, float] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its arrays."""
        return tuple(block.name for block in self.blocks)


def read(
    layout: Layout,
    arrays: Mapping[str, Any],
    *,
    gates: tuple[str, ...],
    bias_apart: tuple[str, ...],
) -> dict[str, Any]:
    """A framework's arrays as params of our cell.

    Args:
        layout: The row of the table.
        arrays: The arrays by name; biases may be missing, which are then zero.
        gates: The gates of our cell, in their order.
        bias_apart: The gates whose recurrent bias is an entry of its own, ``b_h``.
    """
    xp = namespace(arrays.values())
    parts: dict[tuple[str, str], Any] = {}
    for block in layout.blocks:
        if block.name in arrays:
            parts |= _split(xp, block, arrays[block.name])
    for held in ("x", "h", *BIASES):
        for gate in layout.negated:
            if (held, gate) in parts:
                parts[held, gate] = -parts[held, gate]
    zeros = xp.zeros_like(parts["h", gates[0]][0])

    def bias(gate: str) -> Any:
        found = [parts["b_x", gate]] if ("b_x", gate) in parts else []
        if gate not in bias_apart and ("b_h", gate) in parts:
            found.append(parts["b_h", gate])
        total = found[0] if found else zeros
        for more in found[1:]:
            total = total + more
        if gate in layout.added:
            total = total + xp.asarray(layout.added[gate], zeros.dtype)
        return total

    params = {
        "w_x": xp.concatenate([parts["x", gate] for gate in gates], axis=-1),
        "w_h": xp.concatenate([parts["h", gate] for gate in gates], axis=-1),
        "b": xp.concatenate([bias(gate) for gate in gates]),
    }
    if bias_apart:
        params["b_h"] = xp.concatenate([parts.get(("b_h", gate), zeros) for gate in bias_apart])
    if ("p", "h") in parts:
        params["w_p"] = parts["p", "h"]
    return params


def _split(xp: Any, block: Block, array: Any) -> dict[tuple[str, str], Any]:
    """What an array holds, by what it is and by gate."""
    array = array.T if block.transposed else array
    if block.is_bias:
        rows = array.reshape(len(block.holds), -1)
    elif len(block.holds) == 1:
        rows = [array]
    else:  # x above h, which has one row for each unit of a gate
        rows = xp.split(array, [array.shape[0] - array.shape[1] // len(block.gates)])
    return {
        (held, gate): columns
        for held, row in zip(block.holds, rows, strict=True)
        for gate, columns in zip(block.gates, xp.split(row, len(block.gates), axis=-1), strict=True)
    }


def write(
    layout: Layout,
    params: Mapping[str, Any],
    *,
    gates: tuple[str, ...],
    bias_apart: tuple[str, ...],
    bias: bool,
    owner: str,
) -> dict[str, Any]:
    """The inverse of ``read``.

    The sum of two biases goes into the first of them, and zero into the second.

    Args:
        layout: The row of the table.
        params: The params of our cell.
        gates: The gates of our cell, in their order.
        bias_apart: The gates whose recurrent bias is an entry of its own, ``b_h``.
        bias: False for a cell without biases; ours must then be zero.
        owner: The name of the framework's cell, for errors.

    Raises:
        ValueError: For a bias that the framework's cell does not have, and that is not zero.
    """
    xp = namespace(params.values())
    parts: dict[tuple[str, str], Any] = {}
    for held, entry in {"x": "w_x", "h": "w_h", "b": "b"}.items():
        columns = xp.split(params[entry], len(gates), axis=-1)
        parts |= {(held, gate): part for gate, part in zip(gates, columns, strict=True)}
    held_by_layout = {
        (held, gate)
        for block in layout.blocks
        if bias or not block.is_bias
        for held in block.holds
        for gate in block.gates
    }
    zeros = xp.zeros_like(parts["b", gates[0]])
    for gate in gates:
        value = parts.pop(("b", gate))
        if gate in layout.added:
            value = value - xp.asarray(layout.added[gate], value.dtype)
        sides = ("b_x",) if gate in bias_apart else BIASES
        side = next((side for side in sides if (side, gate) in held_by_layout), None)
        if side is None:
            _require_zero(f"params['b'] of the gate {gate!r}", value, owner)
        else:
            parts[side, gate] = value
    for gate in bias_apart:
        if ("b_h", gate) in held_by_layout:
            parts["b_h", gate] = params["b_h"]
        else:
            _require_zero("params['b_h']", params["b_h"], owner)
    if "w_p" in params:
        parts["p", "h"] = params["w_p"]
    for gate in layout.negated:
        for held in ("x", "h", *BIASES):
            if (held, gate) in parts:
                parts[held, gate] = -parts[held, gate]
    return {
        block.name: _join(xp, block, parts, zeros)
        for block in layout.blocks
        if (bias or not block.is_bias) and (block.holds != ("p",) or "w_p" in params)
    }


def _require_zero(argument: str, value: Any, owner: str) -> None:
    if not is_zero(argument, value):
        raise WrongValue(
            f"{argument}: expected zeros, since {owner} has no such bias, got other values"
        )


def _join(xp: Any, block: Block, parts: Mapping[Any, Any], zeros: Any) -> Any:
    rows = [
        xp.concatenate([parts.get((held, gate), zeros) for gate in block.gates], axis=-1)
        for held in block.holds
    ]
    if block.is_bias:
        array = xp.stack(rows) if len(rows) > 1 else rows[0]
    else:
        array = xp.concatenate(rows, axis=0)
    return array.T if block.transposed else array
