import itertools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.tasks import Sequences
from lstm_jax.train.reading import steps_product
from tests.selection import mostly_slow

heads, inputs = train.heads, train.inputs


def tokens(steps, rows, vocabulary=11, seed=1):
    return jax.random.randint(jax.random.key(seed), (steps, rows), 0, vocabulary)


def test_a_network_is_inputs_a_cell_and_a_readout():
    model = train.network(
        lj.lstm(5), inputs.embedding(11, 4), heads.classification(3), reads="every"
    )
    params = jax.jit(model.init)(jax.random.key(0))
    assert jax.tree.map(jnp.shape, params["inputs"]) == {"table": (11, 4)}
    assert jax.tree.map(jnp.shape, params["readout"]) == {"w": (5, 3), "b": (3,)}
    xs = tokens(7, 2)
    _, ys = lj.unroll(lj.lstm(5), params["cell"], params["inputs"]["table"][xs])
    logits = np.asarray(ys) @ np.asarray(params["readout"]["w"]) + params["readout"]["b"]
    np.testing.assert_allclose(model.apply(params, xs), logits, atol=1e-6)
    np.testing.assert_allclose(
        model.answer(params, xs), np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), atol=1e-6
    )


@pytest.mark.slow
def test_chunks_of_a_stream_equal_the_whole():
    cell = lj.chain(lj.lstm(5), lj.gru(4))
    model = train.network(cell, inputs.one_hot(11), heads.classification(11), reads="every")
    params = jax.jit(model.init)(jax.random.key(0))
    xs = tokens(12, 3)
    resets = jnp.zeros((12, 3), bool).at[7, 1].set(True).at[5, 2].set(True)
    whole = model.apply(params, xs)
    stream = jax.jit(model.stream)
    for resets_of in (None, resets):
        _, expected = stream(params, model.initial_state(params, 3), xs, resets=resets_of)
        state, parts = model.initial_state(params, 3), []
        for first, last in ((0, 6), (6, 12)):
            chunk = None if resets_of is None else resets_of[first:last]
            state, outputs = stream(params, state, xs[first:last], resets=chunk)
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
    params = jax.jit(model.init)(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (9, 2, 3))
    state, first = model.stream(params, model.initial_state(params, 2), xs[:4])
    _, second = model.stream(params, state, xs[4:])
    np.testing.assert_allclose(jnp.concatenate([first, second]), model.apply(params, xs), atol=1e-6)


def test_a_tied_readout_multiplies_by_the_table():
    model = train.network(
        lj.lstm(4), inputs.embedding(11, 4), heads.classification(11), reads="every", tie=True
    )
    params = jax.jit(model.init)(jax.random.key(0))
    assert set(params["readout"]) == {"b"}
    xs = tokens(5, 2)
    _, ys = lj.unroll(lj.lstm(4), params["cell"], params["inputs"]["table"][xs])
    expected = ys @ params["inputs"]["table"].T
    np.testing.assert_allclose(model.apply(params, xs), expected, atol=1e-6)


def test_a_scale_draws_all_initial_params_uniformly():
    cell = lj.chain(lj.lstm(20), lj.lstm(20))
    model = train.network(cell, inputs.embedding(50, 20), heads.classification(50), init_scale=0.1)
    params = jax.jit(model.init)(jax.random.key(0))
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


POOLED = ("last", "mean", "max", "attention")
CELLS = (lj.gru(5), lj.bidirectional(lj.gru(2), lj.gru(3)))


