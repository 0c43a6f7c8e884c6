"""The numbers that a diagram shows: the values of one step of a trace."""

from typing import Any

import jax
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.insight.drawing.equations import field_names
from lstm_jax.insight.drawing.svg import Shown


def check_trace(trace: Any, step: Any, row: Any) -> tuple[int, ...]:
    """Checks the step and the row of a trace; returns the index of both."""
    places = check_row(trace, row)
    return checking.seed("step", step, trace.mask.shape[0]), *places


def check_row(trace: Any, row: Any) -> tuple[int, ...]:
    """Checks a trace and the index of one of its rows, which is returned as a tuple."""
    if not all(hasattr(trace, name) for name in ("gates", "states", "mask")):
        raise WrongType(f"trace: expected a trace, as lj.trace gives it, got {trace!r}")
    batch = trace.mask.shape[1:]
    row = tuple(row) if isinstance(row, tuple | list) else (row,)
    if len(row) != len(batch):
        raise WrongValue(
            f"row: expected one index for each of the {len(batch)} batch axes, got {row}"
        )
    return tuple(checking.seed("row", i, size) for i, size in zip(row, batch, strict=True))


def shown_values(trace: Any, at: tuple[int, ...], unit: int | None) -> dict[str, Shown]:
    """The number of each named value at one step of one row.

    Args:
        trace: The trace of a single cell.
        at: The step and the row.
        unit: The unit, or None for the mean over the units.
    """
    gates = {f"gate:{name}": np.asarray(gate)[at] for name, gate in trace.gates.items()}
    units = max((gate.shape[-1] for gate in gates.values() if gate.ndim), default=0)
    units = units or trace.outputs.shape[-1]
    if unit is not None:
        unit = checking.seed("unit", unit, units)
    values = {"output": np.asarray(trace.outputs)[at]} | gates
    for prefix, state in {"state": trace.states, "previous": trace.previous}.items():
        leaves = jax.tree.leaves(state)
        for name, leaf in zip(field_names(state), leaves, strict=True):
            values[f"{prefix}:{name}"] = np.asarray(leaf)[at]
    return {name: show(name, value, unit, units) for name, value in values.items()}


def show(name: str, value: np.ndarray, unit: int | None, units: int) -> Shown:
    """The number for one value ``[...]``.

    It is the value of the unit, or the mean over units. A gate of a head stands for the units of
    that head. What has other axes, such as a matrix memory, is shown by its norm.
    """
    if value.ndim == 0:
        return Shown(float(value), number_text(float(value), value.dtype.kind), False)
    width = value.shape[-1]
    of_heads = name.startswith("gate:") and units % width == 0
    if value.ndim > 1 or (width != units and not of_heads):
        norm = float(np.linalg.norm(value))
        return Shown(norm, f"‖{norm:.3g}‖", False)
    number = float(value.mean() if unit is None else value[unit * width // units])
    return Shown(number, number_text(number))


def number_text(number: float, kind: str = "f") -> str:
    """A number in few characters."""
    if kind in "iub":
        return str(int(number))
    return (f"{number:.2f}" if abs(number) < 100 else f"{number:.3g}").replace("-", "−")
