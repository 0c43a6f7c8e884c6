"""Lyapunov exponents, against logarithms that are known and products of Jacobians in NumPy."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import lstm_jax as lj


def rnn(w_h, activation):
    """A simple RNN with one input, and its params."""
    size = len(w_h)
    w_x = jnp.asarray(np.random.default_rng(5).normal(size=(1, size)))
    cell = lj.rnn(size, activation=activation)
    return cell, {"w_x": w_x, "w_h": jnp.asarray(w_h), "b": jnp.zeros(size)}


def test_a_diagonal_linear_cell_has_the_logarithms_of_its_diagonal(x64):
    a = np.array([0.5, -0.9, 1.05, 0.99])
    cell, params = rnn(np.diag(a), "identity")
    xs = jax.random.normal(jax.random.key(0), (60, 2, 1))
    found = lj.insight.lyapunov_exponents(cell, params, xs)
    expected = np.sort(np.log(np.abs(a)))[::-1]
    np.testing.assert_allclose(found.exponents, [expected] * 2, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.growth, np.broadcast_to(expected, (60, 2, 4)), atol=1e-12)
    np.testing.assert_allclose(found.running()[-1], found.exponents, atol=1e-12)
    two = lj.insight.lyapunov_exponents(cell, params, jnp.zeros((1600, 1)), count=2, discard=1200)
    np.testing.assert_allclose(two.exponents, expected[:2], rtol=0, atol=1e-6)
    assert two.growth.shape == (400, 2)


def test_a_linear_cell_of_gates(x64):
    """minGRU's Jacobian is diagonal, and differs from step to step."""
    cell = lj.min_gru(3)
    params = cell.init(jax.random.key(0), 2, jnp.float64)
    xs = jax.random.normal(jax.random.key(1), (40, 2), jnp.float64)
    keep = 1 - lj.trace(cell, params, xs).gates["update"]
    expected = np.sort(np.mean(np.log(keep), axis=0))[::-1]
    found = lj.insight.lyapunov_exponents(cell, params, xs)
    np.testing.assert_allclose(found.exponents, expected, rtol=0, atol=1e-10)


def test_an_orthogonal_recurrence_has_exponents_of_zero(x64):
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    cell, params = rnn(q, "identity")
    for count in (None, 2):
        found = lj.insight.lyapunov_exponents(cell, params, jnp.ones((100, 1)), count=count)
        np.testing.assert_allclose(found.exponents, np.zeros(count or 6), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gain", [0.7, 2.5])
def test_a_random_net_against_products_of_dense_jacobians(x64, gain):
    size, steps = 8, 300
    w_h = gain * np.random.default_rng(1).normal(size=(size, size)) / np.sqrt(size)
    cell, params = rnn(w_h, "tanh")
    xs = 0.1 * np.random.default_rng(2).normal(size=(steps, 1))
    h, frame, growth = np.zeros(size), np.eye(size), []
    for x in xs:
        h = np.tanh(x @ np.asarray(params["w_x"]) + h @ w_h)
        frame, r = np.linalg.qr((1 - h**2)[:, None] * w_h.T @ frame)
        growth.append(np.log(np.abs(np.diag(r))))
    expected = np.sort(np.mean(growth[100:], axis=0))[::-1]
    found = lj.insight.lyapunov_exponents(cell, params, jnp.asarray(xs), discard=100)
    np.testing.assert_allclose(found.exponents, expected, rtol=0, atol=1e-9)
    assert (found.exponents[0] > 0) == (gain > 1)  # chaos
    largest = lj.insight.lyapunov_exponents(
        cell, params, jnp.asarray(xs), count=3, discard=100
    ).exponents
    np.testing.assert_allclose(largest, expected[:3], rtol=0, atol=0.02)
    # The sum of all of them is the mean logarithm of the determinants.
    np.testing.assert_allclose(np.sum(found.exponents), np.mean(np.sum(growth[100:], -1)))


def test_a_state_of_several_parts_and_a_count_of_steps(x64):
    """The state is (h, c) of the first layer and h of the second, each row on its own."""
    cell = lj.chain(lj.zoneout(lj.lstm(2), 0.3), lj.gru(2))
    params = cell.init(jax.random.key(0), 2, jnp.float64)
    xs = jax.random.normal(jax.random.key(1), (12, 2, 2), jnp.float64)
    state, _ = lj.unroll(cell, params, xs)
    found = lj.insight.lyapunov_exponents(cell, params, xs, state)

    def step(vector, zoned, gru, x):
        h, c, h2 = jnp.split(vector, 3)
        read = zoned._replace(cell=lj.LSTMState(h, c)), gru._replace(h=h2)
        new, _ = cell.step(params, read, x)
        return jnp.concatenate([*new[0].cell, new[1].h]), new

    jacobian_of = jax.jit(jax.jacobian(step, has_aux=True))
    for row in range(2):
        (zoned, gru), frame, growth = jax.tree.map(lambda leaf, r=row: leaf[r], state), np.eye(6), 0
        for x in xs[:, row]:
            vector = jnp.concatenate([*zoned.cell, gru.h])
            jacobian, (zoned, gru) = jacobian_of(vector, zoned, gru, x)
            frame, r = np.linalg.qr(jacobian @ frame)
            growth = growth + np.log(np.abs(np.diag(r)))
        expected = np.sort(growth / len(xs))[::-1]
        np.testing.assert_allclose(found.exponents[row], expected, rtol=0, atol=1e-9)


MISTAKES = [
    ({"count": 9}, "count: expected at most 2, the size of a state of gru"),
    ({"count": 0}, "count: expected a positive integer, got 0"),
    ({"discard": 3}, "discard: expected fewer than the 3 steps of xs, got 3"),
    ({"discard": -1}, "discard: expected a whole number"),
    ({"cell": lj.bidirectional(lj.gru(2), lj.gru(2))}, "cell: expected a cell that can be stepped"),
    ({"cell": 3}, "cell: expected a Cell"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_bad_input(change, message):
    arguments = {"cell": lj.gru(2), "xs": jnp.ones((3, 1))} | change
    cell = arguments["cell"]
    params = cell.init(jax.random.key(0), 1) if isinstance(cell, lj.Cell) else {}
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(lj.ArgumentError, match=message):
            lj.insight.lyapunov_exponents(params=params, **arguments)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
