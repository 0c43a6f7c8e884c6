import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.tasks import Sequences
from tests.selection import mostly_slow


def test_the_readout_is_linear_in_the_last_or_in_every_output():
    cell = lj.lstm(5)
    last = train.recurrent(cell, 3, 2)
    every = train.recurrent(cell, 3, 2, reads="every")
    params = last.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (7, 4, 3))
    _, ys = lj.unroll(cell, params["cell"], xs)
    by_hand = np.asarray(ys) @ np.asarray(params["readout"]["w"]) + params["readout"]["b"]
    np.testing.assert_allclose(every.apply(params, xs), by_hand, atol=1e-6)
    np.testing.assert_allclose(last.apply(params, xs), by_hand[-1], atol=1e-6)


def test_rows_that_differ_in_length_are_read_at_their_own_last_step():
    model = train.recurrent(lj.gru(5), 3, 2)
    params = model.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (7, 4, 3))
    lengths = jnp.array([7, 1, 4, 6])
    together = model.apply(params, Sequences(xs.at[6, 1:].set(jnp.nan), lengths))
    for row, length in enumerate([7, 1, 4, 6]):
        alone = model.apply(params, xs[:length, row])
        np.testing.assert_allclose(together[row], alone, atol=1e-6)


def test_noise_comes_from_the_key_alone():
    model = train.recurrent(lj.dropout(lj.rnn(20), 0.5), 3, 2)
    params = model.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (7, 4, 3))
    one, same, other = (model.apply(params, xs, key=jax.random.key(s)) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(model.apply(params, xs), model.apply(params, xs))


def test_parameters_are_counted_with_the_readout():
    model = train.recurrent(lj.lstm(32), 2, 1)
    assert train.count_parameters(model) == 4 * 32 * (2 + 32 + 1) + 32 + 1
    leaves = jax.tree.leaves(model.init(jax.random.key(0)))
    assert train.count_parameters(model) == sum(leaf.size for leaf in leaves)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"reads: .*got 'first'"):
        train.recurrent(lj.lstm(3), 2, 1, reads="first")
    model = train.recurrent(lj.lstm(3), 2, 1)
    with pytest.raises(ValueError, match=r"xs: .*got shape"):
        model.apply(model.init(jax.random.key(0)), jnp.zeros((0, 1, 2)))


@pytest.mark.parametrize(
    "dtype, truncate",
    mostly_slow(
        itertools.product([jnp.int8, jnp.int32], [None, 3]), [(jnp.int8, 3), (jnp.int32, None)]
    ),
)
def test_traced_lengths_are_clipped_as_in_the_unroll(dtype, truncate):
    """With T above what an int8 holds, and lengths of 0 and beyond both ends; known ones are an
    error."""
    model = train.recurrent(lj.gru(3), 2, 1, truncate=truncate)
    params = model.init(jax.random.key(0))
    params["readout"]["b"] = jnp.ones(1)
    steps = 150
    xs = jax.random.normal(jax.random.key(1), (steps, 4, 2))
    most = int(jnp.iinfo(dtype).max)
    beyond = jnp.array([most, 0, 1, 100], dtype)
    lowest = beyond.at[1].set(-5)
    expected = np.minimum(np.array(beyond, np.int64), steps)
    for apply in (model.apply, model.answer):
        read = jax.jit(lambda lengths, apply=apply: apply(params, Sequences(xs, lengths)))
        found = read(lowest)
        for row, length in enumerate(expected):
            if length:
                ys = lj.unroll(lj.gru(3), params["cell"], xs[:length, row])[1]
                one = ys[-1] @ params["readout"]["w"] + 1
            else:
                one = jnp.ones(1)  # zeros in the place of the output, and the bias
            np.testing.assert_allclose(found[row], one, rtol=1e-5, atol=1e-6)
        if most > steps:
            with pytest.raises(ValueError, match=r"^lengths: "):
                apply(params, Sequences(xs, lowest))


def test_narrow_params_are_read_in_float32():
    model = train.recurrent(lj.rnn(400, activation="relu"), 2, 1)
    params = jax.tree.map(
        lambda leaf: jnp.ones_like(leaf, jnp.float16), model.init(jax.random.key(0))
    )
    params["cell"]["w_h"] *= 0
    out = model.apply(params, jnp.full((1, 1, 2), 100.0))
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, [[400 * 201 + 1]])  # above the largest float16


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.uint32])
def test_lengths_without_a_sign_are_clipped_before_they_are_cast(dtype):
    cell = lj.gru(3)
    params, xs = cell.init(jax.random.key(0), 2), jnp.ones((5, 3, 2))
    run = jax.jit(lambda lengths: lj.unroll(cell, params, xs, lengths=lengths)[1])
    most = jnp.iinfo(dtype).max
    expected = run(jnp.array([5, 0, 5], dtype))
    np.testing.assert_array_equal(run(jnp.array([most, 0, most - 2], dtype)), expected)
    assert np.all(expected[:, 0] != 0)
