"""Our cells as cells of NNX, and cells of NNX as ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lstm_jax as lj
from tests.cases import Case
from tests.conformance import check_laws

B, T, D = 4, 6, 3
ROWS = jax.random.normal(jax.random.key(1), (B, T, D))
XS = ROWS.swapaxes(0, 1)
LENGTHS = jnp.array([6, 1, 3, 5])  # nnx.RNN has no carry for a row of length 0
COUNTS = (jnp.arange(T) < LENGTHS[:, None])[..., None]

CELLS = {
    "lstm": lj.lstm(4),
    "gru": lj.gru(4),
    "lru": lj.lru(4),
    "attention": lj.attention(4, 2, 3),
    "chain": lj.chain(lj.lstm(3), lj.residual(lj.gru(3))),
    "learned_state": lj.learned_state(lj.lstm(3)),
    "dropout": lj.chain(lj.lstm(3), lj.dropout(lj.gru(3), 0.5)),
    "variational": lj.dropout(lj.gru(3), 0.5, on="recurrent", variational=True),
    "drop_connect": lj.drop_connect(lj.gru(3), 0.5),
}
NOISY = ("dropout", "variational", "drop_connect")


def close(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, atol=1e-5), actual, expected)


def make(cell, in_features=D, **options):
    return lj.nnx.RNNCell(cell, in_features, rngs=nnx.Rngs(0, dropout=1), **options)


@pytest.mark.parametrize("name", CELLS)
def test_nnx_rnn_runs_it(name):
    cell = CELLS[name]
    module = make(cell)
    params = lj.nnx.get_params(module)
    layer = nnx.RNN(module, return_carry=True)
    key = nnx.clone(module.rngs)() if name in NOISY else None
    state, ys = lj.unroll(cell, params, XS, lengths=LENGTHS, key=key)
    carry, outputs = nnx.jit(lambda layer, rows: layer(rows, seq_lengths=LENGTHS))(layer, ROWS)
    close(carry, state)
    close(jnp.where(COUNTS, outputs, 0), ys.swapaxes(0, 1))
    if name in NOISY:
        assert not np.allclose(layer(ROWS)[1], layer(ROWS)[1])
        layer.eval()
    close(layer(ROWS)[1], lj.unroll(cell, params, XS)[1].swapaxes(0, 1))


@pytest.mark.slow
def test_gradients_through_nnx_rnn():
    layer = nnx.RNN(make(CELLS["chain"]))
    gradient = nnx.grad(lambda layer: jnp.sum(jnp.sin(layer(ROWS))))(layer)
    expected = jax.grad(lambda p: jnp.sum(jnp.sin(lj.unroll(CELLS["chain"], p, XS)[1])))(
        lj.nnx.get_params(layer.cell)
    )
    found = nnx.to_pure_dict(nnx.state(gradient, nnx.Param))["cell"]["params"]
    close(found, dict(enumerate(expected)))


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_nnx_bidirectional_runs_it(lengths):
    forward, backward = make(lj.lstm(4)), make(lj.dropout(lj.gru(3), 0.5), deterministic=True)
    layer = nnx.Bidirectional(nnx.RNN(forward), nnx.RNN(backward), return_carry=True)
    params = {"forward": lj.nnx.get_params(forward), "backward": lj.nnx.get_params(backward)}
    cell = lj.bidirectional(forward.cell, backward.cell)
    state, ys = lj.unroll(cell, params, XS, lengths=lengths)
    carry, outputs = layer(ROWS, seq_lengths=lengths)
    close(carry, tuple(state))
    counts = True if lengths is None else COUNTS
    close(jnp.where(counts, outputs, 0), ys.swapaxes(0, 1))


def test_a_user_steps_it():
    module = make(lj.lstm(4))
    carry = module.initialize_carry((B, D))
    step = nnx.jit(lambda module, carry, x: module(carry, x))
    for x in XS:
        carry, y = step(module, carry, x)
    close((carry, y), (lambda s, ys: (s, ys[-1]))(*lj.unroll(module.cell, lj.nnx.get_params(module),
                                                              XS)))  # fmt: skip
    assert (module.in_features, module.hidden_features, module.num_feature_axes) == (D, 4, 1)


def test_noise_of_a_given_stream():
    module = make(CELLS["dropout"])
    module.initialize_carry((B, D), nnx.Rngs(dropout=4))
    assert module.sequence_key[...] == nnx.Rngs(dropout=4).dropout()
    assert nnx.view(module, deterministic=True).deterministic and not module.deterministic


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make(nnx.LSTMCell), "cell: expected a Cell"),
        (lambda: make(lj.lstm(4), in_features="3"), "in_features: expected a positive integer"),
        (lambda: make(lj.lstm(4))(lj.LSTMState(XS[0], XS[0]), XS[0]), r"carry\.h: expected shape"),
        (lambda: make(lj.lstm(4))(None, XS[0]), "carry: expected LSTMState"),
        (lambda: make(lj.lstm(4))(None, ROWS[..., :2]), r"inputs: expected \[\*batch, 3\]"),
        (lambda: make(lj.lstm(4)).initialize_carry(3), "input_shape: expected a tuple of sizes"),
        (
            lambda: make(lj.lstm(4)).initialize_carry((3,), carry_init=jnp.zeros),
            "carry_init: expected None",
        ),
        (lambda: lj.nnx.from_nnx_cell(lj.lstm, 0), "size: expected a positive integer, got 0"),
        (
            lambda: lj.nnx.from_nnx_cell(nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0)), 4),
            "kind: expected a class of cells, such as nnx.LSTMCell, got LSTMCell",
        ),
        (
            lambda: lj.nnx.from_nnx_cell(nnx.Linear, 4).init(jax.random.key(0), 3),
            "kind: expected an nnx.RNNCellBase with one feature axis, got Linear",
        ),
        (
            lambda: lj.nnx.from_nnx_cell(make_noisy, 4).init(jax.random.key(0), 3),
            "kind: expected a cell whose variables are all nnx.Param, got make_noisy with",
        ),
        (
            lambda: lj.nnx.from_nnx_cell(make_other, 4).init(jax.random.key(0), 3),
            "size: expected 8, the size of the outputs of make_other, got 4",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        call()
    assert isinstance(caught.value, lj.ArgumentError)


def make_noisy(in_features, size, *, rngs):
    return lj.nnx.RNNCell(lj.zoneout(lj.lstm(size), 0.2), in_features, rngs=rngs)


def make_other(in_features, size, *, rngs):
    return nnx.GRUCell(in_features, 2 * size, rngs=rngs)


KINDS = {kind.__name__: kind for kind in (nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell,
                                          nnx.SimpleCell)}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_cell_of_nnx_is_unrolled(name):
    kind = KINDS[name]
    cell = lj.nnx.from_nnx_cell(kind, 4)
    assert cell.name == f"from_nnx_cell({name}, 4)" and cell == lj.nnx.from_nnx_cell(kind, 4)
    module = kind(D, 4, rngs=nnx.Rngs(3))
    params = lj.nnx.get_params(module)
    fresh = cell.init(nnx.Rngs(3).params(), D)
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, params)
    carry, outputs = nnx.RNN(module, return_carry=True)(ROWS, seq_lengths=LENGTHS)
    state, ys = jax.jit(lambda p, xs: lj.unroll(cell, p, xs, lengths=LENGTHS))(params, XS)
    close((state.carry, ys.swapaxes(0, 1)), (carry, jnp.where(COUNTS, outputs, 0)))


def test_a_cell_of_nnx_is_wrapped():
    gru = lj.nnx.from_nnx_cell(nnx.GRUCell, 4)
    stack = lj.chain(lj.dropout(gru, 0.3), lj.residual(lj.learned_state(gru)))
    model = lj.nnx.Recurrent(lj.bidirectional(stack, gru), D, rngs=nnx.Rngs(0))
    assert model(ROWS, seq_lengths=LENGTHS).shape == (B, T, 8)
    again = lj.nnx.RNNCell(gru, D, rngs=nnx.Rngs(0))
    theirs = nnx.GRUCell(D, 4, rngs=nnx.Rngs(0))
    graph, state = nnx.split(theirs)
    nnx.replace_by_pure_dict(state, lj.nnx.get_params(again))
    close(nnx.RNN(again)(ROWS), nnx.RNN(nnx.merge(graph, state))(ROWS))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_cell_of_nnx_obeys_the_laws(name):
    # By default a SimpleCell computes in float32, whatever it is given.
    check_laws(Case(lj.nnx.from_nnx_cell(KINDS[name], 3, dtype=None)))


@pytest.mark.slow
def test_our_cell_there_and_back_obeys_the_laws():
    check_laws(Case(lj.nnx.from_nnx_cell(make_lstm, 3)))


def make_lstm(in_features, size, *, rngs):
    return lj.nnx.RNNCell(lj.lstm(size), in_features, rngs=rngs)


def test_a_cell_for_one_input_size():
    cell = lj.nnx.from_nnx_cell(make_residual, D)
    params = cell.init(jax.random.key(0), D)
    ours = lj.residual(lj.learned_state(lj.gru(D)))
    same = {**params["params"], "state": lj.GRUState(**params["params"]["state"])}
    close(lj.unroll(cell, params, XS)[1], lj.unroll(ours, same, XS)[1])
    with pytest.raises(ValueError, match="params: expected the weights of make_residual with 3"):
        cell.initial_state({"params": {"b": jnp.ones(3)}})


def make_residual(in_features, size, *, rngs):
    cell = lj.residual(lj.learned_state(lj.gru(size)))
    return lj.nnx.RNNCell(cell, in_features, rngs=rngs)
