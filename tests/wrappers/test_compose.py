"""What each wrapper does to the numbers, beyond the laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw

KEY = jax.random.key(0)
pytestmark = pytest.mark.usefixtures("x64")


def draw_inputs(cell, size=3, steps=5):
    params = draw(cell.init(KEY, size, jnp.float64), 1)
    return params, draw(jnp.zeros((steps, 2, size)), 2)


def test_a_chain_feeds_each_cell_with_the_one_before():
    cells = lj.lstm(4), lj.gru(2), lj.rnn(3)
    params, xs = draw_inputs(lj.chain(*cells))
    states, expected = [], xs
    for cell, p in zip(cells, params, strict=True):
        state, expected = lj.unroll(cell, p, expected)
        states.append(state)
    close(lj.unroll(lj.chain(*cells), params, xs), (tuple(states), expected))


def test_residual_adds_its_input():
    params, xs = draw_inputs(lj.residual(lj.gru(3)))
    state, ys = lj.unroll(lj.gru(3), params, xs)
    close(lj.unroll(lj.residual(lj.gru(3)), params, xs), (state, xs + ys))


@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_bidirectional_merges_a_forward_and_a_reversed_run(merge):
    forward, backward = lj.lstm(4), lj.gru(4)
    cell = lj.bidirectional(forward, backward, merge=merge)
    params, xs = draw_inputs(cell)
    _, f = lj.unroll(forward, params["forward"], xs)
    _, b = lj.unroll(backward, params["backward"], xs[::-1])
    expected = f + b[::-1] if merge == "sum" else jnp.concatenate([f, b[::-1]], -1)
    close(lj.unroll(cell, params, xs)[1], expected)
    assert cell.size == expected.shape[-1]


@pytest.mark.slow
def test_a_learned_state_is_where_rows_start_and_restart():
    cell = lj.learned_state(lj.lstm(4))
    params, xs = draw_inputs(cell)
    resets = np.zeros((5, 2), bool)
    resets[3] = True
    start = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, 4)), params["state"])
    inner = params["cell"]
    _, first = lj.unroll(lj.lstm(4), inner, xs[:3], start)
    final, second = lj.unroll(lj.lstm(4), inner, xs[3:], start)
    close(lj.unroll(cell, params, xs, resets=resets), (final, jnp.concatenate([first, second])))
    grads = jax.grad(lambda p: jnp.sum(lj.unroll(cell, p, xs, resets=resets)[1]))(params)
    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(grads["state"]))


def test_zoneout_in_evaluation_is_the_mean_of_old_and_new():
    cell, inner = lj.zoneout(lj.lstm(4), {"h": 0.2, "c": 0.5}), lj.lstm(4)
    params, xs = draw_inputs(cell)
    state = lj.LSTMState(*draw((jnp.zeros((2, 4)), jnp.zeros((2, 4))), 3))
    new, _ = inner.step(params, state, xs[0])
    counted = lj.CountedState(state, jnp.zeros(2, jnp.uint32))
    zoned, y = cell.step(params, counted, xs[0])
    close(zoned.cell.h, 0.2 * state.h + 0.8 * new.h)
    close(zoned.cell.c, 0.5 * state.c + 0.5 * new.c)
    close(y, zoned.cell.h)


@pytest.mark.parametrize("cell", [lj.lstm(200), lj.mgu(200)], ids=["gated", "plain"])
@pytest.mark.slow
def test_zoneout_keeps_old_units_with_its_rate(cell):
    noisy = lj.zoneout(cell, 0.3)
    params, xs = draw_inputs(noisy)
    old = draw(cell.initial_state(params, (2,)), 3)
    new, _ = cell.step(params, old, xs[0])
    counted = lj.CountedState(old, jnp.zeros(2, jnp.uint32))
    zoned, _ = noisy.step(params, counted, xs[0], key=KEY)
    kept = np.asarray(zoned.cell.h == old.h)
    assert np.all(kept | np.asarray(zoned.cell.h == new.h))  # each unit is one or the other
    assert abs(kept.mean() - 0.3) < 0.08
    if hasattr(old, "c"):
        assert np.any(kept != np.asarray(zoned.cell.c == old.c))  # fields draw for themselves


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("on", ["input", "output"])
def test_dropout_keeps_the_mean_and_drops_its_rate(on, variational):
    """Seen through a cell whose output is its input: h = x."""
    size = 400
    show = lj.rnn(size, activation="identity")
    params = {"w_x": jnp.eye(size), "w_h": jnp.zeros((size, size)), "b": jnp.zeros(size)}
    cell = lj.dropout(show, 0.25, on=on, variational=variational)
    _, ys = lj.unroll(cell, params, jnp.ones((6, 2, size)), key=KEY)
    dropped = np.asarray(ys == 0)
    np.testing.assert_allclose(np.asarray(ys)[~dropped], 1 / 0.75)
    assert abs(dropped.mean() - 0.25) < 0.05
    assert np.all(dropped == dropped[0]) == variational  # one mask a sequence, or one a step
    assert np.any(dropped[:, 0] != dropped[:, 1])  # rows draw for themselves
    close(lj.unroll(cell, params, jnp.ones((6, 2, size)))[1], jnp.ones((6, 2, size)))


def test_recurrent_dropout_masks_the_source_alone():
    """One mask per sequence on what w_h multiplies; the GRU's direct path from h to h is not
    masked."""
    cell = lj.dropout(lj.gru(50), 0.5, on="recurrent", variational=True)
    params, xs = draw_inputs(cell, steps=1)
    state = draw(cell.initial_state(params, (2,)), 3)
    noisy = cell.prepare(params, (2,), KEY)
    mask = noisy.noise
    assert mask.dtype == bool and 0.3 < np.mean(mask) < 0.7
    form = cell.form
    weights, vectors = form.split(noisy)
    close(form.source(vectors, state), state.h * mask * 2)
    new, _ = cell.advance(noisy, state, xs[0])
    plain = lj.gru(50)
    z = xs[0] @ params["w_x"] + params["b"]
    expected, _, _ = plain.form.pointwise(
        {"b_h": params["b_h"]}, state, z, (state.h * mask * 2) @ weights.w_h
    )
    close(new, expected)


@pytest.mark.slow
def test_drop_connect_is_the_cell_with_weights_missing():
    cell = lj.drop_connect(lj.chain(lj.lstm(6), lj.gru(5)), 0.5)
    params, xs = draw_inputs(cell)
    dropped = cell.prepare(params, (2,), KEY)
    for before, after in zip(params, dropped, strict=True):
        gone = np.asarray(after["w_h"] == 0)
        assert 0.3 < gone.mean() < 0.7
        np.testing.assert_allclose(after["w_h"][~gone], 2 * before["w_h"][~gone])
        np.testing.assert_array_equal(after["w_x"], before["w_x"])
    inner = lj.chain(lj.lstm(6), lj.gru(5))
    close(lj.unroll(cell, params, xs, key=KEY), lj.unroll(inner, dropped, xs))
    grads = jax.grad(lambda p: jnp.sum(lj.unroll(cell, p, xs, key=KEY)[1]))(params)
    for g, after in zip(grads, dropped, strict=True):
        assert not np.any(np.asarray(g["w_h"])[np.asarray(after["w_h"] == 0)])


def test_the_layers_of_a_chain_draw_different_noise():
    show = lj.rnn(300, activation="identity")
    params = {"w_x": jnp.eye(300), "w_h": jnp.zeros((300, 300)), "b": jnp.zeros(300)}
    cell = lj.dropout(show, 0.5, variational=True)
    _, ys = lj.unroll(lj.chain(cell, cell), (params, params), jnp.ones((1, 300)), key=KEY)
    assert abs(np.mean(np.asarray(ys) != 0) - 0.25) < 0.1


def test_mixed_precision_multiplies_in_bfloat16():
    cell = lj.mixed_precision(lj.lstm(8))
    params, xs = cell.init(KEY, 4), jnp.ones((3, 2, 4), jnp.float32)
    text = str(jax.make_jaxpr(lambda xs: lj.unroll(cell, params, xs))(xs))
    assert text.count("dot_general") == text.count("preferred_element_type=float32") == 2
    assert "bf16[4,32]" in text and "bf16[8,32]" in text


def test_a_name_tells_the_options():
    assert lj.lstm(4).name == "lstm(4)"
    assert lj.lstm(4, input_gate=False).name == "lstm(4, input_gate=False)"
    assert lj.rnn(4, activation="relu").name == "rnn(4, activation='relu')"
    assert lj.lstm_1997(2, output_gate=False).name == "lstm_1997(2, output_gate=False)"
    cell = lj.dropout(lj.gru(4, reset_after=False), 0.5, variational=True)
    assert cell.name == "dropout(gru(4, reset_after=False), 0.5, variational=True)"


def test_every_public_function_says_what_it_takes():
    """Everything public has a docstring, and no module hides a function of the same name."""
    import inspect

    for name in lj.__all__:
        value = getattr(lj, name)
        if callable(value):
            assert not inspect.ismodule(value) and inspect.getdoc(value), name


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.slow
def test_float16_takes_loss_scaling_and_bfloat16_does_not(dtype):
    """The gradient of a small loss, as the docstring of ``mixed_precision`` says."""
    cell, plain = lj.mixed_precision(lj.lstm(8), dtype), lj.lstm(8)
    params, xs = cell.init(KEY, 4), jax.random.normal(KEY, (10, 4, 4), jnp.float32)

    def gradient(cell, scale):
        def loss(params):
            ys = lj.unroll(cell, params, xs)[1].astype(jnp.float32)
            return scale * 1e-8 * jnp.mean(jnp.square(ys))

        return jax.tree.map(lambda leaf: leaf / scale, jax.jit(jax.grad(loss))(params))

    expected, scaled = gradient(plain, 1.0), gradient(cell, 2.0**20)
    for name, leaf in expected.items():
        assert np.linalg.norm(scaled[name] - leaf) < 0.1 * np.linalg.norm(leaf)
    bare = gradient(cell, 1.0)
    if dtype == "float16":
        assert not any(np.any(leaf) for leaf in bare.values())
    else:
        assert np.linalg.norm(bare["w_h"] - expected["w_h"]) < 0.1 * np.linalg.norm(expected["w_h"])
