"""The input size and the shapes of a cell, as known when a wrapper is built around it."""

import functools
from typing import Any

import jax

from lstm_jax._internal.errors import WrongInputSize
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Composite


@functools.lru_cache(maxsize=1024)
def only_input_size(cell: Cell) -> int | None:
    """The only input size that ``cell`` accepts (in a residual layer); None if it accepts any."""
    if not isinstance(cell.form, Composite):
        return None
    for size in (1, 2):
        try:
            _shapes(cell, size)
        except WrongInputSize as error:
            return error.expected
    return None


def shapes_of_params(cell: Cell) -> Any:
    """The shapes of the params of ``cell``, for an input size that it accepts."""
    return _shapes(cell, only_input_size(cell) or 1)


def shapes_of_state(cell: Cell) -> Any:
    """The shapes of the state of ``cell``, without batch axes."""
    return jax.eval_shape(cell.initial_state, shapes_of_params(cell))


def _shapes(cell: Cell, input_size: int) -> Any:
    return jax.eval_shape(lambda key: cell.init(key, input_size), jax.random.key(0))
