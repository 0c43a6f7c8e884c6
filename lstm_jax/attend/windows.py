"""Local attention: to a window of the memory.

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
    """The state of the inner mechanism, and the count of steps."""

    attention: Any
    t: Int[Array, "*batch"]  # steps since the row's start


@factory
def local(attention: Attention, window: int, *, alignment: str = "monotonic") -> Attention:
    """Restricts ``attention`` to the places near a position p, which moves with the steps.

    Params are the mechanism's; those of "predictive" are
    ``{"attention", "w_p" [Q, Q], "v_p" [Q]}``. State ``MonotonicState(attention, t)``; that of
    "predictive" is the mechanism's.

    Args:
        attention: Any mechanism.
        window: D; places from p - D to p + D count. The first place is 0.
        alignment: "monotonic" has ``p = t``, the number of steps before (local-m); past the end of
            the memory no place is left, and the context is zero. "predictive" has
            ``p = L sigmoid(v tanh(W q))``, where L is the length of the memory, and multiplies the
            weights by a Gaussian around p with standard deviation D / 2 (local-p, eq. 9 and 10). L
            is the number of places that are not masked; masked places are assumed to be at the
            end.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    if not isinstance(attention, Attention):
        raise WrongType(
            f"attention: expected a mechanism such as lj.attend.dot(), got {attention!r}"
        )
    window = checking.positive_int("window", window)
    checking.choice("alignment", alignment, ("monotonic", "predictive"))
    name = f"local({attention.name}, {window}, {alignment!r})"
    attend, axis = attention.attend, places_axis(attention.heads)

    def mask_window(prepared, position):
        """``prepared`` with the window as a mask, and the distance of each place from p."""
        distance = jnp.arange(prepared.keys.shape[axis]) - position[..., None]
        inside = jnp.abs(distance) <= window
        mask = inside if prepared.mask is None else inside & prepared.mask
        return prepared._replace(mask=mask), distance

    if alignment == "monotonic":

        def start(batch_shape, places, dtype=jnp.float32):
            inner = attention.start(batch_shape, places, dtype)
            return MonotonicState(inner, jnp.zeros(batch_shape, jnp.int32))

        def attend_near_t(params, prepared, state, query, gain=None):
            inside, _ = mask_window(prepared, state.t)
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
        inside, distance = mask_window(prepared, share * length)
        gaussian = jnp.exp(-2.0 * jnp.square(distance / window))
        gain = gaussian if gain is None else gain * gaussian
        return attend(params["attention"], inside, state, query, gain)

    return attention._replace(name=name, init=init, prepare=prepare, attend=attend_near_p)
