"""The arguments of a call of ``unroll``, checked at trace time."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax import checking
from lstm_jax.cell import Cell, Params, State, same_precision, with_memory, without_memory
from lstm_jax.unrolling import memory
from lstm_jax.unrolling.choice import Deferred, check_options
from lstm_jax.unrolling.masks import zero_where_not


class Arguments(NamedTuple):
    """What a call is about: ``xs`` zero in the padding, lengths as ``valid [T, *batch]``.

    The cell's memory stands beside the params and no longer in the cell.
    """

    cell: Cell
    params: Params
    xs: jax.Array
    state: State | None
    valid: jax.Array | None
    resets: jax.Array | None
    key: Any


def checked(
    cell: Any, params: Any, xs: Any, state: Any, lengths: Any, resets: Any, key: Any
) -> Arguments:
    """The arguments of ``unroll`` as ``_unrolled`` takes them, or an error that says why not."""
    checking.the_cell("cell", cell, memory=True)
    with_arrays, cell = cell, without_memory(cell)
    inputs = checking.float_array("xs", xs, "[T, *batch, D]", 2)
    steps, batch = inputs.shape[0], inputs.shape[1:-1]
    checking.params(cell, params, "xs", inputs.shape[-1])
    same_precision("xs", inputs, params)
    params = jax.tree.map(jnp.asarray, params)
    bound = with_memory(with_arrays, params)
    if state is not None:
        checking.state(cell, params, state, batch)
        state = jax.tree.map(jnp.asarray, state)
    key = None if key is None else checking.random_key("key", key)
    valid, starts = None, None
    if lengths is not None:
        ends = checking.lengths(lengths, steps, batch)
        valid = jnp.expand_dims(jnp.arange(steps), range(1, 1 + ends.ndim)) < ends
        inputs = zero_where_not(valid, inputs)  # before any product: 0 * NaN would be NaN
    if resets is not None:
        starts = checking.resets(resets, steps, batch)

    return Arguments(cell, bound, inputs, state, valid, starts, key)


def check_ways(methods: Iterable[str], reverse: Any, method: Any, checkpoint_every: Any) -> None:
    """Refuses a direction, a method or a way of recomputing that there is not."""
    checking.flag("reverse", reverse)
    if isinstance(method, Deferred):
        check_options("method", method)
    else:
        checking.choice("method", method, ("auto", *methods))
    if isinstance(checkpoint_every, str):
        if checkpoint_every != "auto":
            memory.bound_in_bytes("checkpoint_every", checkpoint_every)
    elif checkpoint_every is not None:
        checking.positive_int("checkpoint_every", checkpoint_every)
