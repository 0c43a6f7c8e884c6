"""Mechanisms that compare the query with each place of the memory.

Sources: Bahdanau, Cho & Bengio 2015 (additive; section 3.1 and appendix A.1.2); Luong, Pham &
Manning 2015 (dot, general, concat; section 3.1); Vaswani et al. 2017 (scaled dot; section 3.2.1);
See, Liu & Manning 2017 (coverage; section 2.3, equations 11 to 13).
"""

import math
from collections.abc import Callable
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
    """The coverage vector."""

    total: Float[Array, "*batch S"]  # the sum of the weights of all steps so far


@factory
def additive(size: int, *, coverage: bool = False) -> Attention:
    """Additive scores: ``v tanh(W q + U m)`` (Bahdanau et al. 2015, appendix A.1.2).

    The context is the weighted sum of the memory, as in all mechanisms except ``multi_head``.

    Params ``w_q [Q, A]``, ``w_m [M, A]``, ``v [A]``; with coverage also ``w_c, b [A]``. No state,
    or ``CoverageState(total)``.

    Args:
        size: The size A of the layer.
        coverage: Whether scores are ``v tanh(W q + U m + w_c c + b)``, where c is the sum of a
            place's weights in the steps before (See et al. 2017, eq. 10 and 11); see
            ``coverage_loss``.
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
    """Scores ``v tanh(W [q; m])`` (Luong et al. 2015, section 3.1).

    The same function as ``additive``, with one matrix. Params ``w [Q+M, A]``, with the rows of the
    query first, and ``v [A]``. No state.

    Args:
        size: The size A of the layer.
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
    """Scores ``q m`` (Luong et al. 2015, section 3.1), for a query of the memory's size.

    No params, no state. ``init`` raises ValueError for a query of another size.
    """
    return _inner_product("dot()", lambda size: 1.0)


@factory
def scaled_dot(size: int | None = None) -> Attention:
    """Scores ``(q W)(m U) / sqrt(A)`` (Vaswani et al. 2017, section 3.2.1).

    Params ``w_q [Q, A]``, ``w_m [M, A]``, or none. No state.

    Args:
        size: The size A of both projections. By default there are none, and the scores are
            ``q m / sqrt(M)`` for a query of the memory's size.
    """
    if size is None:
        return _inner_product("scaled_dot", math.sqrt)
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
    """Scores ``q W m`` (Luong et al. 2015, section 3.1). Params ``w [Q, M]``. No state."""

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


def _inner_product(name: str, scale: Callable[[int], float]) -> Attention:
    """Scores ``q m / scale(M)``, without params."""

    def init(key, query_size, memory_size, dtype):
        if query_size != memory_size:
            raise WrongValue(
                f"query_size: expected {memory_size} for {name}, the size of the memory, "
                f"got {query_size}"
            )
        return {}

    def score(params, prepared, state, query):
        size = prepared.keys.shape[-1]
        return inner_products(check_query(query, size, name), prepared.keys) / scale(size)

    return mechanism(name, init=init, score=score)


def inner_products(query: jax.Array, keys: jax.Array) -> jax.Array:
    """The inner products of ``query [*batch, A]`` and ``keys [*batch, S, A]``: ``[*batch, S]``."""
    return contraction("...a,...sa->...s", query.astype(keys.dtype), keys)


@default_promotion
def coverage_loss(weights: Float[AnyArray, "T *rows"]) -> Float[Array, "T *rest"]:
    """The coverage loss of each step, ``sum over s of min(a_t, c_t)`` (See et al. 2017, eq. 12).

    ``c_t`` is the sum of the weights ``a`` of the steps before (eq. 10). With lengths, the weights
    in the padding are zero and add nothing.

    Args:
        weights: The attention weights of all steps, ``[T, *batch, S]``.

    Returns:
        The loss ``[T, *batch]``, to be multiplied by a factor and added to that of the same step
        (eq. 13).
    """
    weights = wide(checking.float_array("weights", weights, "[T, *batch, S]", 2))
    before = jnp.cumsum(weights, 0) - weights
    return jnp.sum(jnp.minimum(weights, before), -1)
