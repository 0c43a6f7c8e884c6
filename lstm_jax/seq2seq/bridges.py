"""Bridges: from the encoder's last state to the decoder's first."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core import initializers
from lstm_jax.core.gates import equal_gates
from lstm_jax.core.numerics import product
from lstm_jax.core.states import learnable_fields

BRIDGES = ("dense", "last", "none")


def summary_of(state: Any) -> jax.Array:
    """All floats of a state side by side, ``[B, N]``; counts are left out."""
    leaves = [leaf for leaf in jax.tree.leaves(state) if _floating(leaf)]
    flat = [leaf.reshape(leaf.shape[0], math.prod(leaf.shape[1:])) for leaf in leaves]
    return jnp.concatenate(flat, axis=-1)


def state_width(state: Any) -> int:
    """The N of ``summary_of``, for a state without batch axes."""
    return sum(leaf.size for leaf in jax.tree.leaves(state) if _floating(leaf))


def start_width(state: Any) -> int:
    """How many numbers of the decoder's first ``state``, without batch axes, "dense" sets; 0 for a
    state that only steps can fill, such as a window that is empty at the start."""
    return state_width(learnable_fields(state))


def init_dense(
    key: jax.Array, encoder_width: int, decoder_width: int, dtype: Any
) -> dict[str, Any]:
    axis = equal_gates(("state",), decoder_width)
    w = initializers.glorot()(key, (encoder_width,), axis, dtype)
    return {"w": w, "b": jnp.zeros(decoder_width, dtype)}


def dense(params: dict[str, Any], summary: jax.Array, zero: Any) -> Any:
    """``tanh(summary w + b)``, cut into the leaves of the decoder's state ``zero``.

    The map of Bahdanau et al. 2015, appendix A.2.2, for any state; the leaves that an initial state
    cannot learn (``states.learnable``), such as counts, start as in ``zero``.
    """
    values = jnp.tanh(product(summary, params["w"]) + params["b"])
    leaves, structure = jax.tree.flatten(zero)
    filled, begin = [], 0
    kept = jax.tree.leaves(learnable_fields(zero), is_leaf=lambda leaf: leaf is None)
    for leaf, free in zip(leaves, kept, strict=True):
        if free is not None:
            size = math.prod(leaf.shape[1:])
            part = values[:, begin : begin + size].reshape(leaf.shape).astype(leaf.dtype)
            leaf, begin = part, begin + size
        filled.append(leaf)
    return jax.tree.unflatten(structure, filled)


def last(state: Any, zero: Any) -> Any:
    """The encoder's state as the decoder's (Sutskever et al. 2014), if their shapes agree."""
    ours, theirs = (jax.tree.map(jnp.shape, tree) for tree in (state, zero))
    if str(ours) != str(theirs):
        raise WrongValue(f"bridge: expected 'dense' from {ours} to {theirs}, got 'last'")
    return jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), state, zero)


def _floating(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)
