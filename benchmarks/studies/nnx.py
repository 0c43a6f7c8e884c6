"""What does ``lj.nnx.Recurrent`` cost beside ``lj.unroll``, and how far is it from ``nnx.RNN``?

    python -m benchmarks.studies.nnx
    python -m benchmarks.studies.nnx 32,100,128,128

Prints medians of paired rounds, forward and backward to the weights: ``lj.unroll`` under
``jax.jit``, and again, which shows the noise; the module under ``nnx.jit``, time-major and
batch-first; and ``nnx.RNN(nnx.OptimizedLSTMCell)``, time-major. In brackets stand the ratios to the
first: the median over rounds, and that of the fastest rounds, which a busy machine disturbs less.
Shapes are B,T,D,H. Under ``nnx.jit``, a call also takes the module apart and puts it together again
in Python, whatever the shape; ``nnx.cached_partial`` saves most of that.
"""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import lstm_jax as lj
from benchmarks.harness.shape_table import print_table

SHAPES = ("20,35,200,200", "32,100,128,128", "64,200,64,128", "128,100,256,256")
ROUNDS, SECONDS = 101, 60.0
UNROLL = "lj.unroll"


def make_calls(shape: tuple[int, int, int, int]) -> dict[str, Callable[[], Any]]:
    """By name, a call of each contender that waits for its gradients."""
    batch, steps, inputs, size = shape
    cell = lj.lstm(size)
    params = cell.init(jax.random.key(0), inputs)
    xs = jax.random.normal(jax.random.key(1), (steps, batch, inputs))
    weights = jax.random.normal(jax.random.key(2), (steps, batch, size))
    by_rows = [array.swapaxes(0, 1) for array in (xs, weights)]

    @jax.jit
    def gradient(params: Any, xs: jax.Array, weights: jax.Array) -> Any:
        return jax.value_and_grad(lambda p: jnp.vdot(lj.unroll(cell, p, xs)[1], weights))(params)

    @nnx.jit
    def gradient_of(model: Any, xs: jax.Array, weights: jax.Array) -> Any:
        return nnx.value_and_grad(lambda m: jnp.vdot(m(xs), weights))(model)

    def call(model: nnx.Module, xs: jax.Array, weights: jax.Array) -> Callable[[], Any]:
        return lambda: jax.block_until_ready(gradient_of(model, xs, weights))

    rngs = nnx.Rngs(0)
    first = lj.nnx.Recurrent(cell, inputs, params=params, time_major=True, rngs=rngs)
    flax = nnx.RNN(nnx.OptimizedLSTMCell(inputs, size, rngs=rngs), time_major=True)
    return {
        UNROLL: lambda: jax.block_until_ready(gradient(params, xs, weights)),
        "lj.unroll again": lambda: jax.block_until_ready(gradient(params, xs, weights)),
        "Recurrent, time-major": call(first, xs, weights),
        "Recurrent, batch-first": call(
            lj.nnx.Recurrent(cell, inputs, params=params, rngs=rngs), *by_rows
        ),
        "nnx.RNN": call(flax, xs, weights),
    }


def main(shapes: list[str]) -> None:
    """Prints the table."""
    print_table(
        "LSTM", "B x T x D x H", shapes or SHAPES, make_calls, rounds=ROUNDS, seconds=SECONDS
    )


if __name__ == "__main__":
    main(sys.argv[1:])
