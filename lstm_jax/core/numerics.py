"""Products and sums at the precision of the contract, the masked softmax, and heads."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lstm_jax.core.typing import State


def product(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` in the dtype of the weights, summed in float32 or wider.

    The dtype of the weights is the compute dtype: bfloat16 weights are multiplied in bfloat16, and
    the gates and the state receive float32 sums.
    """
    sums = jnp.promote_types(w.dtype, jnp.float32)
    return jnp.matmul(x.astype(w.dtype), w, preferred_element_type=sums)


def wide(values: jax.Array) -> jax.Array:
    """``values`` in float32 or wider, the dtype of states and gates."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def like(old: State, new: State) -> State:
    """``new`` in the dtypes of ``old``, as the carry of a scan must be."""
    return jax.tree.map(lambda leaf, before: leaf.astype(before.dtype), new, old)


def masked_softmax(
    scores: Float[Array, "..."], mask: Bool[Array, "..."] | None = None, axis: int = -1
) -> Float[Array, "..."]:
    """The softmax of ``scores`` along ``axis`` over the places where ``mask`` is True.

    A masked place has weight zero and gradient zero, whatever its score (NaN included). If all
    places are masked, or all scores are minus infinity, all weights are zero.

    Args:
        scores: The scores.
        mask: The places that count, broadcast against ``scores``; by default all.
        axis: The axis of the places.

    Returns:
        The weights, in float32, or wider if the scores are.
    """
    scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    high = jnp.max(jax.lax.stop_gradient(scores), axis, keepdims=True, initial=-jnp.inf)
    powers = jnp.exp(scores - jnp.where(high == -jnp.inf, 0, high))
    total = jnp.sum(powers, axis, keepdims=True)
    return powers / jnp.where(total == 0, 1, total)


def split_heads(packed: jax.Array, heads: int) -> jax.Array:
    """Reshapes ``[..., H]`` to ``[..., heads, H / heads]``."""
    return packed.reshape(*packed.shape[:-1], heads, packed.shape[-1] // heads)


def merge_heads(values: jax.Array) -> jax.Array:
    """Reshapes ``[..., heads, d]`` to ``[..., heads * d]``: the inverse of ``split_heads``."""
    return values.reshape(*values.shape[:-2], values.shape[-2] * values.shape[-1])