@pytest.mark.parametrize(
    "reads, cell",
    mostly_slow(
        itertools.product(POOLED, CELLS),
        [("last", CELLS[0]), ("max", CELLS[0]), ("attention", CELLS[1])],
    ),
)
def test_each_row_is_read_within_its_own_length(reads, cell):
    model = train.network(cell, inputs.numbers(3), heads.regression(2), reads=reads)
    params = jax.jit(model.init)(jax.random.key(0))
    params["readout"]["b"] = jnp.array([1.0, 2.0])
    xs = jax.random.normal(jax.random.key(1), (7, 4, 3))
    lengths = jnp.array([7, 1, 4, 0])
    inside = jnp.arange(7)[:, None, None] < lengths[:, None]
    padded = Sequences(jnp.where(inside, xs, jnp.nan), lengths)
    value, gradient = jax.jit(
        jax.value_and_grad(lambda p: (model.apply(p, padded) * jnp.array([1.0, 3.0])).sum())
    )(params)
    together = jax.jit(model.apply)(params, padded)
    assert value == pytest.approx(float(together.sum(0) @ jnp.array([1.0, 3.0])), rel=1e-5)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    for row, length in enumerate([7, 1, 4]):
        _, ys = lj.unroll(cell, params["cell"], xs[:length, row])
        ys = np.asarray(ys, np.float64)
        if reads == "attention":
            pool = jax.tree.map(np.asarray, params["pool"])
            scores = np.tanh(ys @ pool["w"] + pool["b"]) @ pool["v"]
            weights = np.exp(scores) / np.exp(scores).sum()
            seen = weights @ ys
        else:
            seen = {"last": ys[-1], "mean": ys.mean(0), "max": ys.max(0)}[reads]
        expected = seen @ np.asarray(params["readout"]["w"]) + np.array([1.0, 2.0])
        np.testing.assert_allclose(together[row], expected, atol=1e-5)
        if length == 7:
            alone = jax.jit(model.apply)(params, xs[:, :1])[0]
            np.testing.assert_allclose(alone, expected, atol=1e-5)
    np.testing.assert_allclose(together[3], [1.0, 2.0], atol=1e-6)


def test_ids_in_the_padding_may_be_anything_and_others_make_the_outputs_nan():
    part = inputs.convolution(inputs.embedding(11, 4), 3, 3)
    model = train.network(lj.gru(5), part, heads.classification(2), reads="mean")
    params = jax.jit(model.init)(jax.random.key(0))
    apply = jax.jit(lambda ids: model.apply(params, Sequences(ids, jnp.array([6, 4, 0]))))
    xs = tokens(6, 3)
    inside = np.arange(6)[:, None] < np.array([6, 4, 0])
    expected = apply(xs)
    np.testing.assert_array_equal(apply(jnp.where(inside, xs, -7)), expected)
    wrong = apply(xs.at[2, 1].set(11))
    np.testing.assert_array_equal(np.isnan(wrong).any(-1), [False, True, False])
    np.testing.assert_array_equal(wrong[0], expected[0])


