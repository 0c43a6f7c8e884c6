"""Mechanisms that compare the query with each place of the memory.

Sources: Bahdanau, Cho & Bengio 2015 (additive; section 3.1 and appendix A.1.2); Luong, Pham &
Manning 2015 (dot, general, concat; section 3.1); Vaswani et al. 2017 (scaled dot; section 3.2.1);
See, Liu & Manning 2017 (coverage; section 2.3, equations 11 to 13).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.attend.contract import (
    Attention,
    check_query,
    contraction,
    matrix,
    mechanism,
    no_state,
    vector,
)
from lstm_jax.core.numerics import product, wide
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import AnyArray


class CoverageState(NamedTuple):
    total: Float[Array, "*batch S"]  # the weights of all steps so far, summed


@factory
def additive(size: int, *, coverage: bool = False) -> Attention:
    """``v tanh(W q + U m)`` (Bahdanau et al. 2015, appendix A.1.2).

    size: the layer's size A.
    coverage: ``v tanh(W q + U m + w_c c + b)`` with c the sum of a place's weights in the steps
        before (See et al. 2017, eq. 10 and 11); see ``coverage_loss``.

    Params ``w_q [Q, A]``, ``w_m [M, A]``, ``v [A]``; with coverage ``w_c, b [A]``. State none, or
    ``CoverageState(total)``. The context is the weighted sum of the memory, as in all but
    ``multi_head``.
    """
    size = checking.positive_int("size", size)
    checking.flag("coverage", coverage)

    def init(key, query_size, memory_size, dtype):
        key_q, key_m, key_v, key_c = jax.random.split(key, 4)
        params = {
            "w_q": matrix(key_q, (query_size, size), dtype),
            "w_m": matrix(key_m, (memory_size, size), dtype),
            "v": vector(key_v, size, dtype),
        }
        if coverage:
            params |= {"w_c": vector(key_c, size, dtype), "b": jnp.zeros(size, dtype)}
        return params

    def score(params, prepared, state, query):
        of_query = product(check_query(query, params["w_q"].shape[0], "additive"), params["w_q"])
        inner = prepared.keys + of_query[..., None, :]
        if coverage:
            inner = inner + state.total[..., None] * params["w_c"] + params["b"]
        return product(jnp.tanh(inner), params["v"])

    return mechanism(
        "additive",
        init=init,
        keys=lambda params, memory: product(memory, params["w_m"]),
        score=score,
        state=(lambda zeros: CoverageState(zeros())) if coverage else no_state,
        follow=_add if coverage else lambda state, weights: state,
    )


def _add(state: CoverageState, weights: jax.Array) -> CoverageState:
    return CoverageState(state.total + weights)


@factory
def concat(size: int) -> Attention:
    """``v tanh(W [q; m])`` (Luong et al. 2015, section 3.1).

    size: the layer's size A. Params ``w [Q+M, A]``, the query's rows first, and ``v [A]``. No
    state. The same function as ``additive``, in one matrix.
    """
    size = checking.positive_int("size", size)

    def init(key, query_size, memory_size, dtype):
        key_w, key_v = jax.random.split(key)
        w = matrix(key_w, (query_size + memory_size, size), dtype)
        return {"w": w, "v": vector(key_v, size, dtype)}

    def score(params, prepared, state, query):
        query_size = params["w"].shape[0] - prepared.values.shape[-1]
        of_query = product(check_query(query, query_size, "concat"), params["w"][:query_size])
        return product(jnp.tanh(prepared.keys + of_query[..., None, :]), params["v"])

    return mechanism(
        "concat",
        init=init,
        keys=lambda params, memory: product(memory, params["w"][-memory.shape[-1] :]),
        score=score,
    )


@factory
def dot() -> Attention:
    """``q m`` (Luong et al. 2015, section 3.1), of a query as wide as the memory.

    No params, no state. ``init`` raises ValueError for a query of another size.
    """
    return _unweighted("dot()", lambda size: 1.0)


@factory
def scaled_dot(size: int | None = None) -> Attention:
    """``(q W)(m U) / sqrt(A)`` (Vaswani et al. 2017, section 3.2.1).

    size: A, that of both projections; None for ``q m / sqrt(M)`` of a query as wide as the memory.
    Params ``w_q [Q, A]``, ``w_m [M, A]``, or none. No state.
    """
    if size is None:
        return _unweighted("scaled_dot", math.sqrt)
    width = checking.positive_int("size", size)

    def init(key, query_size, memory_size, dtype):
        key_q, key_m = jax.random.split(key)
        return {
            "w_q": matrix(key_q, (query_size, width), dtype),
            "w_m": matrix(key_m, (memory_size, width), dtype),
        }

    def score(params, prepared, state, query):
        query = product(check_query(query, params["w_q"].shape[0], "scaled_dot"), params["w_q"])
        return inner_products(query, prepared.keys) / math.sqrt(width)

    def keys(params, memory):
        return product(memory, params["w_m"]).astype(params["w_m"].dtype)

    return mechanism("scaled_dot", init=init, keys=keys, score=score)


@factory
def general() -> Attention:
    """``q W m`` (Luong et al. 2015, section 3.1). Params ``w [Q, M]``. No state."""

    def score(params, prepared, state, query):
        return inner_products(check_query(query, params["w"].shape[0], "general()"), prepared.keys)

    def keys(params, memory):
        return product(memory, params["w"].T).astype(params["w"].dtype)

    return mechanism(
        "general()",
        init=lambda key, query_size, memory_size, dtype: {
            "w": matrix(key, (query_size, memory_size), dtype)
        },
        keys=keys,
        score=score,
    )


def _unweighted(name: str, scale) -> Attention:
    def init(key, query_size, memory_size, dtype):
        if query_size != memory_size:
            raise WrongValue(
                f"query_size: expected {memory_size}, the memory's size, for {name}, got "
                f"{query_size}"
            )
        return {}

    def score(params, prepared, state, query):
        size = prepared.keys.shape[-1]
        return inner_products(check_query(query, size, name), prepared.keys) / scale(size)

    return mechanism(name, init=init, score=score)


def inner_products(query: jax.Array, keys: jax.Array) -> jax.Array:
    """``query [*batch, A]`` with each of ``keys [*batch, S, A]``, in the keys' dtype."""
    return contraction("...a,...sa->...s", query.astype(keys.dtype), keys)


@default_promotion
def coverage_loss(weights: Float[AnyArray, "T *rows"]) -> Float[Array, "T *rest"]:
    """The coverage loss of each step: ``sum over s of min(a_t, c_t)`` (See et al. 2017, eq. 12),
    where ``c_t`` is the sum of the weights ``a`` of the steps before (eq. 10).

    weights: ``[T, *batch, S]``; the result is ``[T, *batch]``, to be weighed and added to the
    loss of the same step (eq. 13). With lengths, weights in the padding are zero, and add nothing.
    """
    weights = wide(checking.float_array("weights", weights, "[T, *batch, S]", 2))
    before = jnp.cumsum(weights, 0) - weights
    return jnp.sum(jnp.minimum(weights, before), -1)
