"""Attention with several heads, each with its own projections.

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.
"""

import math

import jax
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.attend.contract import Attention, check_query, contraction, matrix, mechanism
from lstm_jax.core.numerics import merge_heads, product, split_heads
from lstm_jax.core.recipes import factory


@factory
def multi_head(size: int, heads: int) -> Attention:
    """Multi-head attention: scaled dot products of projections, with a joint output projection.

    Params ``w_q [Q, size]``, ``w_k, w_v [M, size]``, ``w_o [size, size]``. No state. Weights are
    ``[*batch, heads, S]``.

    Args:
        size: The size of the context, and of the projections of all heads together; a multiple of
            ``heads``.
        heads: The number of heads.

    Raises:
        ValueError: If ``size`` is not a multiple of ``heads``.
    """
    size = checking.positive_int("size", size)
    heads = checking.positive_int("heads", heads)
    if size % heads:
        raise WrongValue(f"size: expected a multiple of heads, {heads}, got {size}")

    def init(key, query_size, memory_size, dtype):
        rows = {"w_q": query_size, "w_k": memory_size, "w_v": memory_size, "w_o": size}
        keys = jax.random.split(key, len(rows))
        return {
            entry: matrix(k, (n, size), dtype)
            for k, (entry, n) in zip(keys, rows.items(), strict=True)
        }

    def project(values: Float[Array, "*rows N"], w: jax.Array) -> Float[Array, "*rows K A"]:
        return split_heads(product(values, w).astype(w.dtype), heads)

    def score(params, prepared, state, query):
        query = project(check_query(query, params["w_q"].shape[0], "multi_head"), params["w_q"])
        scores = contraction("...ka,...ska->...ks", query, prepared.keys)
        return scores / math.sqrt(size // heads)

    def read(params, weights, values):
        context = contraction("...ks,...ska->...ka", weights.astype(values.dtype), values)
        return product(merge_heads(context), params["w_o"])

    return mechanism(
        "multi_head",
        init=init,
        keys=lambda params, memory: project(memory, params["w_k"]),
        values=lambda params, memory: project(memory, params["w_v"]),
        score=score,
        read=read,
        context_size=lambda memory_size: size,
        heads=heads,
    )
