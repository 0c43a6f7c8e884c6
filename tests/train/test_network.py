import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.tasks import Sequences

heads, inputs = train.heads, train.inputs


def tokens(steps, rows, vocabulary=11, seed=1):
    return jax.random.randint(jax.random.key(seed), (steps, rows), 0, vocabulary)


def test_a_network_is_inputs_a_cell_and_a_readout():
    model = train.network(
        lj.lstm(5), inputs.embedding(11, 4), heads.classification(3), reads="every"
    )
    params = model.init(jax.random.key(0))
    assert jax.tree.map(jnp.shape, params["inputs"]) == {"table": (11, 4)}
    assert jax.tree.map(jnp.shape, params["readout"]) == {"w": (5, 3), "b": (3,)}
    xs = tokens(7, 2)
    _, ys = lj.unroll(lj.lstm(5), params["cell"], params["inputs"]["table"][xs])
    logits = np.asarray(ys) @ np.asarray(params["readout"]["w"]) + params["readout"]["b"]
    np.testing.assert_allclose(model.apply(params, xs), logits, atol=1e-6)
    np.testing.assert_allclose(
        model.answer(params, xs), np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), atol=1e-6
    )


def test_chunks_of_a_stream_equal_the_whole():
    cell = lj.chain(lj.lstm(5), lj.gru(4))
    model = train.network(cell, inputs.one_hot(11), heads.classification(11), reads="every")
    params = model.init(jax.random.key(0))
    xs = tokens(12, 3)
    resets = jnp.zeros((12, 3), bool).at[7, 1].set(True).at[5, 2].set(True)
    whole = model.apply(params, xs)
    for resets_of in (None, resets):
        _, expected = model.stream(params, model.initial_state(params, 3), xs, resets=resets_of)
        state, parts = model.initial_state(params, 3), []
        for first, last in ((0, 5), (5, 6), (6, 12)):
            chunk = None if resets_of is None else resets_of[first:last]
            state, outputs = model.stream(params, state, xs[first:last], resets=chunk)
            parts.append(outputs)
        np.testing.assert_allclose(jnp.concatenate(parts), expected, atol=1e-6)
        assert (resets_of is not None) != np.allclose(expected, whole, atol=1e-6)


def test_only_models_that_read_every_step_forwards_can_stream():
    head, both = heads.classification(3), lj.bidirectional(lj.lstm(4), lj.lstm(4))
    for cell, reads, streams in (
        (lj.lstm(4), "every", True), (lj.lstm(4), "last", False), (both, "every", False),
        (lj.chain(lj.lstm(3), both), "every", False),
    ):  # fmt: skip
        for model in (
            train.network(cell, inputs.numbers(2), head, reads=reads),
            train.recurrent(cell, 2, 3, reads=reads),
        ):
            assert (model.stream is not None) == streams
            assert (model.initial_state is not None) == streams


@pytest.mark.parametrize("truncate", [None, 2])
def test_recurrent_models_stream_too(truncate):
    model = train.recurrent(lj.gru(4), 3, 2, reads="every", truncate=truncate)
    params = model.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (9, 2, 3))
    state, first = model.stream(params, model.initial_state(params, 2), xs[:4])
    _, second = model.stream(params, state, xs[4:])
    np.testing.assert_allclose(jnp.concatenate([first, second]), model.apply(params, xs), atol=1e-6)


def test_a_tied_readout_multiplies_by_the_table():
    model = train.network(
        lj.lstm(4), inputs.embedding(11, 4), heads.classification(11), reads="every", tie=True
    )
    params = model.init(jax.random.key(0))
    assert set(params["readout"]) == {"b"}
    xs = tokens(5, 2)
    _, ys = lj.unroll(lj.lstm(4), params["cell"], params["inputs"]["table"][xs])
    expected = ys @ params["inputs"]["table"].T
    np.testing.assert_allclose(model.apply(params, xs), expected, atol=1e-6)


def test_a_scale_draws_all_initial_params_uniformly():
    cell = lj.chain(lj.lstm(20), lj.lstm(20))
    model = train.network(cell, inputs.embedding(50, 20), heads.classification(50), init_scale=0.1)
    params = model.init(jax.random.key(0))
    for leaf in jax.tree.leaves(params):
        assert np.abs(leaf).max() <= 0.1
        assert np.std(leaf) == pytest.approx(0.1 / 3**0.5, rel=0.3)
    leaves = [np.ravel(leaf)[:20] for leaf in jax.tree.leaves(params)]
    assert len({leaf.tobytes() for leaf in leaves}) == len(leaves)


def test_dropout_needs_a_key():
    model = train.network(lj.lstm(4), inputs.embedding(11, 6), heads.classification(3), dropout=0.5)
    params, xs = model.init(jax.random.key(0)), tokens(5, 2)
    quiet = train.network(lj.lstm(4), inputs.embedding(11, 6), heads.classification(3))
    np.testing.assert_array_equal(model.apply(params, xs), quiet.apply(params, xs))
    one, same, other = (model.apply(params, xs, key=jax.random.key(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_rows_that_differ_in_length_equal_rows_alone():
    model = train.network(lj.gru(5), inputs.numbers(3), heads.regression(2))
    params = model.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (7, 3, 3))
    lengths = jnp.array([7, 1, 4])
    padded = jnp.where(jnp.arange(7)[:, None, None] < lengths[:, None], xs, jnp.nan)
    together = model.apply(params, Sequences(padded, lengths))
    for row, length in enumerate(lengths):
        alone = model.apply(params, xs[:length, row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-6)
