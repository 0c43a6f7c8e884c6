"""Initial weights and biases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.core import initializers as init
from tests.selection import mostly_slow

KEY = jax.random.key(0)
WITHOUT_W_H = ("min_lstm", "min_gru", "lru", "attention", "linear_attention",
               "linear_attention_gated", "delta_net", "delta_net_gated", "mlstm", "urnn", "eurnn",
               "scornn", "indrnn")  # fmt: skip
MATRICES = {
    "glorot": init.glorot(),
    "lecun": init.lecun(),
    "orthogonal": init.orthogonal(),
    "identity": init.identity(),
    "uniform": init.uniform(0.1),
    "normal": init.normal(0.1),
    "constant": init.constant(0.5),
}
BIASES = {
    "forget_bias": init.forget_bias(2.0),
    "chrono": init.chrono(100.0),
    "uniform": init.uniform(0.1),
    "per_gate": init.per_gate(1.0),
    "constant": init.constant(-1.0),
}


# One of each set of params: with and without w_h and b, with further ones, and complex.
QUICK = ("rnn", "lstm_norm", "gru", "min_gru", "lru", "attention", "mlstm", "lstmn")


@pytest.mark.parametrize("name", mostly_slow(lj.cells.registry, QUICK))
def test_each_is_usable_on_every_cell(name):
    cell = lj.cells.make(name, 4)
    plain = cell.init(KEY, 3)
    entries = [name for name in ("w_x", "w_h") if name in plain]
    for matrix in MATRICES.values():
        params = lj.initialize(cell, **dict.fromkeys(entries, matrix)).init(KEY, 3)
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, plain)
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(params))
    for bias in BIASES.values() if "b" in plain else ():
        params = lj.initialize(cell, b=bias).init(KEY, 3)
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, plain)
        np.testing.assert_array_equal(params["w_x"], plain["w_x"])


@pytest.mark.parametrize(
    "name", mostly_slow([n for n in lj.cells.registry if n not in WITHOUT_W_H], QUICK)
)
def test_weights_are_drawn_apart(name):
    """With as many inputs as units, w_x and w_h must not come from the same draw."""
    cell = lj.initialize(lj.cells.make(name, 16), w_h=init.normal(1.0), w_x=init.normal(1.0))
    for drawn in (cell, lj.initialize(lj.cells.make(name, 16), w_h=init.uniform(0.1))):
        params = drawn.init(KEY, 16)
        rows = min(len(params["w_x"]), len(params["w_h"]))
        columns = params["w_h"].shape[1]  # of the first gates, where others have no such weights
        pair = params["w_x"][:rows, :columns].ravel(), params["w_h"][:rows].ravel()
        assert abs(np.corrcoef(*pair)[0, 1]) < 0.25


def test_biases_of_the_gates_alone():
    cell = lj.initialize(lj.lstm_1997(2, biases="gates"), b=init.constant(1.0))
    np.testing.assert_array_equal(cell.init(KEY, 3)["b"], np.ones(4))


def gates_of(cell, entry, **initializers):
    return cell.axis.split(lj.initialize(cell, **initializers).init(KEY, 8)[entry])


def test_orthogonal_is_orthogonal_in_each_gate():
    for block in gates_of(lj.lstm(16), "w_h", w_h=init.orthogonal(2.0)).values():
        np.testing.assert_allclose(block.T @ block, 4 * np.eye(16), atol=1e-5)


def test_orthogonal_and_glorot_are_the_default():
    params = lj.lstm(64).init(KEY, 64)
    for block in lj.lstm(64).axis.split(params["w_h"]).values():
        np.testing.assert_allclose(block.T @ block, np.eye(64), atol=1e-5)
    np.testing.assert_allclose(np.std(params["w_x"]), np.sqrt(2 / 128), rtol=0.05)
    assert np.abs(params["w_x"]).max() <= np.sqrt(6 / 128)


def test_identity_is_the_identity_in_each_gate():
    for block in gates_of(lj.gru(4), "w_h", w_h=init.identity(0.5)).values():
        np.testing.assert_array_equal(block, 0.5 * np.eye(4))
    np.testing.assert_array_equal(lj.irnn(4).init(KEY, 2)["w_h"], np.eye(4))


def test_lecun_has_variance_one_over_rows():
    w = lj.initialize(lj.lstm(64), w_x=init.lecun()).init(KEY, 100)["w_x"]
    np.testing.assert_allclose(np.std(w), 0.1, rtol=0.03)


@pytest.mark.parametrize(
    "cell, expected",
    [
        (lj.lstm(3), {"input": 0, "forget": 1, "cell": 0, "output": 0}),
        (lj.lstm(3, coupled=True), {"input": -1, "cell": 0, "output": 0}),
        (lj.lstm(3, forget_gate=False), {"input": 0, "cell": 0, "output": 0}),
    ],
    ids=["lstm", "coupled", "no forget gate"],
)
def test_the_lstm_starts_with_its_memory_kept(cell, expected):
    b = cell.axis.split(cell.init(KEY, 2)["b"])
    for gate, value in expected.items():
        np.testing.assert_array_equal(b[gate], np.full(3, value))


def test_forget_bias_is_in_every_layer_and_direction():
    cell = lj.chain(lj.lstm(3), lj.bidirectional(lj.lstm(3), lj.lstm(3)))
    first, both = cell.init(KEY, 2)
    for params in (first, both["forward"], both["backward"]):
        np.testing.assert_array_equal(lj.lstm(3).axis.split(params["b"])["forget"], np.ones(3))


def test_chrono_is_the_log_of_a_uniform_time():
    axis = lj.lstm(4000).axis
    b = axis.split(init.chrono(101.0)(KEY, (), axis, jnp.float32))
    times = np.exp(np.asarray(b["forget"]))
    assert times.min() >= 1.0 and times.max() <= 100.0
    np.testing.assert_allclose(times.mean(), 50.5, rtol=0.03)
    np.testing.assert_array_equal(b["input"], -b["forget"])
    assert not np.any(b["cell"]) and not np.any(b["output"])
    gru = gates_of(lj.gru(4), "b", b=init.chrono(101.0))
    assert np.all(gru["update"] > 0) and not np.any(gru["reset"])
    mgu = gates_of(lj.mgu(4), "b", b=init.chrono(101.0))
    assert np.all(mgu["forget"] < 0)  # its forget gate overwrites when open
    for gateless in (lj.rnn(4), lj.lstm(4, forget_gate=False), lj.lstm_1997(4)):
        assert not any(np.any(v) for v in gates_of(gateless, "b", b=init.chrono(101.0)).values())


def test_per_gate_sets_gates_by_name():
    b = gates_of(lj.lstm(3), "b", b=init.per_gate(0.5, output=(-1.0, -2.0, -3.0), forget=2.0))
    np.testing.assert_array_equal(b["output"], [-1, -2, -3])
    np.testing.assert_array_equal(b["forget"], [2, 2, 2])
    np.testing.assert_array_equal(b["input"], [0.5, 0.5, 0.5])
