"""Attention as a cell, and the LSTMN, against NumPy loops and against what they promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.cells.attention import rotate
from tests.platforms import WORKSPACE_BYTES
from tests.reference import numpy_attention
from tests.selection import mostly_slow

T, B, D = 9, 2, 3


def draw_inputs(cell, dtype=jnp.float64, steps=T):
    """Params without zeros, and inputs."""
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), dtype),
        cell.init(jax.random.key(0), D),
    )
    return params, jnp.asarray(rng.normal(size=(steps, B, D)), dtype)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("positions", ["rotary", "learned", "none"])
@pytest.mark.parametrize("method", ["parallel", "scan"])
def test_attention_equals_numpy(positions, method):
    heads, window = 2, 4
    cell = lj.attention(6, heads, window, positions=positions)
    params, xs = draw_inputs(cell)
    as_numpy = jax.tree.map(np.asarray, params)
    expected = numpy_attention.attention(as_numpy, np.asarray(xs), heads, window, positions)
    _, ys = lj.unroll(cell, params, xs, method=method)
    np.testing.assert_allclose(ys, expected, rtol=1e-8, atol=1e-8)  # angles: 2^-32 of a turn


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("window", [1, 4, 20])
def test_lstmn_equals_numpy(window):
    cell = lj.lstmn(5, window, attention_size=4)
    params, xs = draw_inputs(cell)
    as_numpy = jax.tree.map(np.asarray, params)
    _, ys = lj.unroll(cell, params, xs)
    expected = numpy_attention.lstmn(as_numpy, np.asarray(xs), window)
    np.testing.assert_allclose(ys, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("positions", mostly_slow(["rotary", "learned"], ["rotary"]))
def test_the_steps_equal_the_sequence_past_the_window(positions):
    """Step by step and all at once, in float32 and over several blocks, with padding and resets:
    outputs, final state and gradients."""
    steps, cell = 300, lj.attention(8, 2, 20, positions=positions)
    params, xs = draw_inputs(cell, jnp.float32, steps)
    params = jax.tree.map(lambda leaf: 0.3 * leaf, params)
    resets = np.zeros((steps, B), bool)
    resets[150, 0] = resets[290, 1] = True
    given = {"lengths": np.array([steps, 177]), "resets": resets}

    def both(method):
        def loss(params, xs):
            state, ys = lj.unroll(cell, params, xs, method=method, **given)
            return jnp.mean(ys**2) + jnp.mean(state.values**2), (state, ys)

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, xs)

    for one, other in zip(*map(jax.tree.leaves, (both("scan"), both("parallel"))), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_long_sequences_equal_the_steps_in_blocks_of_the_long_way():
    """More steps than the program unrolls, from a window that is half full."""
    steps, cell = 1300, lj.attention(4, 2, 130)
    params, xs = draw_inputs(cell, jnp.float32, steps)
    state, _ = lj.unroll(cell, params, xs[:60], method="scan")
    outcomes = [
        jax.jit(lambda m=m: lj.unroll(cell, params, xs, state, method=m))()
        for m in ("scan", "parallel")
    ]
    for one, other in zip(*map(jax.tree.leaves, outcomes), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_long_sequences_train_in_memory_that_grows_with_the_window():
    """The T x T scores of one head would take 1.6 GB; the limit is a hundredth of that."""
    cell = lj.attention(8, 2, 64)
    params, _ = draw_inputs(cell, jnp.float32)

    def loss(params, xs):
        return jnp.sum(lj.unroll(cell, params, xs)[1] ** 2)

    xs = jax.ShapeDtypeStruct((20_000, 1, D), jnp.float32)
    compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 16e6 + WORKSPACE_BYTES


@pytest.mark.usefixtures("x64")
def test_turned_products_depend_on_the_distance_alone_however_late():
    rng = np.random.default_rng(1)
    q, k = jnp.asarray(rng.normal(size=(2, 1, 6)))

    def score(late):
        at = np.array([late], np.int64) % 2**32
        return jnp.vdot(rotate(q, at + 7), rotate(k, at))

    np.testing.assert_allclose(score(10**9), score(0), rtol=1e-9)
    by_hand = numpy_attention.rotate(np.asarray(q[0]), 7) @ np.asarray(k[0])
    np.testing.assert_allclose(score(0), by_hand, rtol=1e-7)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="heads: expected a divisor of size, 8, got 3"):
        lj.attention(8, 3)
    with pytest.raises(ValueError, match="window: expected a positive integer, got 0"):
        lj.attention(8, 2, 0)
    with pytest.raises(ValueError, match=r"positions: expected .*got 'rotry'.*mean 'rotary'"):
        lj.attention(8, 2, positions="rotry")
    with pytest.raises(ValueError, match="attention_size: expected a positive integer, got 0"):
        lj.lstmn(8, attention_size=0)
    cell = lj.attention(8, 2)
    params = cell.init(jax.random.key(0), D)
    with pytest.raises(ValueError, match=r"not of the gated form, got 'deferred'"):
        lj.unroll(cell, params, jnp.zeros((3, D)), method="deferred")
    gru = lj.gru(3)
    with pytest.raises(ValueError, match=r"not of a form with a parallel solver, got 'parallel'"):
        lj.unroll(gru, gru.init(jax.random.key(0), D), jnp.zeros((3, D)), method="parallel")
