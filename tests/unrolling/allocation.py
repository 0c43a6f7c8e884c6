"""What the backward pass of an unroll allocates."""

import jax
import jax.numpy as jnp

import lstm_jax as lj


def backward_bytes(cell, steps, rows, last_only=False, **options):
    """Bytes of temporary arrays in the compiled gradient of a sum of outputs, of all or of the
    last. Nothing is run."""
    params = jax.eval_shape(lambda key: cell.init(key, 4), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((steps, rows, 4), jnp.float32)

    def loss(params, xs):
        _, ys = lj.unroll(cell, params, xs, **options)
        return jnp.sum(ys[-1] if last_only else ys)

    compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
    return compiled.memory_analysis().temp_size_in_bytes
