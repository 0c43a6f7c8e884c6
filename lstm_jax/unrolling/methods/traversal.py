"""The argument of a method: one cell over time."""

from typing import NamedTuple

import jax

from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import PartCall
from lstm_jax.core.typing import Params, State
from lstm_jax.unrolling.masks import Masks


class Traversal(NamedTuple):
    """One cell over a whole sequence, or over a block of one.

    Attributes:
        cell: The cell.
        params: Prepared params.
        xs: The inputs, ``[T, *batch, *grid.inputs, D]``.
        state: The state before the first step.
        initial: The state that a reset returns to.
        masks: The steps that count, and the resets in the direction of travel.
        reverse: Whether to run from the last step to the first.
    """

    cell: Cell
    params: Params
    xs: jax.Array
    state: State
    initial: State
    masks: Masks
    reverse: bool

    def of_part(self, part: PartCall) -> "Traversal":
        """That of a part of this composite."""
        reverse = part.reverse != self.reverse
        return Traversal(
            part.cell, part.params, part.xs, part.state, part.initial, self.masks, reverse
        )
