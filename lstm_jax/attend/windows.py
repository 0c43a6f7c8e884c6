"""Attention to a window of the memory alone.

Source: Luong, Pham & Manning 2015, section 3.2, equations 9 and 10.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType
from lstm_jax.attend.contract import Attention, check_query, matrix, places_axis, vector
from lstm_jax.core.numerics import product
from lstm_jax.core.recipes import factory


class MonotonicState(NamedTuple):
    attention: Any
    t: Int[Array, "*batch"]  # steps since the row's start


@factory
def local(attention: Attention, window: int, *, alignment: str = "monotonic") -> Attention:
    """``attention`` to the places within ``window`` of a position p that moves with the steps.

    window: D; places from p - D to p + D count.
    alignment: "monotonic" takes ``p = t``, the count of steps (local-m); past the memory's end
        nothing is left, and the context is zero. "predictive" takes ``p = L sigmoid(v tanh(W q))``
        with L the memory's length, and multiplies the weights by a Gaussian around p whose
        standard deviation is D / 2 (local-p, eq. 9 and 10). L counts the places that are not
        masked; the masked ones are taken to stand at the end. Places count from 0.

    Params: the mechanism's; "predictive" takes ``{"attention", "w_p" [Q, Q], "v_p" [Q]}``.
    State: ``MonotonicState(attention, t)``; "predictive" takes the mechanism's.
    """
    if not isinstance(attention, Attention):
        raise WrongType(f"attention: expected one such as lj.attend.dot(), got {attention!r}")
    window = checking.positive_int("window", window)
    checking.choice("alignment", alignment, ("monotonic", "predictive"))
    name = f"local({attention.name}, {window}, {alignment!r})"
    attend, axis = attention.attend, places_axis(attention.heads)

    def near(prepared, position):
        """``prepared`` with the window as a mask, and how far each place is from p."""
        distance = jnp.arange(prepared.keys.shape[axis]) - position[..., None]
        inside = jnp.abs(distance) <= window
        mask = inside if prepared.mask is None else inside & prepared.mask
        return prepared._replace(mask=mask), distance

    if alignment == "monotonic":

        def start(batch_shape, places, dtype=jnp.float32):
            inner = attention.start(batch_shape, places, dtype)
            return MonotonicState(inner, jnp.zeros(batch_shape, jnp.int32))

        def attend_near_t(params, prepared, state, query, gain=None):
            inside, _ = near(prepared, state.t)
            inner, context, weights = attend(params, inside, state.attention, query, gain)
            return MonotonicState(inner, state.t + 1), context, weights

        return attention._replace(name=name, start=start, attend=attend_near_t)

    def init(key, query_size, memory_size, dtype=jnp.float32):
        key_inner, key_w, key_v = jax.random.split(checking.random_key("key", key), 3)
        return {
            "attention": attention.init(key_inner, query_size, memory_size, dtype),
            "w_p": matrix(key_w, (query_size, query_size), dtype),
            "v_p": vector(key_v, query_size, dtype),
        }

    def prepare(params, memory, mask=None):
        return attention.prepare(params["attention"], memory, mask)

    def attend_near_p(params, prepared, state, query, gain=None):
        query = check_query(query, params["w_p"].shape[0], name)
        share = jax.nn.sigmoid(product(jnp.tanh(product(query, params["w_p"])), params["v_p"]))
        places = prepared.keys.shape[axis]
        length = places if prepared.mask is None else jnp.sum(prepared.mask, -1)
        inside, distance = near(prepared, share * length)
        gaussian = jnp.exp(-2.0 * jnp.square(distance / window))
        gain = gaussian if gain is None else gain * gaussian
        return attend(params["attention"], inside, state, query, gain)

    return attention._replace(name=name, init=init, prepare=prepare, attend=attend_near_p)