def test_the_gradient_of_the_readout_is_that_of_a_plain_product():
    ys, w = (
        jax.random.normal(jax.random.key(s), shape) for s, shape in ((0, (6, 3, 4)), (1, (4, 5)))
    )

    def loss(multiply):
        return jax.grad(lambda ys, w: jnp.sin(multiply(ys, w)).sum(), (0, 1))(ys, w)

    for found, expected in zip(loss(steps_product), loss(jnp.matmul), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_network_of_mixed_columns_learns_from_all_of_them():
    columns = {
        "values": inputs.convolution(inputs.numbers(2), 4, 3),
        "kind": inputs.embedding(5, 3),
        "site": inputs.embedding(4, 2),
        "text": inputs.summary(inputs.embedding(11, 4), lj.gru(3)),
    }
    model = train.network(
        lj.lstm(5), inputs.mixed(columns), heads.mixture(2), reads="attention", dropout=0.1
    )
    params = jax.jit(model.init)(jax.random.key(0))
    lengths = jnp.array([6, 3])
    xs = {
        "values": Sequences(jax.random.normal(jax.random.key(1), (6, 2, 2)), lengths),
        "kind": Sequences(tokens(6, 2, 5), lengths),
        "site": jnp.array([3, 1]),
        "text": Sequences(tokens(4, 2), jnp.array([2, 4])),
    }
    gradient = jax.jit(
        jax.grad(lambda p: heads.mixture(2).loss(
            model.apply(p, xs, key=jax.random.key(2)), jnp.array([0.5, -1.0])).sum())
    )(params)  # fmt: skip
    for leaf in jax.tree.leaves(gradient):
        assert np.all(np.isfinite(leaf)) and np.any(leaf)
    assert model.stream is None and model.answer(params, xs).shape == (2,)


@pytest.mark.parametrize(
    "kind, reads",
    mostly_slow(
        itertools.product([AxisType.Auto, AxisType.Explicit], ["every", "attention", "max"]),
        [(AxisType.Explicit, "every")],
    ),
)
def test_the_batch_may_be_sharded(kind, reads):
    part = inputs.mixed({
        "a": inputs.convolution(inputs.embedding(11, 4), 3, 2), "b": inputs.one_hot(11),
        "c": inputs.embedding(3, 2),
    })  # fmt: skip
    model = train.network(
        lj.lstm(5), part, heads.quantiles([0.1, 0.5, 0.9]), reads=reads, dropout=0.3
    )
    params = jax.jit(model.init)(jax.random.key(0))
    lengths = jnp.array([6, 2, 5, 4])
    xs = {
        "a": Sequences(tokens(6, 4), lengths), "b": Sequences(tokens(6, 4, seed=2), lengths),
        "c": jnp.array([0, 2, 1, 1]),
    }  # fmt: skip

    def loss(params, xs):
        return jnp.sin(model.apply(params, xs, key=jax.random.key(3))).sum()

    expected = jax.jit(jax.value_and_grad(loss))(params, xs)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(kind,), devices=jax.devices()[:2])
    with jax.set_mesh(mesh):
        place = lambda leaf: NamedSharding(  # noqa: E731
            mesh, PartitionSpec("data") if leaf.ndim == 1 else PartitionSpec(None, "data")
        )
        xs = jax.tree.map(lambda leaf: jax.device_put(leaf, place(leaf)), xs)
        params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
        found = jax.jit(jax.value_and_grad(loss))(params, xs)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_equal_networks_are_equal_and_pickle():
    def make():
        return train.network(lj.lstm(4), inputs.one_hot(3), heads.classification(2), reads="mean")

    assert make() == make() and hash(make()) == hash(make())
    assert pickle.loads(pickle.dumps(make())) == make()


HEAD, IDS = heads.classification(3), inputs.embedding(11, 4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: train.network(lj.lstm, IDS, HEAD), r"^cell: "),
        (lambda: train.network(lj.lstm(4), 11, HEAD), r"^inputs: expected one of train.inputs"),
        (lambda: train.network(lj.lstm(4), IDS, 3), r"^head: expected one of train.heads, got 3"),
        (lambda: train.network(lj.lstm(4), IDS, HEAD, reads="first"), r"^reads: .*attention"),
        (lambda: train.network(lj.lstm(4), IDS, HEAD, dropout=1.0), r"^dropout: "),
        (lambda: train.network(lj.lstm(4), IDS, HEAD, init_scale=0), r"^init_scale: "),
        (lambda: train.network(lj.lstm(4), inputs.one_hot(3), HEAD, tie=True), r"^tie: .*one_hot"),
        (lambda: train.network(lj.lstm(4), IDS, HEAD, tie=True), r"^tie: expected a head of 11"),
        (
            lambda: train.network(lj.lstm(5), IDS, heads.classification(11), tie=True),
            r"^tie: .*cell of size 4",
        ),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_data_of_another_kind_are_an_error():
    model = train.network(lj.lstm(4), inputs.numbers(3), HEAD)
    params = jax.jit(model.init)(jax.random.key(0))
    for xs, message in (
        (jnp.zeros((4, 3)), r"^xs: expected \[T, B, ...\], got one vector per row"),
        (jnp.zeros((0, 2, 3)), r"^xs: expected T of at least 1"),
        (jnp.zeros((4, 2, 5)), r"^xs: expected \[T, B, 3\]"),
        ({"a": jnp.zeros((4, 2, 3))}, r"^xs: "),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            model.apply(params, xs)
    with pytest.raises(ValueError, match=r"^params: .*readout"):
        model.apply({"cell": params["cell"]}, jnp.zeros((4, 2, 3)))
