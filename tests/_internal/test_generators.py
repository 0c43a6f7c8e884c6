"""Keys of generators other than threefry keep the same promises, and other keys draw other
noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import decode, seq2seq, tasks, train
from lstm_jax._internal import checking
from tests.selection import mostly_slow

IMPLS = ("rbg", "unsafe_rbg")


def words(key):
    return np.asarray(jax.random.key_data(key)).tolist()


@pytest.mark.parametrize("impl", IMPLS)
def test_dropout_draws_the_same_masks_whole_in_chunks_and_by_steps(impl):
    cell, key = lj.dropout(lj.lstm(64), 0.5, on="output"), jax.random.key(7, impl=impl)
    params, xs = cell.init(jax.random.key(0), 3), jnp.ones((6, 2, 3))
    _, whole = lj.unroll(cell, params, xs, key=key)
    state, first = lj.unroll(cell, params, xs[:2], key=key)
    _, second = lj.unroll(cell, params, xs[2:], state, key=key)
    dropped = np.asarray(whole == 0)
    assert abs(dropped.mean() - 0.5) < 0.08
    np.testing.assert_array_equal(dropped, np.concatenate([first, second]) == 0)
    state = cell.initial_state(params, (2,))
    for x, zeros in zip(xs, dropped, strict=True):
        state, y = cell.step(params, state, x, key=key)
        np.testing.assert_array_equal(y == 0, zeros)


def test_each_word_of_a_key_counts_and_threefry_is_left_as_it_is():
    made = {impl: checking.random_key("key", jax.random.key(7, impl=impl)) for impl in IMPLS}
    assert {str(jax.random.key_impl(key)) for key in made.values()} == {"threefry2x32"}
    seen = [
        words(checking.random_key("key", jax.random.key(seed, impl="rbg"))) for seed in range(5)
    ]
    base = np.array([1, 2, 3, 4], np.uint32)
    seen += [words(checking.random_key("key", base + bit)) for bit in np.eye(4, dtype=np.uint32)]
    assert len({tuple(each) for each in seen}) == 9
    plain = jax.random.key(7, impl="threefry2x32")
    assert words(checking.random_key("key", plain)) == words(plain)


@pytest.mark.parametrize("impl", (*IMPLS, "threefry2x32"))
def test_legacy_keys_are_those_of_their_generator_whatever_the_default_is(impl):
    typed = [jax.random.key(7, impl=name) for name in ("threefry2x32", impl)]
    with jax.default_prng_impl(impl):
        for key in typed:
            data = jax.random.key_data(key)
            assert words(checking.random_key("key", data)) == words(checking.random_key("key", key))
            assert words(checking.random_key("key", np.asarray(data))) == words(
                checking.random_key("key", key)
            )


@pytest.mark.slow
@pytest.mark.parametrize("impl", mostly_slow(IMPLS, ["rbg"]))
def test_seeds_under_vmap_are_seeds_alone(impl):
    """Initial weights, batches of a task, training with a noisy cell, and random truncation."""
    keys = jnp.stack([jax.random.key(seed, impl=impl) for seed in (1, 2)])
    task, optimizer = tasks.make("adding", length=10), train.optimizer("sgd", 0.1)
    cell = lj.dropout(lj.gru(5), 0.3)
    model = train.recurrent(cell, 2, 1, truncate=4, random_offset=True)

    def train_twice(key):
        state = train.start(model, optimizer, key)
        state, metrics = train.take_steps(model, task, optimizer, state, key, steps=2, batch_size=3)
        return state.params, metrics.loss, task.sample(key, 4)

    together = jax.jit(jax.vmap(train_twice))(keys)
    alone = [jax.jit(train_twice)(key) for key in keys]
    for i, one in enumerate(alone):
        jax.tree.map(
            lambda many, leaf, i=i: np.testing.assert_allclose(many[i], leaf, rtol=1e-5, atol=1e-6),
            together, one,
        )  # fmt: skip
    assert float(alone[0][1][0]) != float(alone[1][1][0])


@pytest.mark.slow
@pytest.mark.parametrize("impl", mostly_slow(IMPLS, ["rbg"]))
def test_samples_and_scheduled_sampling_under_vmap_are_those_alone(impl):
    keys = jnp.stack([jax.random.key(seed, impl=impl) for seed in (1, 2)])
    model = seq2seq.encoder_decoder(
        lj.gru(4),
        lj.dropout(lj.gru(4), 0.4),
        6,
        6,
        start=1,
        end=None,
        embedding_size=3,
        dropout=0.3,
    )
    params = model.init(jax.random.key(0))
    source = jnp.arange(10).reshape(5, 2) % 6

    def both(key):
        logs = model.log_probabilities(params, source, source, own=0.5, key=key)
        return logs, model.decode(params, source, max_steps=7, method="sample", key=key).tokens

    logs, tokens = jax.vmap(both)(keys)
    for i, key in enumerate(keys):
        expected = jax.jit(both)(key)
        np.testing.assert_allclose(logs[i], expected[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(tokens[i], expected[1])
    assert np.any(tokens[0] != tokens[1])
    # A row's tokens do not depend on how many rows there are.
    step, state = model.stepper(params, source)
    few = model.stepper(params, source[:, :1])
    whole = decode.sample(step, state, keys[0], start=1, end=None, max_steps=7).tokens
    alone = decode.sample(*few, keys[0], start=1, end=None, max_steps=7).tokens
    np.testing.assert_array_equal(whole[:, 0], alone[:, 0])
