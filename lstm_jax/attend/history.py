"""Location-aware attention: scores also depend on the weights of the last step.

Source: Chorowski et al. 2015, "Attention-Based Models for Speech Recognition", section 2.1,
equations 8 and 9.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.attend.contract import Attention, check_query, matrix, mechanism, vector
from lstm_jax.core.numerics import product
from lstm_jax.core.recipes import factory


class LocationState(NamedTuple):
    """The attention weights of the last step."""

    weights: Float[Array, "*batch S"]  # of the last step; zeros before the first


@factory
def location(size: int, filters: int = 10, width: int = 31) -> Attention:
    """Scores ``v tanh(W q + V m + U f + b)``, where f are features of the last weights.

    ``f = F * a`` convolves the weights of the last step (Chorowski et al. 2015, eq. 8 and 9).
    Filters are not flipped: ``f_s = sum over i of filters_i a_{s + i - (width - 1) / 2}``, with
    zero weights beyond the ends.

    Params ``w_q [Q, A]``, ``w_m [M, A]``, ``filters [width, K]``, ``w_f [K, A]``, ``b, v [A]``.
    State ``LocationState(weights)``.

    Args:
        size: The size A of the layer.
        filters: The number K of filters.
        width: The number of places that a filter spans; odd, so that it has a middle.
    """
    size = checking.positive_int("size", size)
    filters = checking.positive_int("filters", filters)
    if checking.positive_int("width", width) % 2 == 0:
        raise WrongValue(f"width: expected an odd number of places, got {width}")

    def init(key, query_size, memory_size, dtype):
        key_q, key_m, key_f, key_u, key_v = jax.random.split(key, 5)
        return {
            "w_q": matrix(key_q, (query_size, size), dtype),
            "w_m": matrix(key_m, (memory_size, size), dtype),
            "filters": matrix(key_f, (width, filters), dtype),
            "w_f": matrix(key_u, (filters, size), dtype),
            "b": jnp.zeros(size, dtype),
            "v": vector(key_v, size, dtype),
        }

    def score(params, prepared, state, query):
        of_query = product(check_query(query, params["w_q"].shape[0], "location"), params["w_q"])
        of_past = product(convolve(state.weights, params["filters"]), params["w_f"])
        inner = prepared.keys + of_query[..., None, :] + of_past + params["b"]
        return product(jnp.tanh(inner), params["v"])

    return mechanism(
        "location",
        init=init,
        keys=lambda params, memory: product(memory, params["w_m"]),
        score=score,
        state=lambda zeros: LocationState(zeros()),
        follow=lambda state, weights: LocationState(weights),
    )


def convolve(values: jax.Array, filters: jax.Array) -> jax.Array:
    """``values [*batch, S]`` convolved with ``filters [width, K]``: ``[*batch, S, K]``."""
    rows = values.reshape(-1, values.shape[-1], 1).astype(filters.dtype)
    sums = jnp.promote_types(filters.dtype, jnp.float32)
    out = jax.lax.conv_general_dilated(
        rows, filters[:, None], (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"),
        preferred_element_type=sums,
    )  # fmt: skip
    return out.reshape(*values.shape, filters.shape[1])
