"""Deferred weight gradients for gated cells: all of them as large products after the loop.

JAX's own derivative of a scan adds up every weight gradient step by step: at each step a small
product and a read and a write of a whole matrix. Here the backward scan carries the cotangent of
the state alone and emits that of each step's pre-activations; with these,

    d w_x = sum_t x_t^T dz_t,   d w_h = sum_t source_t^T dr_t,   d w_p = sum_t m_t^T dp_t

are one product each over time and batch together. The vectors that pointwise reads (peepholes,
norms) are small, and their gradients are summed in the carry.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell import (
    Cell,
    Gated,
    Params,
    State,
    Weights,
    finish,
    input_product,
    like,
    product,
)
from lstm_jax.unrolling.masks import (
    Masks,
    combine,
    narrowed,
    partition,
    where,
    widened,
    zero_where_not,
)


class Leaves(NamedTuple):
    """Everything that the recurrence reads and that may have a derivative (or, in a second
    tuple of the same kind, what has none: random keys and counts)."""

    weights: Any
    vectors: Any
    state: Any
    initial: Any


class Saved(NamedTuple):
    """What the forward scan keeps of each step for the backward one, each ``[T, *batch, ...]``."""

    state: Any  # as the step read it, after a reset
    pre: tuple[jax.Array, ...]  # (z + r,) or (z, r)
    m: jax.Array | None  # the output before a projection


def ineligible(cell: Cell) -> str | None:
    """Why this method cannot run ``cell``; None where it can."""
    if isinstance(cell.form, Gated):
        return None
    return f"{cell.name} is not of the gated form, whose weight gradients can be put off"


def traverse(
    cell: Cell,
    params: Params,
    xs: jax.Array,
    state: State,
    initial: State,
    masks: Masks,
    reverse: bool,
) -> tuple[State, jax.Array]:
    """``(state, ys)`` of prepared ``params``. Has no forward-mode derivative (a custom VJP)."""
    form = cell.form
    assert isinstance(form, Gated)
    weights, vectors = form.split(params)
    floats, others = partition(Leaves(weights, vectors, state, initial))
    (final, counts), ys = _deferred(form, reverse)(floats, xs, others, masks)
    return combine(final, counts), ys


def _deferred(form: Gated, reverse: bool) -> Any:
    """The recurrence ``(floats, xs, others, masks) -> ((final floats, final others), ys)``.

    Keys, counts and masks are arguments like the rest, since a custom VJP must not close over
    traced arrays; they have no cotangent.
    """

    def forward(floats: Leaves, xs: jax.Array, others: Leaves, masks: Masks) -> tuple:
        weights, vectors, state, initial = combine(floats, others)

        def body(state: State, inputs: tuple) -> tuple[State, tuple]:
            x, valid, reset = inputs
            read = state if reset is None else where(reset, initial, state)
            z = input_product(weights, x)
            r = product(form.source(vectors, read), weights.w_h)
            new, y, m = finish(form, weights.w_p, vectors, read, z, r, weights.w_x.dtype)
            pre = (z + r,) if form.additive else (z, r)
            saved = Saved(read, pre, None if weights.w_p is None else m)
            return where(valid, new, state), (zero_where_not(valid, y), saved)

        inputs = (xs, masks.valid, masks.resets)
        final, (ys, saved) = jax.lax.scan(body, state, inputs, reverse=reverse)
        return (partition(final), ys), saved

    def primal(floats: Leaves, xs: jax.Array, others: Leaves, masks: Masks) -> tuple:
        return forward(floats, xs, others, masks)[0]

    def fwd(floats: Leaves, xs: jax.Array, others: Leaves, masks: Masks) -> tuple:
        out, saved = forward(floats, xs, others, masks)
        return out, (floats, xs, others, masks, saved)

    def bwd(residuals: tuple, cotangents: tuple) -> tuple:
        floats, xs, others, masks, saved = residuals
        (d_final, _), d_ys = cotangents
        weights: Weights = floats.weights
        sums = widened(jax.tree.map(jnp.zeros_like, (floats.vectors, floats.initial)))
        carry = (d_final, *sums)

        def body(carry: tuple, inputs: tuple) -> tuple[tuple, tuple]:
            d_state, d_vectors, d_initial = carry
            d_y, step, valid, reset = inputs
            d_new = zero_where_not(valid, d_state)
            d_y = zero_where_not(valid, d_y)
            read, counts = partition(step.state)

            def after_products(vectors: Any, read: Any, pre: tuple, tap: Any) -> tuple:
                whole = combine(vectors, others.vectors)
                z, r = pre if len(pre) == 2 else (pre[0], jnp.zeros_like(pre[0]))
                return _tapped(form, weights, whole, combine(read, counts), z, r, tap, d_y.dtype)

            tap = None
            if weights.w_p is not None:
                wide = jnp.promote_types(weights.w_p.dtype, jnp.float32)  # as product gives it
                tap = jnp.zeros_like(d_y, wide)
            _, pull = jax.vjp(after_products, floats.vectors, read, step.pre, tap)
            dv, d_read, d_pre, d_tap = pull((d_new, d_y))

            def source(vectors: Any, read: Any) -> jax.Array:
                return form.source(combine(vectors, others.vectors), combine(read, counts))

            h, pull_source = jax.vjp(source, floats.vectors, read)
            _, pull_product = jax.vjp(lambda h: product(h, weights.w_h), h)
            dv_source, d_read_source = pull_source(*pull_product(d_pre[-1]))
            d_read = _add(d_read, d_read_source)
            if reset is not None:
                d_initial = _add(d_initial, zero_where_not(reset, d_read))
                d_read = zero_where_not(~reset, d_read)
            passed = d_read if valid is None else _add(d_read, zero_where_not(~valid, d_state))
            d_vectors = _add(d_vectors, _add(dv, dv_source))
            return (like(d_state, passed), d_vectors, d_initial), (d_pre, d_tap)

        inputs = (d_ys, saved, masks.valid, masks.resets)
        carry, (d_pre, d_taps) = jax.lax.scan(body, carry, inputs, reverse=not reverse)
        d_state, d_vectors, d_initial = carry

        sources = form.source(combine(floats.vectors, others.vectors), saved.state)
        _, pull_x = jax.vjp(
            lambda w_x, b, xs: input_product(Weights(w_x, weights.w_h, b), xs),
            weights.w_x, weights.b, xs,
        )  # fmt: skip
        d_w_x, d_b, d_xs = pull_x(d_pre[0])
        d_w_h = _matrix_gradient(sources, weights.w_h, d_pre[-1])
        d_w_p = None
        if weights.w_p is not None:
            d_w_p = _matrix_gradient(saved.m, weights.w_p, d_taps)
        d_weights = Weights(d_w_x, d_w_h, d_b, d_w_p)
        d_vectors, d_initial = narrowed((d_vectors, d_initial), (floats.vectors, floats.initial))
        return Leaves(d_weights, d_vectors, d_state, d_initial), d_xs, None, None

    recurrence = jax.custom_vjp(primal)
    recurrence.defvjp(fwd, bwd)
    return recurrence


def _tapped(form, weights, vectors, state, z, r, tap, dtype) -> tuple:
    """The differentiable part of a step's result, with ``tap`` added to the projected output:
    its cotangent is what the projection's weight gradient is made of."""
    if tap is None:
        new, y, _ = finish(form, None, vectors, state, z, r, dtype)
        return partition(new)[0], y
    new, m, _ = form.pointwise(vectors, state, z, r)
    h = product(m, weights.w_p) + tap
    return partition(like(state, new._replace(h=h)))[0], h.astype(dtype)


def _matrix_gradient(inputs: jax.Array, w: jax.Array, d_out: jax.Array) -> jax.Array:
    """The gradient of ``w`` in ``product(inputs, w)``, over time and batch in one product."""
    _, pull = jax.vjp(lambda w: product(inputs, w), w)
    return pull(d_out)[0]


def _add(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)
