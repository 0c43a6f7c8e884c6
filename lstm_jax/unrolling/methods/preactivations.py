"""Pre-activations of gated cells, and the products that make them and their gradients.

The layouts were measured on a CPU; each function says what its layout saves.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.core.convolution import Convolution
from lstm_jax.core.forms import Gated, Product, Weights
from lstm_jax.core.numerics import product
from lstm_jax.core.steps import input_product


class Pre(NamedTuple):
    """Pre-activations, or their cotangents.

    ``both`` has the columns of which only ``z + r`` is read, ``z`` and ``r`` have the others. None
    means that there are no such columns.
    """

    both: jax.Array | None
    z: jax.Array | None
    r: jax.Array | None


def preactivations_of(form: Gated, weights: Weights, order: str) -> Any:
    """The function ``(x, source) -> Pre`` of a step; if hoisted, its x is already z."""
    if order == "joined":
        dtype = weights.w_x.dtype
        both = weights._replace(w_x=jnp.concatenate([weights.w_x, weights.w_h]))

        def pre_of(x: jax.Array, source: jax.Array) -> Pre:
            xh = jnp.concatenate([x.astype(dtype), source.astype(dtype)], axis=-1)
            return Pre(input_product(both, xh), None, None)

    else:

        def pre_of(x: jax.Array, source: jax.Array) -> Pre:
            z = x if order == "hoisted" else input_product(weights, x, form.product_x)
            return sum_columns(form, z, form.product_h(source, weights.w_h))

    return pre_of


def bias_as_row(form: Gated, weights: Weights, xs: jax.Array) -> tuple[Weights, jax.Array]:
    """Moves the bias into a row of the matrix ``w_x``, with a column of ones in ``xs``, if dtypes
    allow it.

    XLA's loops over the gates run up to twice as fast if no vector is added in them.
    """
    w_x, _, b, _ = weights
    if form.product_x is not product or b is None:
        return weights, xs
    if not b.dtype == w_x.dtype == xs.dtype == jnp.promote_types(b.dtype, jnp.float32):
        return weights, xs
    with_row = weights._replace(w_x=jnp.concatenate([w_x, b[None]]), b=None)
    return with_row, jnp.concatenate([xs, jnp.ones_like(xs[..., :1])], axis=-1)


def sum_columns(form: Gated, z: jax.Array, r: jax.Array) -> Pre:
    """Adds z and r in the columns of which ``pointwise`` reads only the sum."""
    n = z.shape[-1] if form.additive is True else int(form.additive)
    if n == 0:
        return Pre(None, z, r)
    if n == z.shape[-1]:
        return Pre(z + r, None, None)
    return Pre(z[..., :n] + r[..., :n], z[..., n:], r[..., n:])


def z_and_r(pre: Pre) -> tuple[jax.Array, jax.Array]:
    """A z and an r that serve ``pointwise``; where it reads only their sum, r is zero."""
    zeros = None if pre.both is None else jnp.zeros_like(pre.both)
    return concatenate_columns(pre.both, pre.z), concatenate_columns(zeros, pre.r)


def concatenate_columns(first: jax.Array | None, then: jax.Array | None) -> jax.Array:
    """The columns of both, one of which may be None."""
    parts = [part for part in (first, then) if part is not None]
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=-1)


def transpose(w: jax.Array) -> jax.Array:
    """``w^T``, materialised.

    Otherwise XLA would transpose within each product, which on a CPU costs up to half the rate.
    """
    return jax.lax.optimization_barrier(jnp.moveaxis(w, -1, 0))


class Transposed(NamedTuple):
    """The transposes of one of the two products of a step, for the backward pass.

    Those of matrices and convolutions are written out; those of any other product are JAX's.
    """

    multiply: Product
    w: jax.Array
    w_transposed: jax.Array | None

    @classmethod
    def of(cls, multiply: Product, w: jax.Array) -> "Transposed":
        """Those of ``multiply(inputs, w)``."""
        if isinstance(multiply, Convolution):
            wide = w.astype(jnp.promote_types(w.dtype, jnp.float32))
            return cls(multiply, w, jax.lax.optimization_barrier(multiply.transpose(wide)))
        return cls(multiply, w, transpose(w) if multiply is product else None)

    def to_inputs(self, d: jax.Array, inputs: jax.Array) -> jax.Array:
        """The cotangent of the inputs, which have the shape of ``inputs``, in float32 or wider."""
        if isinstance(self.multiply, Convolution):
            assert self.w_transposed is not None
            places = inputs.shape[-1 - len(self.multiply.stride) : -1]
            return self.multiply.to_inputs(d, self.w_transposed, places)
        if self.w_transposed is not None:
            return cotangent_product(d, self.w_transposed)
        wide = jnp.promote_types(d.dtype, jnp.float32)
        w = self.w.astype(wide)
        _, pull = jax.vjp(lambda inputs: self.multiply(inputs, w), inputs.astype(wide))
        return pull(d.astype(wide))[0]

    def to_weights(self, d: jax.Array, inputs: jax.Array) -> jax.Array:
        """The gradient of the weights, over time and batch in one product."""
        if self.multiply is product:
            return matrix_gradient(inputs, self.w, d)
        if isinstance(self.multiply, Convolution) and jax.default_backend() == "cpu":
            return kernel_gradient(self.multiply, inputs, self.w, d)
        wide = self.w.astype(jnp.promote_types(self.w.dtype, jnp.float32))
        inputs = inputs.astype(self.w.dtype)
        (d_w,) = jax.vjp(lambda w: self.multiply(inputs, w), wide)[1](d)
        return d_w


def kernel_gradient(
    convolution: Convolution, inputs: jax.Array, w: jax.Array, d_out: jax.Array
) -> jax.Array:
    """The gradient of the weights of a convolution, by one product for each place of the kernel.

    Within a loop on a CPU, XLA's own takes thirty times as long.
    """
    kernel = w.shape[: len(convolution.stride)]
    of_one = w[(0,) * len(kernel)]
    parts = [matrix_gradient(x, of_one, d_out) for x in convolution.windows(inputs, kernel)]
    return jnp.stack(parts).reshape(w.shape)


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
