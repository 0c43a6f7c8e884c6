"""One call of ``lj.unroll``, as the driver and its planning read it."""

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
    """A call of ``lj.unroll``; a pytree, of which ``cell`` and the options are static.

    params: with the cell's memory beside them if it has one, and no longer in the cell.
    xs: ``[T, *batch, D]``, zero in the padding. valid: ``[T, *batch]``, where a step counts; None
        where all do.
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
