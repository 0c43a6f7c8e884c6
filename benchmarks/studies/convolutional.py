"""How fast is ``lj.conv_lstm`` beside Flax's and Keras's ConvLSTM on JAX?

    python -m benchmarks.studies.convolutional
    python -m benchmarks.studies.convolutional 8,20,64,64,16

Prints medians of paired rounds, forward and backward to the weights and the inputs, of a ConvLSTM
with kernels of 3 by 3: by ``lj.unroll``, by its method "scan", by ``flax.linen.RNN`` around
``ConvLSTMCell`` and, if Keras is installed with JAX as its backend, by ``ConvLSTM2D``. In brackets
stand the ratios to the first: the median over rounds, and that of the fastest rounds, which a busy
machine disturbs less. Shapes are B,T,X,Y,C, with C channels in inputs and states.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

import lstm_jax as lj
from benchmarks.harness.shape_table import print_table

SHAPES = ("8,20,64,64,16", "16,10,32,32,32")
ROUNDS, SECONDS = 31, 120.0
UNROLL = "lj.unroll"


def make_calls(shape: tuple[int, int, int, int, int]) -> dict[str, Callable[[], Any]]:
    """By name, a call of each contender that waits for its gradients."""
    batch, steps, x, y, size = shape
    cell = lj.conv_lstm(size, (x, y))
    params = cell.init(jax.random.key(0), size)
    xs = jax.random.normal(jax.random.key(1), (steps, batch, x, y, size))
    weights = jax.random.normal(jax.random.key(2), xs.shape)

    def call(run: Callable[[Any, jax.Array], Any], params: Any, xs: jax.Array) -> Callable:
        cotangent = weights if xs.shape == weights.shape else jnp.swapaxes(weights, 0, 1)

        @jax.jit
        def gradient(params: Any, xs: jax.Array, cotangent: jax.Array) -> Any:
            loss = lambda params, xs: jnp.vdot(run(params, xs), cotangent)  # noqa: E731
            return jax.value_and_grad(loss, (0, 1))(params, xs)

        return lambda: jax.block_until_ready(gradient(params, xs, cotangent))

    flax = linen.RNN(linen.ConvLSTMCell(size, (3, 3)), time_major=True)
    of_flax = flax.init(jax.random.key(0), xs)
    calls = {
        UNROLL: call(lambda params, xs: lj.unroll(cell, params, xs)[1], params, xs),
        "lj.unroll, scan": call(
            lambda params, xs: lj.unroll(cell, params, xs, method="scan")[1], params, xs
        ),
        "flax.linen": call(flax.apply, of_flax, xs),
    }
    keras = _keras()
    if keras is not None:
        layer = keras.layers.ConvLSTM2D(size, 3, padding="same", return_sequences=True)
        rows = jnp.swapaxes(xs, 0, 1)
        layer.build(rows.shape)
        fixed = [v.value for v in layer.non_trainable_variables]
        of_keras = [v.value for v in layer.trainable_variables]
        calls["keras"] = call(
            lambda params, xs: layer.stateless_call(params, fixed, xs)[0], of_keras, rows
        )
    return calls


def _keras() -> Any:
    """Keras with JAX as its backend; None if there is none."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        import keras
    except ImportError:
        return None
    return keras if keras.backend.backend() == "jax" else None


def main(shapes: list[str]) -> None:
    """Prints the table."""
    print_table(
        "ConvLSTM",
        "B x T x X x Y x C",
        shapes or SHAPES,
        make_calls,
        rounds=ROUNDS,
        seconds=SECONDS,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
