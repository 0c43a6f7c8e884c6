"""Layers: stacked cells, residual connections, and two directions.

A composite is stepped through its parts. It is unrolled part by part, each part over the whole
sequence by the method that suits it, with the same results.
"""

import itertools
from typing import Any, Generic, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongInputSize, WrongValue
from lstm_jax._internal.generators import split_key
from lstm_jax.core.cell import Cell, Grid
from lstm_jax.core.forms import Composite
from lstm_jax.core.gates import NO_GATES
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import advance_of
from lstm_jax.core.typing import StateT, StateT2, StateT2_co, StateT_co, generic_tuple
from lstm_jax.wrappers.shapes import only_input_size


@factory
def chain(*cells: Cell) -> Cell[tuple[Any, ...]]:
    """Stacks cells: the output of each is the input of the next.

        cell = lj.chain(lj.lstm(128), lj.dropout(lj.lstm(128), 0.5))

    Params and state are tuples with one entry per cell.

    Args:
        *cells: One cell or more.

    Raises:
        ValueError: Without cells, and for a cell that does not accept the outputs of the one before
            it.
    """
    if not cells:
        raise WrongValue("cells: expected one cell or more, got none")
    for i, cell in enumerate(cells):
        cell_checks.cell(f"cells[{i}]", cell)
    for i, (before, cell) in enumerate(itertools.pairwise(cells), 1):
        if cell.grid.inputs != before.grid.outputs:
            raise WrongValue(
                f"cells[{i}]: expected a cell of inputs {_axes(before.grid.outputs)}, the outputs "
                f"of cells[{i - 1}], {before.name}, got {cell.name} of inputs "
                f"{_axes(cell.grid.inputs)}"
            )
        only = only_input_size(cell)
        if only not in (None, before.size):
            raise WrongValue(
                f"cells[{i}]: expected a cell for input size {before.size}, the size of "
                f"cells[{i - 1}], got {cell.name} for input size {only}"
            )

    def init(key, input_size, dtype=jnp.float32):
        keys = jax.random.split(checking.random_key("key", key), len(cells))
        sizes = [input_size, *(cell.size for cell in cells)]
        return tuple(c.init(k, d, dtype) for c, k, d in zip(cells, keys, sizes[:-1], strict=True))

    def initial_state(params, batch_shape=(), dtype=None):
        cell_checks.parts("params", params, len(cells), "chain")
        return tuple(
            c.initial_state(p, batch_shape, dtype) for c, p in zip(cells, params, strict=True)
        )

    def prepare(params, batch_shape, key):
        keys = split_key(key, len(cells))
        return tuple(
            c.prepare(p, batch_shape, k) for c, p, k in zip(cells, params, keys, strict=True)
        )

    def over_time(run, params, xs, state, initial):
        states = []
        for i, (c, p, s, s0) in enumerate(zip(cells, params, state, initial, strict=True)):
            s, xs = run(c, p, xs, s, s0, name=str(i))
            states.append(s)
        return tuple(states), xs

    form = Composite(over_time)
    grid = Grid(cells[0].grid.inputs, cells[-1].grid.outputs)
    return Cell(
        "chain",
        cells[-1].size,
        NO_GATES,
        init,
        initial_state,
        advance_of(form),
        form,
        prepare,
        grid=grid,
    )


def _axes(places: tuple[int, ...]) -> str:
    """A shape in words, such as "[*batch, 64, 64, D]"."""
    return f"[{', '.join(['*batch', *map(str, places), 'D'])}]"


@factory
def residual(cell: Cell[StateT]) -> Cell[StateT]:
    """A residual connection: the output is ``x + cell(x)``.

    Params and state are the cell's.

    Args:
        cell: A cell whose output has the size of its input.

    Raises:
        ValueError: If the cell does not accept inputs of its own size; in ``init``, for another
            input size.
    """
    cell_checks.cell("cell", cell)
    only = only_input_size(cell)
    if cell.grid.inputs != cell.grid.outputs:
        raise WrongValue(
            "cell: expected a cell whose output has the shape of its input, got "
            f"{cell.name}, from {_axes(cell.grid.inputs)} to {_axes(cell.grid.outputs)}"
        )
    if only not in (None, cell.size):
        raise WrongValue(
            "cell: expected a cell whose output has the size of its input, "
            f"got {cell.name} of size {cell.size} for input size {only}"
        )

    def init(key, input_size, dtype=jnp.float32):
        if input_size != cell.size:
            raise WrongInputSize(
                f"input_size: expected {cell.size}, the size of {cell.name} inside residual, "
                f"got {input_size}",
                cell.size,
            )
        return cell.init(key, input_size, dtype)

    def over_time(run, params, xs, state, initial):
        state, ys = run(cell, params, xs, state, initial)
        return state, xs.astype(ys.dtype) + ys

    form = Composite(over_time)
    return cell._replace(name="residual", init=init, advance=advance_of(form), form=form)


