"""A stream computes what the cell's steps compute, and its state can be read and set."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import CASES

QUICK = ("lstm_fgr", "gru_norm", "zoneout", "attentive", "attention_short", "mlstm",
         "learned_state_chain", "lstm_projected")  # fmt: skip
B = 3


def _xs(size, steps=5, dtype=jnp.float32, places=()):
    return jax.random.normal(jax.random.key(1), (steps, B, *places, size), dtype)


def _close(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(b, np.float64), atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in CASES]
)
def test_a_stream_equals_the_steps(name):
    cell, size, _ = CASES[name]
    params = cell.init(jax.random.key(0), size)
    try:
        stream = lj.stream(cell, params, (B,))
    except ValueError as error:
        assert "bidirectional" in str(error)
        assert "bidirectional" in name or name == "deep_noisy"
        return
    state = cell.initial_state(params, (B,))
    step = jax.jit(lambda state, x: cell.step(params, state, x))
    for x in _xs(size, places=cell.grid.inputs):
        state, expected = step(state, x)
        _close(stream(x), expected)
    _close(stream.state, state)


@pytest.mark.parametrize(
    "cell",
    [
        lj.mixed_precision(lj.lstm(4)),
        lj.chain(lj.mixed_precision(lj.rnn(4)), lj.gru(2)),
        lj.lstm(90, peephole=True),
        lj.attention(64, 2, 90),  # too large for one buffer
        lj.chain(lj.dropout(lj.lstm(520), 0.5), lj.rnn(2)),  # too large for constants
    ],
)
@pytest.mark.slow
def test_other_dtypes_and_large_states(cell):
    params = cell.init(jax.random.key(0), 2)
    stream = lj.stream(cell, params, (B,))
    state = cell.initial_state(params, (B,))
    for x in _xs(2):
        state, expected = cell.step(params, state, x)
        y = stream(x)
        assert y.dtype == expected.dtype
        np.testing.assert_allclose(y.astype("f"), expected.astype("f"), atol=2e-2)
    assert jax.tree.structure(stream.state) == jax.tree.structure(state)


def test_64_bits(x64):
    cell = lj.zoneout(lj.lstm(3), 0.2)
    params = cell.init(jax.random.key(0), 2, jnp.float64)
    stream = lj.stream(cell, params, (B,))
    _, ys = lj.unroll(cell, params, _xs(2, dtype=jnp.float64))
    np.testing.assert_allclose([stream(x) for x in _xs(2, dtype=jnp.float64)], ys, atol=1e-12)


@pytest.mark.parametrize(
    "cell",
    [
        lj.learned_state(lj.chain(lj.lstm(3), lj.dropout(lj.gru(2), 0.5))),
        lj.learned_state(lj.lstm(100)),  # too large for one buffer
    ],
)
def test_the_state_can_be_read_set_and_reset(cell):
    params = jax.tree.map(lambda leaf: leaf + 0.1, cell.init(jax.random.key(0), 2))
    stream = lj.stream(cell, params, (B,))
    xs = _xs(2)
    initial = stream.state
    _close(initial, cell.initial_state(params, (B,)))
    first = np.asarray(stream(xs[0]))
    kept = stream.state
    second = np.asarray(stream(xs[1]))
    _close(stream(xs[1]), cell.step(params, cell.step(params, kept, xs[1])[0], xs[1])[1])
    stream.state = kept
    np.testing.assert_array_equal(stream(xs[1]), second)
    stream.reset()
    _close(stream.state, initial)
    np.testing.assert_array_equal(stream(xs[0]), first)
    before = stream.state
    stream.reset(np.array([True, False, True]))
    for new, old, start in zip(*map(jax.tree.leaves, (stream.state, before, initial)), strict=True):
        np.testing.assert_array_equal(new[1], old[1])
        np.testing.assert_array_equal(new[::2], start[::2])


def test_a_stream_of_one_row_has_no_batch_axis():
    cell = lj.gru(3)
    params = cell.init(jax.random.key(0), 2)
    stream = lj.stream(cell, params)
    x = np.ones(2, np.float32)
    _close(stream(x), cell.step(params, cell.initial_state(params), x)[1])
    assert repr(stream) == "Stream(gru(3), batch_shape=())"


def test_the_weights_may_change_afterwards():
    cell = lj.rnn(2)
    params = cell.init(jax.random.key(0), 1)
    stream = lj.stream(cell, params)
    jax.tree.map(lambda leaf: leaf.delete(), params)
    assert stream(np.ones(1, np.float32)).shape == (2,)


def test_wrong_inputs_leave_the_state():
    cell = lj.gru(3)
    params = cell.init(jax.random.key(0), 2)
    stream = lj.stream(cell, params, (B,))
    stream(np.ones((B, 2), np.float32))
    before = stream.state
    for x, error in (
        (np.ones((B, 3), np.float32), ValueError),
        (np.ones(2, np.float32), ValueError),
        (np.ones((B, 2), np.int32), ValueError),
        ([[1.0, 2.0]] * B, TypeError),
        (np.ones((B, 2), object), ValueError),
    ):
        with pytest.raises(error, match=r"^x"):
            stream(x)
    with pytest.raises(TypeError, match=r"^x: expected an array with values, got a tracer"):
        jax.jit(stream)(np.ones((B, 2), np.float32))
    _close(stream.state, before)
    half = stream(np.ones((B, 2), np.float16))  # a narrower float is cast
    stream.state = before
    _close(half, stream(np.ones((B, 2), np.float32)))
    with pytest.raises(ValueError, match=r"^state"):
        stream.state = lj.gru(2).initial_state(lj.gru(2).init(jax.random.key(0), 1), (B,))
    for rows in (np.ones(2, bool), np.ones(B)):
        with pytest.raises(ValueError, match=r"^rows"):
            stream.reset(rows)


def test_wrong_arguments_are_named():
    cell = lj.gru(3)
    params = cell.init(jax.random.key(0), 2)
    for arguments, error, match in (
        ((lj.gru, params), TypeError, "^cell"),
        ((lj.gru(2), params), ValueError, "^params"),
        ((cell, params, (-1,)), ValueError, "^batch_shape"),
    ):
        with pytest.raises(error, match=match):
            lj.stream(*arguments)
