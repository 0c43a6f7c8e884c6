"""What is converted beside the numbers: dropout, names, dtypes, and what is left alone."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import interop

D, H = 3, 4
KEY = jax.random.key(0)


def equal(one, other):
    return jax.tree.all(
        jax.tree.map(lambda a, b: a.dtype == b.dtype and (a == b).all(), one, other)
    )


def test_importing_the_library_imports_no_other():
    code = (
        "import sys, lstm_jax as lj; lj.interop.to_torch; "
        "print({'torch', 'keras', 'flax', 'equinox', 'haiku'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_dropout_of_torch():
    torch = pytest.importorskip("torch")
    cell = lj.chain(lj.gru(H), *(lj.dropout(lj.gru(H), 0.25) for _ in range(2)))
    params = cell.init(KEY, D)
    module = interop.to_torch(cell, params)
    assert module.dropout == 0.25 and module.num_layers == 3
    again, same = interop.from_torch(module)
    assert again == cell and equal(same, params)
    again, same = interop.from_torch(module.state_dict(), dropout=0.25)
    assert again == cell and equal(same, params)
    alone = torch.nn.RNN(D, H, dropout=0.0)
    assert interop.from_torch(alone)[0] == lj.rnn(H)


def test_dropout_of_keras():
    keras = pytest.importorskip("keras")
    layers = [
        keras.layers.LSTM(H, dropout=0.25, return_sequences=True),
        keras.layers.SimpleRNN(H, dropout=0.25, recurrent_dropout=0.5, return_sequences=True),
    ]
    network = keras.Sequential(layers)
    network.build((None, None, D))
    cell, params = interop.from_keras(network)
    inner = lj.dropout(lj.rnn(H), 0.5, on="recurrent", variational=True)
    first = lj.dropout(lj.lstm(H), 0.25, variational=True)
    assert cell == lj.chain(first, lj.dropout(inner, 0.25, variational=True))
    again = interop.to_keras(cell, params)
    assert [layer.cell.dropout for layer in again.layers] == [0.25, 0.25]
    assert again.layers[1].cell.recurrent_dropout == 0.5
    both = keras.layers.Bidirectional(keras.layers.GRU(H, dropout=0.25))
    both.build((None, None, D))
    cell, params = interop.from_keras(both)
    one = lj.dropout(lj.gru(H), 0.25, variational=True)
    assert cell == lj.bidirectional(one, one)
    assert interop.to_keras(cell, params).forward_layer.cell.dropout == 0.25


def test_cells_that_only_start_otherwise():
    irnn = lj.irnn(H)
    again, _ = interop.from_nnx(interop.to_nnx(irnn, irnn.init(KEY, D)))
    assert again == lj.rnn(H, activation="relu")
    chrono = lj.initialize(lj.lstm(H), b=lj.initializers.chrono(20.0))
    params = chrono.init(KEY, D)
    again, same = interop.from_nnx(interop.to_nnx(chrono, params))
    assert again == lj.lstm(H) and equal(same, params)
    assert interop.from_nnx(interop.to_nnx(lj.lstm(H, forget_bias=3.0), params))[0] == lj.lstm(H)


def test_single_steps_of_flax():
    from flax import nnx

    cell = lj.gru(H)
    params = cell.init(KEY, D)
    module = interop.to_nnx(cell, params, single_step=True)
    assert type(module) is nnx.GRUCell
    assert equal(interop.from_nnx(module)[1], params)
    linen, variables = interop.to_linen(cell, params, single_step=True)
    assert equal(interop.from_linen(linen, variables)[1], params)


def test_narrow_weights_of_torch():
    torch = pytest.importorskip("torch")
    for name in ("bfloat16", "float16"):
        cell = lj.lstm(H, projection=2)
        params = cell.init(KEY, D, jnp.dtype(name))
        module = interop.to_torch(cell, params)
        assert module.weight_ih_l0.dtype == getattr(torch, name)
        again, same = interop.from_torch(module)
        assert again == cell and equal(same, params)


def test_float64_is_not_rounded():
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(D, H, dtype=torch.float64)
    with pytest.raises(
        ValueError, match=r"^module\['weight_ih_l0'\]: expected float32 or narrower"
    ):
        interop.from_torch(module)
    with jax.enable_x64(True):
        params = interop.from_torch(module)[1]
    assert params["w_x"].dtype == np.float64


def test_pytorchs_generator_and_arrays_are_left_alone():
    torch = pytest.importorskip("torch")
    cell = lj.lstm(H)
    params = cell.init(KEY, D)
    before = torch.get_rng_state()
    module = interop.to_torch(cell, params)
    assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():
        module.weight_ih_l0.zero_()
    _, same = interop.from_torch(module)
    with torch.no_grad():
        module.weight_hh_l0.zero_()
    assert np.abs(params["w_x"]).max() > 0 and np.abs(same["w_h"]).max() > 0


def test_a_state_dict_without_biases_of_a_larger_model():
    rng = np.random.default_rng(0)
    entries = {
        "encoder.rnn.weight_ih_l0": rng.normal(size=(3 * H, D)).astype(np.float32),
        "encoder.rnn.weight_hh_l0": rng.normal(size=(3 * H, H)).astype(np.float32),
        "head.weight": np.ones((1, H), np.float32),
    }
    cell, params = interop.from_torch(entries, prefix="encoder.rnn.")
    assert cell == lj.gru(H) and not params["b"].any() and not params["b_h"].any()
    np.testing.assert_array_equal(params["w_x"], entries["encoder.rnn.weight_ih_l0"].T)


def test_names_of_haiku():
    cell = lj.chain(lj.gru(H, reset_after=False), lj.gru(H, reset_after=False))
    params = cell.init(KEY, D)
    _, tree = interop.to_haiku(cell, params, names=["net/a", "net/b"])
    assert set(tree) == {"net/a", "net/b"}
    again, same = interop.from_haiku(tree, ["net/a", "net/b"])
    assert again == cell and equal(same, params)
