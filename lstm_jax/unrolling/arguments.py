"""The arguments of ``lj.unroll``, checked at trace time."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.dtypes import same_precision
from lstm_jax.core.cell import with_memory, without_memory
from lstm_jax.unrolling import plan
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.masks import zero_where_not
from lstm_jax.unrolling.methods import METHODS
from lstm_jax.unrolling.methods.deferred_options import Deferred, check_options


def check_call(
    cell: Any,
    params: Any,
    xs: Any,
    state: Any,
    lengths: Any,
    resets: Any,
    key: Any,
    reverse: Any = False,
    method: Any = "auto",
    checkpoint_every: Any = None,
) -> Call:
    """Checks the arguments of ``lj.unroll`` and returns them as a ``Call``."""
    cell_checks.cell("cell", cell, memory=True)
    cell_with_memory, cell = cell, without_memory(cell)
    inputs = cell_checks.inputs(cell, "xs", xs, time=True)
    steps, batch = inputs.shape[0], cell.batch_shape(inputs.shape[1:])
    cell_checks.params(cell, params, "xs", inputs.shape[-1])
    same_precision("xs", inputs, params)
    params = jax.tree.map(jnp.asarray, params)
    bound = with_memory(cell_with_memory, params)
    if state is not None:
        cell_checks.state(cell, params, state, batch)
        state = jax.tree.map(jnp.asarray, state)
    key = None if key is None else checking.random_key("key", key)
    valid, starts = None, None
    if lengths is not None:
        ends = checking.lengths(lengths, steps, batch)
        valid = jnp.expand_dims(jnp.arange(steps), range(1, 1 + ends.ndim)) < ends
        inputs = zero_where_not(valid, inputs)  # before any product: 0 * NaN would be NaN
    if resets is not None:
        starts = checking.resets(resets, steps, batch)
    checking.flag("reverse", reverse)
    if isinstance(method, Deferred):
        check_options("method", method)
    else:
        checking.choice("method", method, ("auto", *METHODS))
    if isinstance(checkpoint_every, str):
        if checkpoint_every != "auto":
            plan.parse_bytes("checkpoint_every", checkpoint_every)
    elif checkpoint_every is not None:
        checking.positive_int("checkpoint_every", checkpoint_every)
    return Call(
        cell, bound, inputs, state, valid, starts, key, bool(reverse), method, checkpoint_every
    )
