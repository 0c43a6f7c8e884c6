"""Causal attention as a recurrent cell, whose state is a window of past keys and values."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import windowed_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import AttentionState
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.numerics import product, split_heads
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import AnyArray

POSITIONS = ("rotary", "learned", "none")


@factory
def attention(
    size: int, heads: int = 1, window: int = 256, *, positions: str = "rotary"
) -> Cell[AttentionState]:
    """Multi-head softmax attention to the last ``window`` steps, the current one included.

    Vaswani et al. 2017, section 3.2, masked to be causal and local. Positions are relative, so
    that a cell can run beyond the lengths that it was trained on.

    Params, in the order query, key, value: ``w_x [D, 3H]``, ``b [3H]``; ``w_y [H, H]``,
    ``b_y [H]``; with learned positions ``distance [heads, W]``. State
    ``AttentionState(keys, values, filled)``, with keys and values
    ``[*batch, heads, W, H / heads]``; output ``[*batch, H]``.

    Args:
        size: The size H of the output, and of all heads together.
        heads: The number of heads, a divisor of ``size``.
        window: The number W of steps that a step reads.
        positions: "rotary" rotates queries and keys by angles that grow with time (Su et al. 2021,
            eq. 34; in a head of odd size the last unit is not rotated). "learned" adds to each
            score a number for its head and distance (as Raffel et al. 2020, section 2.1, without
            their buckets). "none" has no positions.

    Raises:
        ValueError: If ``heads`` does not divide ``size``.
    """
    size = checking.positive_int("size", size)
    heads = checking.divisor("heads", heads, size)
    window = checking.positive_int("window", window)
    checking.choice("positions", positions, POSITIONS)
    axis = equal_gates(("query", "key", "value"), size)

    def project(params, x):
        qkv = axis.split(product(x, params["w_x"]) + params["b"])
        q, k, v = (split_heads(qkv[name], heads) for name in axis.names)
        return q, k, v

    def bias(params, distances):
        if positions != "learned":
            return None
        return params["distance"][:, np.clip(distances, 0, window - 1)]

    def output(params, o, x):
        y = product(o.reshape(*o.shape[:-2], size), params["w_y"]) + params["b_y"]
        return y.astype(params["w_x"].dtype)

    def init_params(key, input_size, dtype):
        key_x, key_y = jax.random.split(key)
        params = init.packed_input(key_x, input_size, axis, dtype)
        params |= {"w_y": init.glorot()(key_y, (size,), GateAxis(("y",), (size,)), dtype),
                   "b_y": jnp.zeros(size, dtype)}  # fmt: skip
        if positions == "learned":
            params["distance"] = jnp.zeros((heads, window), dtype)
        return params

    place = rotate if positions == "rotary" else lambda vectors, positions: vectors
    return windowed_cell(
        "attention",
        size,
        axis,
        init=init_params,
        heads=heads,
        window=window,
        project=project,
        place=place,
        bias=bias,
        output=output,
    )


def rotate(vectors: jax.Array, positions: AnyArray) -> jax.Array:
    """Rotates ``vectors [..., P, d]`` by angles that grow with ``positions [P]``.

    There is one angle for each of d / 2 planes (Su et al. 2021, eq. 34), with wavelengths from 2 pi
    to 20,000 pi steps. Angles are counted in units of 2^-32 turns, which integers add exactly: so
    products of rotated vectors depend only on their distance, at any time.
    """
    half = vectors.shape[-1] // 2
    turns = 10000.0 ** (-np.arange(half) / max(half, 1)) / (2 * math.pi)
    parts = jnp.asarray(np.round(turns * 2.0**32).astype(np.uint32))
    angle = jnp.asarray(positions).astype(jnp.uint32)[:, None] * parts
    angle = angle.astype(vectors.dtype) * (2 * math.pi / 2.0**32)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a, b, rest = jnp.split(vectors, [half, 2 * half], axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos, rest], axis=-1)
