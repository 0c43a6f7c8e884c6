"""The deferred method, for gated cells: weight gradients as large products over many steps.

JAX's own derivative of a scan sums each weight gradient step by step, with a small product and a
read and a write of a whole matrix at each step. Here the backward scan carries only the cotangent
of the state, and returns those of the pre-activations of each step. With these,

    d w_x = sum_t x_t^T dz_t,   d w_h = sum_t source_t^T dr_t,   d w_p = sum_t m_t^T dp_t

are one product each (or convolution) over all rows and a block of steps. A block is long enough for
the product to run at the machine's full rate, and short enough for its operands to stay in the
cache. The vectors that ``pointwise`` reads (peepholes, norms) are small, and their gradients are
summed in the carry.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core import promises
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Gated, Weights
from lstm_jax.core.numerics import like, product
from lstm_jax.core.steps import apply_gates, input_product
from lstm_jax.core.typing import State
from lstm_jax.unrolling.blocks import over_blocks
from lstm_jax.unrolling.masks import (
    Masks,
    combine,
    narrow_floats,
    partition,
    where,
    widen_floats,
    zero_where_not,
)
from lstm_jax.unrolling.methods.deferred_options import Choice, Deferred, choose
from lstm_jax.unrolling.methods.preactivations import (
    Pre,
    Transposed,
    bias_as_row,
    concatenate_columns,
    matrix_gradient,
    preactivations_of,
    sum_columns,
    z_and_r,
)
from lstm_jax.unrolling.methods.traversal import Traversal

AS_MEASURED = Deferred()


class Leaves(NamedTuple):
    """Everything that the recurrence reads.

    One such tuple holds the leaves that have a derivative, and another the rest: random keys and
    counts.
    """

    weights: Any
    vectors: Any
    state: Any
    initial: Any


class Saved(NamedTuple):
    """What the forward scan keeps of each step for the backward one, ``[T, *batch, ...]``."""

    state: Any  # as read by the step, after a reset
    pre: Pre | None  # None if they are recomputed
    m: jax.Array | None  # the output before a projection


def ineligible(cell: Cell) -> str | None:
    """The reason why this method cannot run ``cell``; None if it can."""
    if isinstance(cell.form, Gated):
        return None
    return f"{cell.name} is not of the gated form"


def why(traversal: Traversal, options: Deferred = AS_MEASURED) -> tuple[str, ...]:
    """The decisions of this method, and the reasons for them."""
    form = traversal.cell.form
    assert isinstance(form, Gated)
    choice = choose(form, form.split(traversal.params)[0], traversal.xs.shape, options)
    return ("the gated form: weight gradients as large products over many steps", *choice.why)


def traverse(traversal: Traversal, options: Deferred = AS_MEASURED) -> tuple[State, jax.Array]:
    """Returns ``(state, ys)``, with a custom VJP and hence no forward-mode derivative."""
    cell, params, xs, state, initial, masks, reverse = traversal
    form = cell.form
    assert isinstance(form, Gated)
    promises.check_promise(cell.name, form, params, state)  # for forms made without a builder
    weights, vectors = form.split(params)
    choice = choose(form, weights, xs.shape, options)
    floats, others = partition(Leaves(weights, vectors, state, initial))
    (final, counts), ys = _make_recurrence(form, choice, reverse)(floats, xs, others, masks)
    return combine(final, counts), ys


def _make_recurrence(form: Gated, choice: Choice, reverse: bool) -> Any:
    """The recurrence ``(floats, xs, others, masks) -> ((final floats, final others), ys)``.

    A custom VJP must not close over traced arrays, so keys, counts and masks are arguments too,
    without a cotangent.
    """

    def forward(
        floats: Leaves, xs: jax.Array, others: Leaves, masks: Masks, keep: bool
    ) -> tuple[Any, ...]:
        weights, vectors, state, initial = combine(floats, others)
        weights, xs = bias_as_row(form, weights, xs)
        hoisted = choice.product == "hoisted"
        pre_of = preactivations_of(form, weights, choice.product)

        def body(state: State, inputs: tuple[Any, ...]) -> tuple[State, tuple[Any, ...]]:
            x, valid, reset = inputs
            read = state if reset is None else where(reset, initial, state)
            pre = pre_of(x, form.source(vectors, read))
            new, y, m = apply_gates(
                form, weights.w_p, vectors, read, *z_and_r(pre), weights.w_x.dtype
            )
            saved = None
            if keep:
                kept = pre if choice.keep == "products" else None
                saved = Saved(read, kept, None if weights.w_p is None else m)
            return where(valid, new, state), (zero_where_not(valid, y), saved)

        def block(state: State, inputs: tuple[Any, ...]) -> tuple[State, tuple[Any, ...]]:
            xs, masks = inputs
            read = input_product(weights, xs, form.product_x) if hoisted else xs
            return jax.lax.scan(body, state, (read, *masks), reverse=reverse)

        every = choice.block if hoisted else None
        return over_blocks(block, state, (xs, masks), every, reverse=reverse)

    def primal(floats: Leaves, xs: jax.Array, others: Leaves, masks: Masks) -> tuple[Any, ...]:
        final, (ys, _) = forward(floats, xs, others, masks, keep=False)
        return partition(final), ys

    @default_promotion
    def fwd(floats: Leaves, xs: jax.Array, others: Leaves, masks: Masks) -> tuple[Any, ...]:
        final, (ys, saved) = forward(floats, xs, others, masks, keep=True)
        return (partition(final), ys), (floats, xs, others, masks, saved)

    @default_promotion
    def bwd(residuals: tuple[Any, ...], cotangents: tuple[Any, ...]) -> tuple[Any, ...]:
        floats, xs, others, masks, saved = residuals
        (d_final, _), d_ys = cotangents
        weights: Weights = floats.weights
        of_x = Transposed.of(form.product_x, weights.w_x)
        of_h = Transposed.of(form.product_h, weights.w_h)
        sums = widen_floats(jax.tree.map(jnp.zeros_like, floats._replace(state=None)))

        def source_of(vectors: Any, read: Any, counts: Any) -> jax.Array:
            return form.source(combine(vectors, others.vectors), combine(read, counts))

        def body(
            carry: tuple[Any, ...], inputs: tuple[Any, ...]
        ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            d_state, d_vectors, d_initial = carry
            d_y, step, (valid, reset) = inputs
            d_new = zero_where_not(valid, d_state)
            d_y = zero_where_not(valid, d_y)
            read, counts = partition(step.state)

            def after_products(vectors: Any, read: Any, pre: Pre, tap: Any) -> tuple[Any, ...]:
                whole = combine(vectors, others.vectors)
                z, r = z_and_r(pre)
                return _apply_gates_with_tap(
                    form, weights, whole, combine(read, counts), z, r, tap, d_y.dtype
                )

            tap = None
            if weights.w_p is not None:
                wide = jnp.promote_types(weights.w_p.dtype, jnp.float32)  # as product gives it
                tap = jnp.zeros_like(d_y, wide)
            _, pull = jax.vjp(after_products, floats.vectors, read, step.pre, tap)
            dv, d_read, d_pre, d_tap = pull((d_new, d_y))

            source, pull_source = jax.vjp(
                lambda vectors, read: source_of(vectors, read, counts), floats.vectors, read
            )
            d_source = of_h.to_inputs(concatenate_columns(d_pre.both, d_pre.r), source)
            dv_source, d_read_source = pull_source(d_source.astype(source.dtype))
            d_read = _add(d_read, d_read_source)
            if reset is not None:
                d_initial = _add(d_initial, zero_where_not(reset, d_read))
                d_read = zero_where_not(~reset, d_read)
            d_before = d_read if valid is None else _add(d_read, zero_where_not(~valid, d_state))
            d_vectors = _add(d_vectors, _add(dv, dv_source))
            return (like(d_state, d_before), d_vectors, d_initial), (d_pre, d_tap)

        def block(
            carry: tuple[Any, ...], inputs: tuple[Any, ...]
        ) -> tuple[tuple[Any, ...], jax.Array]:
            (d_state, d_vectors, d_initial), d_weights = carry
            xs, d_ys, saved, masks = inputs
            sources = source_of(floats.vectors, *partition(saved.state))
            if saved.pre is None:
                z = input_product(weights, xs, form.product_x)
                pre = sum_columns(form, z, form.product_h(sources, weights.w_h))
                saved = saved._replace(pre=pre)
            carry, (d_pre, d_taps) = jax.lax.scan(
                body, (d_state, d_vectors, d_initial), (d_ys, saved, masks), reverse=not reverse
            )
            d_z, d_r = (
                concatenate_columns(d_pre.both, d_pre.z),
                concatenate_columns(d_pre.both, d_pre.r),
            )
            _, _, b, w_p = weights
            new = Weights(
                w_x=of_x.to_weights(d_z, xs),
                w_h=of_h.to_weights(d_r, sources),
                b=None if b is None else jnp.sum(d_z, range(d_z.ndim - 1)),
                w_p=None if w_p is None else matrix_gradient(saved.m, w_p, d_taps),
            )
            d_xs = of_x.to_inputs(d_z, xs).astype(xs.dtype)
            return (carry, _add(d_weights, new)), d_xs

        carry = (d_final, sums.vectors, sums.initial), sums.weights
        inputs = (xs, d_ys, saved, masks)
        carry, d_xs = over_blocks(block, carry, inputs, choice.block, reverse=not reverse)
        (d_state, d_vectors, d_initial), d_weights = carry
        d_floats = Leaves(d_weights, d_vectors, d_state, d_initial)
        return narrow_floats(d_floats, floats), d_xs, None, None

    recurrence = jax.custom_vjp(primal)
    recurrence.defvjp(fwd, bwd)
    return recurrence


def _apply_gates_with_tap(
    form: Gated,
    weights: Weights,
    vectors: Any,
    state: State,
    z: jax.Array,
    r: jax.Array,
    tap: Any,
    dtype: Any,
) -> tuple[Any, jax.Array]:
    """The differentiable part of ``apply_gates``, with ``tap`` added to the projected output.

    The cotangent of ``tap`` enters the weight gradient of the projection.
    """
    if tap is None:
        new, y, _ = apply_gates(form, None, vectors, state, z, r, dtype)
        return partition(new)[0], y
    assert weights.w_p is not None
    new, m, _ = form.pointwise(vectors, state, z, r)
    h = product(m, weights.w_p) + tap
    return partition(like(state, new._replace(h=h)))[0], h.astype(dtype)


def _add(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)
