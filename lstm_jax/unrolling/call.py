"""One call of ``lj.unroll``, as read by the driver and the plan."""

import dataclasses
from typing import Any

import jax

from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params, State
from lstm_jax.unrolling.methods.deferred_options import Deferred

STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Call:
    """The arguments of one call: a pytree, of which ``cell`` and the options are static.

    Attributes:
        cell: Without its memory.
        params: With the cell's memory beside them, if it has one.
        xs: ``[T, *batch, *grid.inputs, D]``, zero in the padding.
        valid: The steps that count, ``[T, *batch]``; None for all.
    """

    cell: Cell = dataclasses.field(metadata=STATIC)
    params: Params
    xs: jax.Array
    state: State | None
    valid: jax.Array | None
    resets: jax.Array | None
    key: Any
    reverse: bool = dataclasses.field(metadata=STATIC)
    method: str | Deferred = dataclasses.field(metadata=STATIC)
    checkpoint_every: int | str | None = dataclasses.field(metadata=STATIC)
