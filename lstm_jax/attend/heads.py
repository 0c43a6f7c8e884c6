"""Several heads, each with projections of its own.

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.
"""

import math

import jax
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.attend.contract import Attention, check_query, contraction, matrix, mechanism
from lstm_jax.core.numerics import product
from lstm_jax.core.recipes import factory


@factory
def multi_head(size: int, heads: int) -> Attention:
    """``heads`` scaled dot products of projections, their contexts projected together.

    size: of the projections of all heads together, a multiple of ``heads``, and of the context.
    Params ``w_q [Q, size]``, ``w_k, w_v [M, size]``, ``w_o [size, size]``. No state. Weights
    ``[*batch, heads, S]``.
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

    def projected(values: Float[Array, "*rows N"], w: jax.Array) -> Float[Array, "*rows K A"]:
        out = product(values, w).astype(w.dtype)
        return out.reshape(*out.shape[:-1], heads, size // heads)

    def score(params, prepared, state, query):
        query = projected(check_query(query, params["w_q"].shape[0], "multi_head"), params["w_q"])
        scores = contraction("...ka,...ska->...ks", query, prepared.keys)
        return scores / math.sqrt(size // heads)

    def read(params, weights, values):
        context = contraction("...ks,...ska->...ka", weights.astype(values.dtype), values)
        return product(context.reshape(*context.shape[:-2], size), params["w_o"])

    return mechanism(
        "multi_head",
        init=init,
        keys=lambda params, memory: projected(memory, params["w_k"]),
        values=lambda params, memory: projected(memory, params["w_v"]),
        score=score,
        read=read,
        context_size=lambda memory_size: size,
        heads=heads,
    )