@generic_tuple
class BidirectionalState(NamedTuple, Generic[StateT_co, StateT2_co]):
    """The states of the two cells."""

    forward: StateT_co
    backward: StateT2_co


@factory
def bidirectional(
    forward: Cell[StateT], backward: Cell[StateT2], *, merge: str = "concat"
) -> Cell[BidirectionalState[StateT, StateT2]]:
    """Two cells over the same sequence, one in each direction (Schuster & Paliwal 1997).

        layer = lj.bidirectional(lj.lstm(64), lj.lstm(64))

    Params ``{"forward", "backward"}``; state ``BidirectionalState(forward, backward)``, each after
    the last step in its own direction. The layer can be unrolled; to step it is an error.

    Args:
        forward: The cell from the first step to the last.
        backward: The cell from each row's last step to its first.
        merge: How the two outputs at each time are merged, "concat" or "sum".

    Raises:
        ValueError: For a sum of cells of different sizes, and for cells that accept different input
            sizes.
    """
    cell_checks.cell("forward", forward)
    cell_checks.cell("backward", backward)
    checking.choice("merge", merge, ("concat", "sum"))
    if forward.grid != backward.grid:
        raise WrongValue(
            f"backward: expected a cell of inputs {_axes(forward.grid.inputs)} and outputs "
            f"{_axes(forward.grid.outputs)}, those of {forward.name}, got {backward.name}, from "
            f"{_axes(backward.grid.inputs)} to {_axes(backward.grid.outputs)}"
        )
    if merge == "sum" and forward.size != backward.size:
        raise WrongValue(
            f"merge: expected 'concat' for cells of different sizes, {forward.size} and "
            f"{backward.size}, got 'sum'"
        )
    sizes = only_input_size(forward), only_input_size(backward)
    if None not in sizes and sizes[0] != sizes[1]:
        raise WrongValue(
            f"backward: expected a cell for input size {sizes[0]}, that of {forward.name}, "
            f"got {backward.name} for input size {sizes[1]}"
        )

    def init(key, input_size, dtype=jnp.float32):
        key_f, key_b = jax.random.split(checking.random_key("key", key))
        return {
            "forward": forward.init(key_f, input_size, dtype),
            "backward": backward.init(key_b, input_size, dtype),
        }

    def initial_state(params, batch_shape=(), dtype=None):
        cell_checks.entries("params", params, ("forward", "backward"), "bidirectional")
        return BidirectionalState(
            forward.initial_state(params["forward"], batch_shape, dtype),
            backward.initial_state(params["backward"], batch_shape, dtype),
        )

    def prepare(params, batch_shape, key):
        key_f, key_b = split_key(key, 2)
        return {
            "forward": forward.prepare(params["forward"], batch_shape, key_f),
            "backward": backward.prepare(params["backward"], batch_shape, key_b),
        }

    def over_time(run, params, xs, state, initial):
        f, ys_f = run(
            forward, params["forward"], xs, state.forward, initial.forward, name="forward"
        )
        b, ys_b = run(
            backward, params["backward"], xs, state.backward, initial.backward,
            name="backward", reverse=True,
        )  # fmt: skip
        ys = ys_f + ys_b if merge == "sum" else jnp.concatenate([ys_f, ys_b], axis=-1)
        return BidirectionalState(f, b), ys

    form = Composite(over_time)
    return Cell(
        "bidirectional",
        forward.size if merge == "sum" else forward.size + backward.size,
        NO_GATES,
        init,
        initial_state,
        advance_of(form),
        form,
        prepare,
        grid=forward.grid,
    )
