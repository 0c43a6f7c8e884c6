"""minLSTM, minGRU and the LRU: what the laws and the references do not cover."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.core import initializers as init

KEY = jax.random.key(0)


def test_biases_that_keep_the_memory():
    b = lj.min_lstm(2, forget_bias=3.0).init(KEY, 4)["b"]
    np.testing.assert_array_equal(b, [0, 0, 3, 3, 0, 0])
    gru = lj.initialize(lj.min_gru(2), b=init.forget_bias(3.0)).init(KEY, 4)["b"]
    np.testing.assert_array_equal(gru, [-3, -3, 0, 0])  # an open update gate overwrites
    chrono = lj.initialize(lj.min_lstm(2), b=init.chrono(100.0)).init(KEY, 4)["b"]
    assert np.all(chrono[2:4] > 0)
    np.testing.assert_array_equal(chrono[:2], -chrono[2:4])


def test_min_lstm_with_both_gates_closed_or_open():
    cell = lj.min_lstm(2)
    params = cell.init(KEY, 1)
    for b in (-1e4, 1e4):
        closed = params | {"b": jnp.array([b, b, b, b, 1.0, 1.0]), "w_x": jnp.zeros((1, 6))}

        def mean(p):
            return jnp.mean(lj.unroll(cell, p, jnp.ones((3, 1)))[1])

        value, grads = jax.value_and_grad(mean)(closed)
        np.testing.assert_allclose(value, (0.5 + 0.75 + 0.875) / 3, rtol=1e-6)
        assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize("r_min, r_max, max_phase", [(0.0, 1.0, 2 * np.pi), (0.9, 0.99, 0.3)])
def test_the_lru_starts_in_its_ring(r_min, r_max, max_phase):
    cell = lj.lru(3, state_size=2000, r_min=r_min, r_max=r_max, max_phase=max_phase)
    params = cell.init(KEY, 5)
    radius = np.exp(-np.exp(np.float64(params["nu_log"])))
    assert r_min <= radius.min() and radius.max() <= r_max
    area = (radius**2 - r_min**2) / (r_max**2 - r_min**2)
    quarters = np.histogram(area, bins=4, range=(0, 1))[0] / 2000
    np.testing.assert_allclose(quarters, 0.25, atol=0.04)  # uniform in the ring (lemma 3.2)
    phase = np.exp(params["theta_log"])
    assert phase.min() > 0 and max_phase * 0.99 < phase.max() <= max_phase * 1.00001
    gamma = np.exp(np.float64(params["gamma_log"]))
    np.testing.assert_allclose(gamma**2, 1 - radius**2, rtol=1e-4, atol=1e-6)
    # So a unit under white noise has the variance of its input, B x: about 1/2 + 1/2.
    xs = jax.random.normal(jax.random.key(1), (500, 50, 5))
    state, _ = lj.unroll(cell, params, xs, method="scan")
    assert 0.8 < np.mean(state.real**2 + state.imag**2) < 1.25


def test_the_state_of_the_lru_is_real_and_has_its_own_size():
    cell = lj.lru(3, state_size=7)
    params = cell.init(KEY, 2)
    state, y = cell.step(params, cell.initial_state(params, (4,)), jnp.ones((4, 2)))
    assert (state.real.shape, state.imag.dtype, y.shape) == ((4, 7), jnp.float32, (4, 3))


def test_the_positive_activation_is_above_zero_and_continuous():
    act = lj.rnn(1, activation="positive")
    params = {"w_x": jnp.ones((1, 1)), "w_h": jnp.zeros((1, 1)), "b": jnp.zeros(1)}
    xs = jnp.array([[-50.0], [-1e-6], [0.0], [2.0]])
    _, ys = lj.unroll(act, params, xs)
    np.testing.assert_allclose(ys[:, 0], [np.exp(-50.0), 0.5, 0.5, 2.5], rtol=1e-5)
