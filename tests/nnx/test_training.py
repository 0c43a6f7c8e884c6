"""A forecaster as in Flax's public examples, with ``nnx.RNN(nnx.LSTMCell)`` and with ours.

The model, the data (windows of a sum of sinusoids with noise) and the training step are those of
the usual NNX tutorial on time series; the layer is the only line that differs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import lstm_jax as lj

WINDOW, HORIZON, HIDDEN = 24, 4, 16


class Forecaster(nnx.Module):
    def __init__(self, make_layer, rngs):
        self.rnn = make_layer(1, HIDDEN, rngs)
        self.head = nnx.Linear(HIDDEN, HORIZON, rngs=rngs)

    def __call__(self, windows):
        return self.head(self.rnn(windows)[:, -1])


LAYERS = {
    "nnx": lambda inputs, size, rngs: nnx.RNN(nnx.LSTMCell(inputs, size, rngs=rngs)),
    "Recurrent": lambda inputs, size, rngs: lj.nnx.Recurrent(lj.lstm(size), inputs, rngs=rngs),
    "RNNCell": lambda inputs, size, rngs: nnx.RNN(lj.nnx.RNNCell(lj.lstm(size), inputs, rngs=rngs)),
}


class Data(NamedTuple):
    windows: jax.Array
    targets: jax.Array


def make_data():
    t = np.arange(600)
    noise = np.random.default_rng(0).normal(size=t.size)
    series = np.sin(t / 5) + 0.5 * np.sin(t / 13) + 0.1 * noise
    rows = np.lib.stride_tricks.sliding_window_view(series, WINDOW + HORIZON)
    rows = jnp.asarray(rows, jnp.float32)
    return Data(rows[:, :WINDOW, None], rows[:, WINDOW:])


def train(layer, seed, steps=150):
    """The mean losses of the training steps, and the loss on all windows in the end."""
    data = make_data()
    model = Forecaster(LAYERS[layer], nnx.Rngs(seed))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    def loss_of(model, batch):
        return jnp.mean((model(batch.windows) - batch.targets) ** 2)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, gradient = nnx.value_and_grad(loss_of)(model, batch)
        optimizer.update(model, gradient)
        return loss

    order = np.random.default_rng(seed)
    for _ in range(steps):
        rows = order.integers(0, len(data.targets), 32)
        step(model, optimizer, Data(data.windows[rows], data.targets[rows]))
    return float(nnx.jit(loss_of)(model, data))


@pytest.mark.slow
def test_the_swapped_layer_trains_to_the_same_loss():
    losses = {name: np.mean([train(name, seed) for seed in range(3)]) for name in LAYERS}
    assert losses["nnx"] < 0.05  # it has learnt something: the variance is 0.6
    assert losses["Recurrent"] <= losses["nnx"]
    assert losses["RNNCell"] == pytest.approx(losses["Recurrent"], rel=0.05)


def test_with_the_weights_of_flax_training_is_the_same():
    """The same cell, by ``from_nnx_cell``: each step of training gives the same loss."""
    data = Data(*(part[:8] for part in make_data()))
    theirs = Forecaster(LAYERS["nnx"], nnx.Rngs(0))
    cell = lj.nnx.from_nnx_cell(nnx.LSTMCell, HIDDEN)
    params = lj.nnx.get_params(theirs.rnn.cell)
    ours = Forecaster(
        lambda inputs, size, rngs: lj.nnx.Recurrent(cell, inputs, params=params, rngs=rngs),
        nnx.Rngs(0),
    )
    ours.head = nnx.clone(theirs.head)

    def loss_of(model):
        return jnp.mean((model(data.windows) - data.targets) ** 2)

    @nnx.jit
    def step(model, optimizer):
        loss, gradient = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, gradient)
        return loss

    def losses_of(model):
        optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
        return [step(model, optimizer) for _ in range(3)]

    np.testing.assert_allclose(losses_of(ours), losses_of(theirs), rtol=1e-5)
