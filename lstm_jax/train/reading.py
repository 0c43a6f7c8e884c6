"""How a network reads a cell's outputs: at the last step, at every step, or pooled over time."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking, varying
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.numerics import masked_softmax, product, wide
from lstm_jax.core.typing import Params
from lstm_jax.train.model import last_of
from lstm_jax.unrolling.methods.preactivations import matrix_gradient

READS = ("last", "every", "mean", "max", "attention")


def init_pool(key: jax.Array, size: int, dtype: Any) -> Params:
    """The params of pooling by attention: ``{"w" [H, H], "b" [H], "v" [H]}``."""
    key_w, key_v = jax.random.split(key)
    lecun = jax.nn.initializers.lecun_normal()
    return {
        "w": lecun(key_w, (size, size), dtype),
        "b": jnp.zeros(size, dtype),
        "v": lecun(key_v, (size, 1), dtype)[:, 0],
    }


def read(reads: str, pool: Params | None, ys: jax.Array, lengths: Any) -> jax.Array:
    """What the readout reads of the outputs ``ys [T, B, H]``, which are zero past ``lengths``."""
    if reads == "every":
        return ys
    if reads == "last":
        if ys.shape[0] == 0:
            raise WrongValue(f"xs: expected T of at least 1, got outputs of {ys.shape}")
        return ys[-1] if lengths is None else last_of(ys, lengths)
    if lengths is None:
        lengths = jnp.full(ys.shape[1], ys.shape[0], jnp.int32)
    lengths = checking.lengths(lengths, ys.shape[0], ys.shape[1:-1])
    inside = (jnp.arange(ys.shape[0])[:, None] < lengths)[..., None]
    if reads == "mean":
        total = jnp.sum(wide(ys), axis=0) / jnp.maximum(lengths, 1)[:, None]
        return total.astype(ys.dtype)
    if reads == "max":
        highest = jnp.max(jnp.where(inside, ys, -jnp.inf), axis=0, initial=-jnp.inf)
        return jnp.where(lengths[:, None] > 0, highest, 0)
    cell_checks.entries("params['pool']", pool, ("w", "b", "v"), "pooling by attention")
    assert pool is not None
    hidden = jnp.tanh(steps_product(ys, pool["w"]) + pool["b"])
    scores = product(hidden, pool["v"][:, None])
    weights = masked_softmax(scores, inside, axis=0)
    return jnp.sum(weights * ys, axis=0).astype(ys.dtype)


def steps_product(ys: jax.Array, w: jax.Array) -> jax.Array:
    """``product(ys, w)`` of ``ys [T, B, H]`` and ``w [H, O]``, with a faster gradient.

    In JAX's own gradient of w, XLA transposes the cotangent ``[T, B, O]``, which at a vocabulary of
    10,000 takes a tenth of a training step.
    """
    if ys.ndim == 2 or ys.dtype != w.dtype:
        return product(ys, w)
    return _steps_product(ys, varying.cast(varying.axes_of(ys), w))


@jax.custom_vjp
def _steps_product(ys: jax.Array, w: jax.Array) -> jax.Array:
    return product(ys, w)


def _forward(ys: jax.Array, w: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return product(ys, w), (ys, w)


def _backward(kept: tuple[jax.Array, jax.Array], d: jax.Array) -> tuple[jax.Array, jax.Array]:
    ys, w = kept
    d_ys = jax.lax.dot_general(d, w, (((d.ndim - 1,), (1,)), ((), ())))
    return d_ys.astype(ys.dtype), matrix_gradient(ys, w, d).astype(w.dtype)


_steps_product.defvjp(_forward, _backward)
