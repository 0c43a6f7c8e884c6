"""Optional properties by which the class of a state describes its fields.

``written``: The names of fields that only a step can fill, such as keys that a count of filled
places hides until then. Their initial values are not read, or not on their own.
``scaled``: ``(("m", ("c", "n")),)`` for fields c and n that are kept divided by ``exp(m)``. They
form one memory, named after the first. It is empty where all of them are zero, whatever m is.

In a class without these properties, all fields may hold any numbers.
"""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.core.typing import State


def learnable_fields(state: State) -> State:
    """``state`` with None for all leaves whose initial value cannot be learned.

    These are counts, and fields that only a step can fill.
    """

    def without_written(part: Any) -> Any:
        return part._replace(**dict.fromkeys(part.written)) if hasattr(part, "written") else part

    kept = jax.tree.map(without_written, state, is_leaf=lambda part: hasattr(part, "written"))
    return jax.tree.map(
        lambda leaf: leaf if jnp.issubdtype(leaf.dtype, jnp.floating) else None, kept
    )


def scales(state: State) -> dict[str, tuple[str, ...]]:
    """The fields of ``state`` that scale others, each with the fields that it scales."""
    return dict(getattr(state, "scaled", ()))


def match_scales(old: State, new: State, scale: str) -> tuple[State, State]:
    """``old`` and ``new`` with their memories divided by the same ``exp(scale)``.

    The memories can then be added. Their meaning does not change.
    """
    fields = scales(new)[scale]
    m_old, m_new = getattr(old, scale), getattr(new, scale)
    old_empty, new_empty = (_empty(state, fields) for state in (old, new))
    m = jnp.where(old_empty, m_new, jnp.where(new_empty, m_old, jnp.maximum(m_old, m_new)))

    def rescale(state: State, own: jax.Array, empty: jax.Array) -> State:
        factor = jnp.exp(jnp.where(empty, 0.0, own - m))  # at most 1
        values = {field: getattr(state, field) * factor for field in fields}
        return state._replace(**values, **{scale: m})

    return rescale(old, m_old, old_empty), rescale(new, m_new, new_empty)


def _empty(state: State, fields: tuple[str, ...]) -> jax.Array:
    zero = [getattr(state, field) == 0 for field in fields]
    return jnp.all(jnp.stack(zero), axis=0)
