"""``lj.nnx.Recurrent`` gives what ``lj.unroll`` gives, in Flax's layouts and by its names."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lstm_jax as lj

B, T, D = 4, 6, 3
XS = jax.random.normal(jax.random.key(1), (T, B, D))
ROWS = XS.swapaxes(0, 1)
LENGTHS = jnp.array([6, 0, 3, 5])
RESETS = jax.random.bernoulli(jax.random.key(2), 0.3, (T, B))

CELLS = {
    "lstm": lj.lstm(4),
    "gru": lj.gru(4),
    "min_lstm": lj.min_lstm(4),
    "mlstm": lj.mlstm(4, 2),
    "attention": lj.attention(4, 2, 3),
    "chain": lj.chain(lj.lstm(3), lj.residual(lj.gru(3))),
    "learned_state": lj.learned_state(lj.chain(lj.attention(4, 2, 3), lj.lstm(2))),
    "bidirectional": lj.bidirectional(lj.lstm(2), lj.gru(3)),
    "mixed_precision": lj.mixed_precision(lj.lstm(4)),
}


def close(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, atol=1e-6), actual, expected)


def recurrent(cell, **options):
    return lj.nnx.Recurrent(cell, D, rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize("name", CELLS)
def test_it_gives_what_unroll_gives(name):
    cell = CELLS[name]
    model = recurrent(cell, return_carry=True)
    params = lj.nnx.get_params(model)
    assert jax.tree.structure(params) == jax.tree.structure(cell.init(jax.random.key(0), D))
    start, _ = lj.unroll(cell, params, XS)
    state, ys = lj.unroll(cell, params, XS, start, lengths=LENGTHS, resets=RESETS)
    carry, outputs = model(ROWS, initial_carry=start, seq_lengths=LENGTHS, resets=RESETS.T)
    close((carry, outputs.swapaxes(0, 1)), (state, ys))
    found = model(XS, initial_carry=start, seq_lengths=LENGTHS, resets=RESETS, time_major=True)
    close(found, (state, ys))
    close(model(ROWS, return_carry=False), lj.unroll(cell, params, XS)[1].swapaxes(0, 1))


def test_any_number_of_batch_axes():
    model = recurrent(lj.lstm(4))
    ys = model(ROWS)
    close(model(ROWS[0]), ys[0])
    many = ROWS.reshape(2, 2, T, D)
    lengths, resets = LENGTHS.reshape(2, 2), RESETS.T.reshape(2, 2, T)
    expected = model(ROWS, seq_lengths=LENGTHS, resets=RESETS.T).reshape(2, 2, T, 4)
    close(model(many, seq_lengths=lengths, resets=resets), expected)
    turned = jnp.moveaxis(many, 2, 0)
    found = model(turned, seq_lengths=lengths, resets=jnp.moveaxis(resets, 2, 0), time_major=True)
    close(jnp.moveaxis(found, 0, 2), expected)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("keep_order", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
def test_reverse_is_that_of_nnx_rnn(lengths, keep_order, time_major):
    ours = recurrent(lj.lstm(4), reverse=True, keep_order=keep_order, time_major=time_major)
    cell = lj.nnx.RNNCell(lj.lstm(4), D, params=lj.nnx.get_params(ours), rngs=nnx.Rngs(0))
    theirs = nnx.RNN(cell, reverse=True, keep_order=keep_order, time_major=time_major)
    inputs = XS if time_major else ROWS
    counts = jnp.arange(T) < (jnp.full(B, T) if lengths is None else lengths)[:, None]
    counts = counts.T if time_major else counts
    expected = jnp.where(counts[..., None], theirs(inputs, seq_lengths=lengths), 0)
    close(ours(inputs, seq_lengths=lengths), expected)


def test_padding_is_inert():
    model = recurrent(lj.lstm(4), return_carry=True)
    counts = jnp.arange(T) < LENGTHS[:, None]
    poisoned = jnp.where(counts[..., None], ROWS, jnp.nan)
    carry, outputs = model(poisoned, seq_lengths=LENGTHS)
    close((carry, outputs), model(ROWS, seq_lengths=LENGTHS))
    np.testing.assert_array_equal(jnp.where(counts[..., None], 0, outputs), 0)
    np.testing.assert_array_equal(carry.h[1], 0)


@pytest.mark.parametrize("options", [{"method": "scan"}, {"method": lj.Deferred(block=2)},
                                     {"checkpoint_every": 2}])  # fmt: skip
def test_options_of_unroll_are_passed_on(options):
    model = recurrent(lj.lstm(4), **options)
    close(model(ROWS), recurrent(lj.lstm(4))(ROWS))
    text = str(jax.make_jaxpr(lambda xs: model(xs))(ROWS))
    other = str(jax.make_jaxpr(lambda xs: recurrent(lj.lstm(4))(xs))(ROWS))
    assert text != other


def test_a_stateful_module_continues():
    model = recurrent(lj.chain(lj.lstm(3), lj.gru(2)), stateful=True)
    whole = recurrent(lj.chain(lj.lstm(3), lj.gru(2)))(ROWS)
    for _ in range(2):
        chunks = [model(ROWS[:, :2]), model(ROWS[:, 2:5]), model(ROWS[:, 5:])]
        close(jnp.concatenate(chunks, axis=1), whole)
        model.reset_carry()
    assert len(jax.tree.leaves(nnx.state(model, lj.nnx.Carry))) == 3
    assert not jax.tree.leaves(nnx.state(recurrent(lj.lstm(3)), lj.nnx.Carry))
    with pytest.raises(ValueError, match=r"inputs: expected the batch axes of .* got \(2,\)"):
        model(ROWS[:2])
    model.reset_carry((2,))
    close(model(ROWS[:2]), whole[:2])


def test_a_given_carry_comes_before_the_kept_one():
    model = recurrent(lj.lstm(4), stateful=True, return_carry=True)
    first, _ = model(ROWS)
    second, _ = model(ROWS)
    again, _ = model(ROWS, initial_carry=first)
    close(again, second)
    close(model(ROWS)[0], recurrent(lj.lstm(4), return_carry=True)(ROWS, initial_carry=second)[0])


def test_a_learned_state_is_what_a_reset_returns_to():
    params = lj.nnx.get_params(recurrent(lj.learned_state(lj.gru(3))))
    params["state"] = lj.GRUState(jnp.arange(3.0))
    model = recurrent(lj.learned_state(lj.gru(3)), params=params, stateful=True)
    expected = lj.unroll(model.cell, params, XS)[1].swapaxes(0, 1)
    close(model(ROWS), expected)
    model.reset_carry()
    close(model(ROWS), expected)


def test_weights_are_params_by_path():
    model = recurrent(lj.chain(lj.lstm(4), lj.rnn(2)), param_dtype=jnp.bfloat16)
    state = nnx.state(model, nnx.Param)
    paths = {path: leaf.get_value().shape for path, leaf in nnx.to_flat_state(state)}
    assert paths == {
        ("params", 0, "b"): (16,), ("params", 0, "w_h"): (4, 16), ("params", 0, "w_x"): (3, 16),
        ("params", 1, "b"): (2,), ("params", 1, "w_h"): (2, 2), ("params", 1, "w_x"): (4, 2),
    }  # fmt: skip
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype("bfloat16")}
    assert not jax.tree.leaves(nnx.state(model, nnx.Not(nnx.Param)))
    expected = model.cell.init(nnx.Rngs(0).params(), D, jnp.bfloat16)
    close(lj.nnx.get_params(model), expected)


def test_copies_are_the_same_module():
    model = recurrent(lj.chain(lj.lstm(3), lj.dropout(lj.gru(3), 0.5)), deterministic=True)
    for other in (nnx.clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.cell == model.cell and nnx.graphdef(other) == nnx.graphdef(model)
        close(other(ROWS), model(ROWS))
    assert "chain(lstm(3), dropout(gru(3), 0.5))" in repr(model) and "function" not in repr(model)


NOISY = {
    "dropout": lj.chain(lj.lstm(3), lj.dropout(lj.gru(3), 0.5)),
    "variational": lj.dropout(lj.lstm(4), 0.5, on="recurrent", variational=True),
    "zoneout": lj.zoneout(lj.lstm(4), 0.5),
    "drop_connect": lj.drop_connect(lj.lstm(4), 0.5),
    "deep": lj.bidirectional(lj.lstm(2), lj.mixed_precision(lj.zoneout(lj.lstm(2), 0.5))),
}


@pytest.mark.parametrize("name", NOISY)
def test_noise_comes_from_the_stream(name):
    cell = NOISY[name]
    model = lj.nnx.Recurrent(cell, D, rngs=nnx.Rngs(params=0, dropout=7))
    params = lj.nnx.get_params(model)

    def expected(key):
        return lj.unroll(cell, params, XS, key=key)[1].swapaxes(0, 1)

    stream = nnx.Rngs(params=0, dropout=7).dropout.fork()
    first, second = model(ROWS), model(ROWS)
    close((first, second), (expected(stream()), expected(stream())))
    assert not np.allclose(first, second)
    key = jax.random.key(3)
    close(model(ROWS, rngs=key), expected(key))
    close(model(ROWS, rngs=nnx.Rngs(dropout=5)), expected(nnx.Rngs(dropout=5).dropout()))
    close(model(ROWS, rngs=nnx.Rngs(5).noise), expected(nnx.Rngs(5).noise()))
    close(model(ROWS, deterministic=True), expected(None))
    close(nnx.view(model, deterministic=True)(ROWS), expected(None))
    model.eval()
    close(model(ROWS), expected(None))
    model.train()
    assert not np.allclose(model(ROWS), expected(None))


def test_chunks_that_share_a_key_have_the_noise_of_the_whole():
    model = recurrent(NOISY["dropout"], stateful=True)
    key = jax.random.key(3)
    whole = model(ROWS, rngs=key)
    model.reset_carry()
    chunks = [model(ROWS[:, :4], rngs=key), model(ROWS[:, 4:], rngs=key)]
    close(jnp.concatenate(chunks, axis=1), whole)


@pytest.mark.parametrize("name", CELLS)
def test_cells_without_noise_hold_no_random_state(name):
    assert not jax.tree.leaves(nnx.state(recurrent(CELLS[name]), nnx.RngState))


def test_it_fits_into_bidirectional_and_sequential():
    rngs = nnx.Rngs(0, dropout=1)
    noisy = lj.dropout(lj.lstm(4), 0.5)
    forward, backward = (lj.nnx.Recurrent(noisy, D, rngs=rngs) for _ in range(2))
    layer = nnx.Bidirectional(forward, backward)
    params = {"forward": lj.nnx.get_params(forward), "backward": lj.nnx.get_params(backward)}
    layer.eval()
    cell = lj.bidirectional(noisy, noisy)
    expected = lj.unroll(cell, params, XS, lengths=LENGTHS)[1].swapaxes(0, 1)
    close(layer(ROWS, seq_lengths=LENGTHS), expected)
    layer.train()
    stream = nnx.clone(forward.rngs)
    noise = lj.unroll(noisy, params["forward"], XS, key=stream())[1].swapaxes(0, 1)
    close(layer(ROWS)[..., :4], noise)  # not of the stream with seed 0 that nnx passes
    stack = nnx.Sequential(lj.nnx.Recurrent(lj.lstm(4), D, rngs=rngs), nnx.Linear(4, 2, rngs=rngs))
    assert stack(ROWS).shape == (B, T, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": lj.lstm}, "cell: expected a Cell"),
        ({"in_features": 0}, "in_features: expected a positive integer, got 0"),
        ({"in_features": 2, "cell": lj.residual(lj.lstm(3))}, "input_size: expected 3"),
        ({"time_major": 1}, "time_major: expected True or False, got 1"),
        ({"rngs": 0}, "rngs: expected nnx.Rngs, such as"),
        ({"rngs": nnx.Rngs(dropout=0)}, "rngs: expected a stream 'params' or a default one, got"),
        ({"rngs": nnx.Rngs(params=0), "cell": NOISY["zoneout"]}, "rngs: expected a stream 'drop"),
        ({"param_metadata": {"w_z": {}}}, "param_metadata: expected one of b, w_h, w_x, got 'w_z'"),
        ({"param_metadata": {"w_x": 1}}, "param_metadata: expected a dict by entry"),
        ({"param_dtype": "int8"}, "param_dtype: expected a floating dtype, got int8"),
        ({"params": {}}, r"params\['b'\]: expected shape"),
        ({"params": lj.lstm(4).init(jax.random.key(0), 5)}, "in_features: expected input size 5"),
        ({"cell": CELLS["bidirectional"], "stateful": True}, "stateful: expected False for bidir"),
        ({"method": "x"}, "method: expected"),
        ({"checkpoint_every": 0}, "checkpoint_every: expected a positive integer, got 0"),
        ({"rng_collection": 3}, "rng_collection: expected a name, got 3"),
    ],
)
def test_wrong_options_are_named(options, message):
    options = {"cell": lj.lstm(4), "in_features": D, "rngs": nnx.Rngs(0)} | options
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        lj.nnx.Recurrent(**options)
    assert isinstance(caught.value, lj.ArgumentError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": XS[..., :2]}, r"inputs: expected \[\*batch, time, features\] with 3 features"),
        ({"inputs": XS[0, 0]}, r"inputs: expected \[\*batch, time, features\], got shape"),
        ({"inputs": [1.0]}, "inputs: expected an array, got list"),
        ({"inputs": np.ones((B, T, D), int)}, "inputs: expected a floating dtype"),
        ({"seq_lengths": jnp.ones(3, int)}, r"seq_lengths: expected shape \(4,\), .* of inputs"),
        ({"seq_lengths": jnp.full(B, 9)}, "seq_lengths: expected values from 0 to 6, the steps"),
        ({"resets": RESETS}, r"resets: expected shape \(4, 6\), that of inputs without features"),
        ({"resets": RESETS.T + 0}, "resets: expected booleans, got dtype int32"),
        ({"initial_carry": lj.GRUState(XS[0])}, "initial_carry: expected LSTMState"),
        ({"initial_carry": lj.LSTMState(XS[0], XS[0])}, r"initial_carry\.h: expected shape \(4, 4"),
        ({"reverse": "yes"}, "reverse: expected True or False, got 'yes'"),
    ],
)
def test_wrong_arguments_of_a_call_are_named(options, message, without_shape_annotations):
    model = recurrent(lj.lstm(4))
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        model(**({"inputs": ROWS} | options))
    assert isinstance(caught.value, lj.ArgumentError)


def test_other_wrong_calls_are_named():
    with pytest.raises(ValueError, match="stateful: expected a module with stateful=True"):
        recurrent(lj.lstm(4)).reset_carry()
    with pytest.raises(ValueError, match="reverse: expected False for a stateful module"):
        recurrent(lj.lstm(4), stateful=True)(ROWS, reverse=True)
    with pytest.raises(TypeError, match=r"rngs: expected nnx\.Rngs, a stream of it or a key"):
        recurrent(NOISY["zoneout"])(ROWS, rngs=3)
    with pytest.raises(TypeError, match=r"rngs: expected nnx\.Rngs, a stream of it or a key"):
        recurrent(lj.lstm(4))(ROWS, rngs=3)
    model = recurrent(lj.lstm(4))
    model.params["w_x"] = nnx.Param(jnp.zeros((5, 16)))
    with pytest.raises(ValueError, match=r"params: expected those of lstm\(4\) for 3 features"):
        model(ROWS)
    with pytest.raises(TypeError, match="module: expected an NNX module, got int"):
        lj.nnx.get_params(3)


def test_a_carry_that_is_restored_has_its_own_batch():
    saved, model = (recurrent(lj.lstm(4), stateful=True) for _ in range(2))
    saved(ROWS)
    model.reset_carry((1,))
    nnx.update(model, nnx.state(saved))
    with pytest.raises(ValueError, match=r"inputs: expected the batch axes of the carry"):
        model(ROWS[:1])
    np.testing.assert_array_equal(model(ROWS), saved(ROWS))


def test_no_gradient_flows_into_an_earlier_call():
    def gradient(model, earlier):
        def loss(model):
            if earlier:
                model(ROWS[:, :3])
            return jnp.sum(model(ROWS[:, 3:]))

        return nnx.grad(loss)(model)["params"]["w_h"][...]

    both, second = (recurrent(lj.rnn(4), stateful=True) for _ in range(2))
    both.reset_carry((B,))
    second(ROWS[:, :3])
    np.testing.assert_allclose(gradient(both, True), gradient(second, False), rtol=1e-5)
