"""Pre-activations of gated cells, and the products that make them and their gradients.

The layouts were measured on a CPU: see each for what it saves.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.core.forms import Gated, Weights
from lstm_jax.core.numerics import product
from lstm_jax.core.steps import input_product


class Pre(NamedTuple):
    """Pre-activations, or their cotangents: the columns that are only read as ``z + r``, and the
    further ones of z and of r. None: no such columns."""

    both: jax.Array | None
    z: jax.Array | None
    r: jax.Array | None


def preactivations_of(form: Gated, weights: Weights, order: str) -> Any:
    """``(x, source) -> Pre`` of a step; hoisted, x is z already."""
    if order == "joined":
        dtype = weights.w_x.dtype
        both = weights._replace(w_x=jnp.concatenate([weights.w_x, weights.w_h]))

        def pre_of(x: jax.Array, source: jax.Array) -> Pre:
            xh = jnp.concatenate([x.astype(dtype), source.astype(dtype)], axis=-1)
            return Pre(input_product(both, xh), None, None)

    else:

        def pre_of(x: jax.Array, source: jax.Array) -> Pre:
            z = x if order == "hoisted" else input_product(weights, x)
            return sum_columns(form, z, product(source, weights.w_h))

    return pre_of


def bias_as_row(weights: Weights, xs: jax.Array) -> tuple[Weights, jax.Array]:
    """The bias as a row of ``w_x`` beside a column of ones in ``xs``, where that rounds nothing:
    XLA's loops over the gates run up to twice as fast where no vector is added in them."""
    w_x, _, b, _ = weights
    if b is None or not b.dtype == w_x.dtype == xs.dtype == jnp.promote_types(b.dtype, jnp.float32):
        return weights, xs
    with_row = weights._replace(w_x=jnp.concatenate([w_x, b[None]]), b=None)
    return with_row, jnp.concatenate([xs, jnp.ones_like(xs[..., :1])], axis=-1)


def sum_columns(form: Gated, z: jax.Array, r: jax.Array) -> Pre:
    n = z.shape[-1] if form.additive is True else int(form.additive)
    if n == 0:
        return Pre(None, z, r)
    if n == z.shape[-1]:
        return Pre(z + r, None, None)
    return Pre(z[..., :n] + r[..., :n], z[..., n:], r[..., n:])


def z_and_r(pre: Pre) -> tuple[jax.Array, jax.Array]:
    """A z and an r whose sum is right in the columns where only the sum is read."""
    zeros = None if pre.both is None else jnp.zeros_like(pre.both)
    return concatenate_columns(pre.both, pre.z), concatenate_columns(zeros, pre.r)


def concatenate_columns(first: jax.Array | None, then: jax.Array | None) -> jax.Array:
    parts = [part for part in (first, then) if part is not None]
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=-1)


def transpose(w: jax.Array) -> jax.Array:
    """``w^T`` in memory. Left to itself, XLA would transpose within each product, which on a CPU
    costs up to half of the rate."""
    return jax.lax.optimization_barrier(jnp.moveaxis(w, -1, 0))


def cotangent_product(d: jax.Array, w_transposed: jax.Array) -> jax.Array:
    """``d @ w^T``, in float32 or wider."""
    wide = jnp.promote_types(d.dtype, jnp.float32)
    dims = (((d.ndim - 1,), (0,)), ((), ()))
    return jax.lax.dot_general(d, w_transposed, dims, preferred_element_type=wide)


def matrix_gradient(inputs: jax.Array, w: jax.Array, d_out: jax.Array) -> jax.Array:
    """The gradient of ``w`` in ``product(inputs, w)``, over time and batch in one product."""
    rows = inputs.ndim - 1
    dims = ((tuple(range(1, rows + 1)), tuple(range(rows))), ((), ()))
    sharding = jax.typeof(w).sharding
    return jax.lax.dot_general(
        transpose(inputs.astype(w.dtype)),
        d_out,
        dims,
        preferred_element_type=jnp.promote_types(w.dtype, jnp.float32),
        out_sharding=sharding if sharding.mesh.are_all_axes_explicit else None,
    )
