"""What a method is given: one cell over time."""

from typing import NamedTuple

import jax

from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params, State
from lstm_jax.unrolling.masks import Masks


class Traversal(NamedTuple):
    """One cell over a whole sequence, or over a block of one.

    params: prepared. xs: ``[T, *batch, D]``. state: before the first step. initial: what a reset
    returns to. masks: of the steps that count and of the resets, in the direction of travel.
    """

    cell: Cell
    params: Params
    xs: jax.Array
    state: State
    initial: State
    masks: Masks
    reverse: bool
