"""The step of each form, derived from the functions of the form."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.forms import (
    AttentionState,
    Gated,
    Linear,
    MatrixMemory,
    Projected,
    Weights,
    Windowed,
)
from lstm_jax.core.numerics import like, masked_softmax, product
from lstm_jax.core.typing import Params, State


def gated_advance(form: Gated) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The ``advance`` of a gated form."""

    def advance(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        weights, vectors = form.split(params)
        z = input_product(weights, x)
        r = product(form.source(vectors, state), weights.w_h)
        state, y, _ = apply_gates(form, weights.w_p, vectors, state, z, r, weights.w_x.dtype)
        return state, y

    return advance


def input_product(weights: Weights, x: jax.Array) -> jax.Array:
    """``z = x w_x + b``, the part of a step that does not depend on the state."""
    z = product(x, weights.w_x)
    return z if weights.b is None else z + weights.b


def apply_gates(
    form: Gated,
    w_p: jax.Array | None,
    vectors: Any,
    state: State,
    z: jax.Array,
    r: jax.Array,
    dtype: Any,
) -> tuple[State, jax.Array, jax.Array]:
    """The part of a step after the two products: ``pointwise``, and the projection if any.

    Returns:
        ``(state, y, m)``, where m is the output before the projection. The new state has the dtypes
        of the old one, and y has ``dtype``, the compute dtype.
    """
    new, m, _ = form.pointwise(vectors, state, z, r)
    y = m
    if w_p is not None:
        y = product(m, w_p)
        new = new._replace(h=y)
    return like(state, new), y.astype(dtype), m


def linear_advance(form: Linear) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The ``advance`` of a linear form."""

    def advance(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        a, b = form.coefficients(params, x)
        h = a * form.read(state) + b
        return like(state, form.write(h)), form.output(params, h, x)

    return advance


def matrix_advance(
    form: MatrixMemory,
) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The ``advance`` of a form with a matrix memory."""

    def advance(params: Params, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        of_x = form.project(params, x)
        s, m = form.read(state)
        s, m = memory_step(of_x, s, m)
        o = jnp.einsum("...k,...kv->...v", of_x.q, s)
        return like(state, form.write(s, m)), form.output(params, o, m, of_x.aside)

    return advance


def memory_step(
    of_x: Projected, s: jax.Array, m: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """The memory s and its stabiliser m after one step."""
    _, k, v, log_keep, log_write, strength, _ = of_x
    if log_write is not None:
        if strength is not None:
            raise WrongValue("project: expected strength or log_write, got both")
        assert m is not None
        kept = m if log_keep is None else log_keep + m
        m = jnp.maximum(kept, log_write)
        s = jnp.exp(kept - m)[..., None, None] * s
        k = jnp.exp(log_write - m)[..., None] * k
    elif log_keep is not None:
        s = jnp.exp(log_keep)[..., None, None] * s
    if strength is not None:
        v = strength[..., None] * (v - jnp.einsum("...k,...kv->...v", k, s))
    return s + k[..., :, None] * v[..., None, :], m


def windowed_advance(
    form: Windowed,
) -> Callable[[Params, State, jax.Array], tuple[State, jax.Array]]:
    """The ``advance`` of a windowed form: the window moves on by one place."""
    positions = np.arange(form.window)

    def advance(
        params: Params, state: AttentionState, x: jax.Array
    ) -> tuple[AttentionState, jax.Array]:
        q, k, v = form.project(params, x)
        count = jnp.minimum(state.filled + 1, form.window)
        visible = filled_places(count, form.window)

        def move_window(old: jax.Array, new: jax.Array) -> jax.Array:
            return jnp.where(visible[..., None, :, None], append_step(old, new), 0)

        new = AttentionState(move_window(state.keys, k), move_window(state.values, v), count)
        o = windowed_attention(
            form.place(q[..., None, :], positions[-1:]),
            form.place(new.keys.astype(k.dtype), positions),
            new.values.astype(v.dtype),
            form.bias(params, positions[::-1][None]),
            visible[..., None, None, :],
        )
        return like(state, new), form.output(params, o[..., 0, :], x)

    return advance


def windowed_attention(
    q: jax.Array, keys: jax.Array, values: jax.Array, bias: jax.Array | None, visible: Any
) -> jax.Array:
    """``softmax(q keys^T / sqrt(d) + bias) values`` (Vaswani et al. 2017, eq. 1).

    Args:
        q: Queries, ``[*batch, heads, Q, d]``.
        keys: ``[*batch, heads, P, d]``.
        values: ``[*batch, heads, P, d]``.
        bias: ``[heads, Q, P]``, added to the scores; or None.
        visible: The places that count, ``[Q, P]`` or ``[*batch, 1, Q, P]``.

    Returns:
        The weighted values, ``[*batch, heads, Q, d]``.
    """
    scores = jnp.einsum("...qd,...pd->...qp", q / math.sqrt(q.shape[-1]), keys)
    if bias is not None:
        scores = scores + bias
    return jnp.einsum("...qp,...pd->...qd", masked_softmax(scores, jnp.asarray(visible)), values)


def filled_places(count: jax.Array, window: int) -> jax.Array:
    """Which places of a window are in use, if ``count [*batch]`` are: ``[*batch, W]``."""
    return jnp.arange(window) >= window - count[..., None]


def append_step(old: jax.Array, new: jax.Array) -> jax.Array:
    """``old [..., W, n]`` without its first place, with ``new [..., n]`` as the last."""
    return jnp.concatenate([old[..., 1:, :], new[..., None, :].astype(old.dtype)], axis=-2)
