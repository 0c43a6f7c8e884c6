"""Weights from and to Equinox."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.core.cell import Cell
from lstm_jax.interop.network import Level, Part, build, direction, levels, no_dropout, refuse
from lstm_jax.interop.parts import read_part, write_part
from lstm_jax.interop.table import TABLE

EQUINOX = "Equinox"
EXPECTED = (
    "an nn.LSTMCell or nn.GRUCell of Equinox, a tuple of several layers, or a dict of the cells "
    "'forward' and 'backward'"
)


def from_equinox(module: Any) -> tuple[Cell, Any]:
    """A cell with the weights of an Equinox cell.

        cell, params = lj.interop.from_equinox(eqx.nn.GRUCell(3, 8, key=key))

    Args:
        module: An ``eqx.nn.LSTMCell`` or ``eqx.nn.GRUCell``. Equinox has no module of several
            layers or two directions; a tuple of cells becomes ``lj.chain``, and a dict of the cells
            "forward" and "backward" becomes ``lj.bidirectional``.

    Returns:
        ``(cell, params)``, in the dtype of the weights.

    Raises:
        ValueError, TypeError: For a module of another kind.
    """
    return build(_levels(module, "module"), "module")


def _levels(module: Any, argument: str) -> list[Level]:
    if isinstance(module, tuple | list):
        inside = [_levels(one, f"{argument}[{i}]") for i, one in enumerate(module)]
        return [level for found in inside for level in found]
    if isinstance(module, Mapping) and set(module) == {"forward", "backward"}:
        places = {name: f"{argument}[{name!r}]" for name in ("forward", "backward")}
        parts = (direction(_levels(module[n], place), place) for n, place in places.items())
        return [Level(tuple(parts))]
    return [Level((_part(module, argument),))]


def _part(module: Any, argument: str) -> Part:
    try:
        import equinox
    except ImportError:
        raise refuse(argument, module, EXPECTED) from None
    for name, layout in TABLE[EQUINOX].items():
        if type(module) is getattr(equinox.nn, name.removeprefix("nn.")):
            arrays = {n: getattr(module, n) for n in layout.names}
            arrays = {n: array for n, array in arrays.items() if array is not None}
            return read_part(EQUINOX, name, arrays, argument=argument)
    raise refuse(argument, module, EXPECTED)


def to_equinox(cell: Cell, params: Any, *, bias: bool = True) -> Any:
    """An Equinox cell with the weights of a cell.

        module = lj.interop.to_equinox(cell, params)
        h, c = module(x, (h, c))

    Args:
        cell: ``lj.lstm`` or ``lj.gru``, alone or in ``lj.chain`` and ``lj.bidirectional``.
        params: Its params.
        bias: Whether the module has biases; if not, those of the cell must be zero.

    Returns:
        An ``eqx.nn.LSTMCell`` or ``eqx.nn.GRUCell``, which takes one row and one step. Equinox has
        no module of several layers or two directions: a chain gives a tuple with one entry per
        layer, and two directions a dict of the cells "forward" and "backward".

    Raises:
        ValueError, TypeError: For a cell that Equinox does not have; the error names the option.
    """
    found = levels(cell, params, EQUINOX)
    no_dropout(found, EQUINOX, "use eqx.nn.Dropout on the inputs")
    made = []
    for level in found:
        cells = [_cell(part, bias) for part in level.parts]
        names = ("forward", "backward")
        made.append(cells[0] if len(cells) == 1 else dict(zip(names, cells, strict=True)))
    return made[0] if len(made) == 1 else tuple(made)


def _cell(part: Part, bias: bool) -> Any:
    name, arrays = write_part(EQUINOX, part, bias=bias)
    import equinox

    kind = getattr(equinox.nn, name.removeprefix("nn."))
    shapes = equinox.filter_eval_shape(
        lambda key: kind(part.input_size, part.size, use_bias=bias, key=key), jax.random.key(0)
    )
    values = [jnp.asarray(array) for array in arrays.values()]
    return equinox.tree_at(lambda made: [getattr(made, n) for n in arrays], shapes, values)
