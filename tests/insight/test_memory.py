"""Time scales against NumPy, and memory curves of cells whose memory is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj

UNITS = 10


def shift_register(size):
    """A linear cell whose unit k holds the input of k steps ago."""
    cell = lj.rnn(size, activation="identity")
    params = {
        "w_x": jnp.zeros((1, size)).at[0, 0].set(1.0),
        "w_h": jnp.eye(size, k=1),
        "b": jnp.zeros(size),
    }
    return cell, params


def test_a_shift_register_remembers_as_many_steps_as_it_has_units():
    curve = lj.insight.memory_curve(*shift_register(UNITS), jax.random.key(0), lags=2 * UNITS)
    np.testing.assert_allclose(curve.r2[:UNITS], 1, atol=1e-4)
    assert (curve.r2[UNITS:] < 0.01).all() and (curve.r2 >= 0).all()
    assert abs(curve.capacity - UNITS) < 0.02 * UNITS
    assert curve.capacity == curve.r2.sum()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_linear_cell_remembers_at_most_as_many_steps_as_it_has_units(x64, seed):
    rng = np.random.default_rng(seed)
    w_h = rng.normal(size=(UNITS, UNITS))
    w_h *= 0.95 / np.abs(np.linalg.eigvals(w_h)).max()
    w_x = rng.normal(size=(1, UNITS))
    params = jax.tree.map(jnp.asarray, {"w_x": w_x, "w_h": w_h, "b": np.zeros(UNITS)})
    cell = lj.rnn(UNITS, activation="identity")
    curve = lj.insight.memory_curve(
        cell, params, jax.random.key(seed), lags=20 * UNITS, steps=20_000, ridge=0.0, input="normal"
    )
    assert curve.r2.dtype == jnp.float64
    assert 0.95 * UNITS < curve.capacity < 1.02 * UNITS


def test_the_curve_equals_ridge_regression_by_hand(x64):
    rng = np.random.default_rng(0)
    steps, lags, washout, ridge = 400, 6, 50, 1e-3
    inputs = rng.normal(size=steps)
    states = np.stack([np.roll(inputs, k) + rng.normal(size=steps) for k in range(3)], axis=-1)
    curve = lj.insight.memory_curve_of(states, inputs, lags=lags, washout=washout, ridge=ridge)
    half = washout + (steps - washout) // 2
    train, test = np.arange(washout, half), np.arange(half, steps)
    centre = states[train].mean(axis=0)
    centred = states[train] - centre
    moments = centred.T @ centred
    penalty = ridge * np.linalg.eigvalsh(moments).max() * np.eye(3)
    for lag in range(lags):
        target = inputs[train - lag]
        w = np.linalg.solve(moments + penalty, centred.T @ (target - target.mean()))
        errors = inputs[test - lag] - target.mean() - (states[test] - centre) @ w
        r2 = (
            1
            - np.square(errors).sum()
            / np.square(inputs[test - lag] - inputs[test - lag].mean()).sum()
        )
        np.testing.assert_allclose(curve.r2[lag], max(r2, 0), atol=1e-10)
    assert curve.r2[0] > 0.3 > 0.05 > curve.r2[5]


def test_all_fields_of_a_state_are_read():
    """Half of the register in each of two fields."""
    cell, params = shift_register(UNITS)
    xs = jax.random.normal(jax.random.key(1), (600, 1))
    states = lj.trace(cell, params, xs).states.h
    halves = lj.LSTMState(states[:, :5], states[:, 5:])
    whole = lj.insight.memory_curve_of(states, xs[:, 0], lags=12, washout=20)
    both = lj.insight.memory_curve_of(halves, xs[:, 0], lags=12, washout=20)
    np.testing.assert_allclose(both.r2, whole.r2, atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "gate", "sign"),
    [
        (lj.lstm(3), "forget", 1),
        (lj.lstm(3, coupled=True), "input", -1),
        (lj.gru(3), "update", 1),
        (lj.mgu(3), "forget", -1),
        (lj.dropout(lj.gru(3), 0.5), "update", 1),
    ],
)
def test_time_scales_equal_numpy(cell, gate, sign):
    xs = jax.random.normal(jax.random.key(0), (9, 4, 2))
    lengths = np.array([9, 3, 0, 5])
    trace = lj.trace(cell, cell.init(jax.random.key(1), 2), xs, lengths=lengths)
    values = np.asarray(trace.gates[gate])
    kept = np.concatenate([values[:n, row] for row, n in enumerate(lengths)])
    kept = kept if sign > 0 else 1 - kept
    expected = -1 / np.log(kept.mean(axis=0))
    np.testing.assert_allclose(lj.insight.time_scales(cell, trace), expected, rtol=1e-4)


def test_time_scales_of_a_known_decay():
    """A forget gate that is constant, since its weights are zero, keeps exp(-1/20) per step."""
    cell = lj.lstm(2)
    params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), 1))
    keep = np.exp(-1 / 20)
    params["b"] = params["b"].at[2:4].set(np.log(keep / (1 - keep)))
    trace = lj.trace(cell, params, jnp.ones((5, 1)))
    np.testing.assert_allclose(lj.insight.time_scales(cell, trace), 20, rtol=1e-4)


def test_the_two_gates_of_the_min_lstm_are_scaled_to_a_sum_of_one():
    cell = lj.min_lstm(3)
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (9, 2))
    kept, _ = cell.form.coefficients(params, xs)
    got = lj.insight.time_scales(cell, lj.trace(cell, params, xs))
    np.testing.assert_allclose(got, -1 / np.log(kept.mean(axis=0)), rtol=1e-4)


def test_bad_input():
    cell, params = shift_register(3)
    key, xs = jax.random.key(0), jnp.zeros((8, 1))
    trace = lj.trace(cell, params, xs)
    for message, call in {
        "cell: expected a cell with a gate that keeps": lambda: lj.insight.time_scales(cell, trace),
        "trace: expected a trace with the gate forget, got cell": lambda: lj.insight.time_scales(
            lj.lstm(3), trace
        ),
        "lags: expected a positive integer": lambda: lj.insight.memory_curve(
            cell, params, key, lags=0
        ),
        "input: expected one of uniform, normal": lambda: lj.insight.memory_curve(
            cell, params, key, lags=2, input="gauss"
        ),
        "states: expected at least 9 steps": lambda: lj.insight.memory_curve_of(
            trace.states, xs[:, 0], lags=6
        ),
        "states: expected floats": lambda: lj.insight.memory_curve_of(
            trace.states, xs[:5, 0], lags=2
        ),
        "ridge: expected a number of 0 or more": lambda: lj.insight.memory_curve_of(
            trace.states, xs[:, 0], lags=2, ridge=-1.0
        ),
        "params: expected those for inputs of size 1, got those for size 2": lambda: (
            lj.insight.memory_curve(cell, cell.init(key, 2), key, lags=2)
        ),
    }.items():
        with pytest.raises(lj.ArgumentError) as error:
            call()
        assert message in str(error.value)
