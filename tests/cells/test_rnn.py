"""IndRNN and clockwork RNN: against NumPy references, and what their options mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw
from tests.reference import numpy_memory_cells as reference

T, B, D = 9, 3, 4
KEY = jax.random.key(0)


def inputs_of(cell):
    params = draw(cell.init(KEY, D, jnp.float64), 1)
    return params, draw(jnp.zeros((T, B, D)), 2), draw(cell.initial_state(params, (B,)), 3)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_indrnn_equals_numpy(activation):
    cell = lj.indrnn(5, activation=activation)
    params, xs, state = inputs_of(cell)
    final, ys = lj.unroll(cell, params, xs, state)
    close((final._asdict(), ys), reference.indrnn(params, xs, *state, activation=activation))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "size, periods, counts",
    [(5, None, (1, 1, 1, 1, 1)), (5, (1, 3), (3, 2)), (7, (2, 3, 4), (3, 2, 2))],
)
def test_the_clockwork_network_equals_numpy(size, periods, counts):
    cell = lj.clockwork(size, periods=periods)
    params, xs, state = inputs_of(cell)
    final, ys = lj.unroll(cell, params, xs, state)
    periods = (1, 2, 4, 8, 16) if periods is None else periods
    expected, expected_ys = reference.clockwork(params, xs, state.h, periods=periods, counts=counts)
    close((final.h, ys), (expected["h"], expected_ys))
    np.testing.assert_array_equal(final.t, expected["t"])


def test_recurrent_weights_start_within_the_limit():
    u = np.asarray(lj.indrnn(500, limit=0.5).init(KEY, 1)["u"])
    assert 0 <= u.min() < 0.05 and 0.45 < u.max() <= 0.5


def test_a_slow_module_sees_no_input_between_its_steps():
    cell = lj.clockwork(4, periods=(1, 4))
    params = cell.init(KEY, D)
    xs = jax.random.normal(KEY, (T, D))
    states = [ys for _, ys in (lj.unroll(cell, params, xs.at[t].add(1.0)) for t in (4, 5))]
    plain = lj.unroll(cell, params, xs)[1]
    assert np.any(states[0][:, 2:] != plain[:, 2:])
    np.testing.assert_array_equal(states[1][:8, 2:], plain[:8, 2:])


@pytest.mark.parametrize(
    "make, argument",
    [
        (lambda: lj.indrnn(0), "size"),
        (lambda: lj.indrnn(3, limit=0.0), "limit"),
        (lambda: lj.indrnn(3, activation="sine"), "activation"),
        (lambda: lj.clockwork(3, periods=(1, 2, 4, 8)), "periods"),
        (lambda: lj.clockwork(3, periods=(2, 1)), "periods"),
        (lambda: lj.clockwork(3, periods=()), "periods"),
        (lambda: lj.clockwork(3, periods=(1, 2.5)), "periods"),
        (lambda: lj.clockwork(3, periods=2), "periods"),
        (lambda: lj.clockwork(3, periods=(0, 2)), "periods"),
        (lambda: lj.dropout(lj.indrnn(3), 0.5, on="recurrent", variational=True), "on"),
    ],
)
def test_mistakes_name_the_argument(make, argument):
    with pytest.raises((ValueError, TypeError), match=f"^{argument}: expected"):
        make()
