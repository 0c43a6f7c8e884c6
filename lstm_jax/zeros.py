"""First states, which are of zeros."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import checking
from lstm_jax.forms import BatchShape, Params, State
from lstm_jax.promotion import standard


def state_of(make: Callable[[Callable[..., jax.Array]], State]) -> Callable[..., State]:
    """An ``initial_state`` from a function that builds the state out of ``zeros(*widths)``, or
    ``zeros(*widths, dtype=...)`` for a leaf that is not of floats."""

    @standard
    def initial_state(params: Params, batch_shape: BatchShape = (), dtype: Any = None) -> State:
        """Zeros ``[*batch, H]``: float32, or wider where the params are; else ``dtype``."""
        shape = checking.batch_shape("batch_shape", batch_shape)
        if dtype is None:
            checking.floating("params", params)
            floats = [leaf.dtype for leaf in jax.tree.leaves(params)]
            dtype = jnp.result_type(jnp.float32, *floats)
        dtype = checking.float_dtype("dtype", dtype)
        state = make(lambda *widths, dtype=dtype: jnp.zeros((*shape, *widths), dtype))
        return _apart(state)

    return initial_state


def _apart(state: State) -> State:
    """``state`` with an array of its own in each place, so that its buffers can be donated."""
    seen: set[int] = set()

    def apart(leaf: jax.Array) -> jax.Array:
        if id(leaf) in seen:
            return jnp.copy(leaf)
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(apart, state)
