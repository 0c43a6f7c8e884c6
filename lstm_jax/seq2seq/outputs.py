"""Output layers: from the decoder's output to the log-probabilities of the next token.

All functions take any leading axes: ``[B, ...]`` at one step, ``[T, B, ...]`` over a sequence.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.core.numerics import product, wide
from lstm_jax.decode.stepping import log_probabilities

OUTPUTS = ("vocabulary", "pointer", "copy")


def init_linear(key: jax.Array, rows: int, columns: int, dtype: Any) -> dict[str, Any]:
    w = jax.nn.initializers.lecun_normal()(key, (rows, columns), dtype)
    return {"w": w, "b": jnp.zeros(columns, dtype)}


def linear(params: dict[str, Any], y: jax.Array) -> jax.Array:
    return product(y, params["w"]) + params["b"]


def vocabulary(params: dict[str, Any], y: jax.Array) -> jax.Array:
    """The softmax of a linear map: ``[*rows, V]``."""
    return log_probabilities(linear(params, y))


def pointer(weights: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The weights ``[*rows, B, S]`` are the distribution (Vinyals et al. 2015, section 2.3)."""
    possible = jnp.ones((), bool) if mask is None else mask.T
    return jnp.where(possible, _log(weights), -jnp.inf)


def copying(
    generated: jax.Array,
    gate: jax.Array,
    weights: jax.Array,
    source: jax.Array,
    mask: jax.Array | None,
    extra: int,
) -> jax.Array:
    """``p P_vocabulary(w) + (1 - p) (sum of the weights of the places that hold w)`` (See et al.
    2017, eq. 9), in logarithms: ``[*rows, B, V + extra]``.

    A row without any place has only the vocabulary.

    Args:
        generated: log-probabilities ``[*rows, B, V]``.
        gate: the logit of p ``[*rows, B]``.
        weights: attention weights ``[*rows, B, S]``.
        source: ids ``[S, B]`` below V + extra.
        mask: ``[S, B]``, the places that count; None for all.
        extra: the number of ids beyond the vocabulary.
    """
    size = generated.shape[-1] + extra
    ids = jnp.clip(source.T, 0, size - 1)
    counts = jnp.ones(ids.shape, bool) if mask is None else mask.T

    rows = jnp.arange(ids.shape[0])[:, None]
    gate = jnp.where(counts.any(axis=-1), gate, 1e3)  # nothing to copy: p is 1

    def spread(weights: jax.Array) -> jax.Array:  # [B, S] to [B, V + extra]
        return jnp.zeros((ids.shape[0], size), weights.dtype).at[rows, ids].add(weights)

    present = spread(counts.astype(jnp.float32)) > 0
    looks = math.prod(weights.shape[:-2])
    masses = jax.vmap(spread)(wide(weights).reshape(looks, *ids.shape))
    masses = masses.reshape(*weights.shape[:-1], size)
    copied = jnp.where(present, _log(masses), 0.0) + jax.nn.log_sigmoid(-gate)[..., None]
    beyond = [(0, 0)] * (generated.ndim - 1) + [(0, extra)]
    made = jnp.pad(generated, beyond) + jax.nn.log_sigmoid(gate)[..., None]
    possible = jnp.arange(size) < size - extra
    # The log of a sum where both count, one of them where one does: no infinities to subtract.
    both = jnp.logaddexp(made, copied)
    one = jnp.where(possible, made, jnp.where(present, copied, -jnp.inf))
    return jnp.where(possible & present, both, one)


def _log(weights: jax.Array) -> jax.Array:
    """In float32 or wider; a weight of zero counts as the smallest number: its log is finite."""
    weights = wide(weights)
    return jnp.log(jnp.maximum(weights, jnp.finfo(weights.dtype).tiny))
