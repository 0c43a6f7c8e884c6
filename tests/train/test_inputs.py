import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.tasks import Sequences

inputs = train.inputs
LENGTHS = np.array([7, 0, 4])
INSIDE = np.arange(7)[:, None] < LENGTHS


def tokens(steps=7, rows=3, vocabulary=11, seed=1):
    return jax.random.randint(jax.random.key(seed), (steps, rows), 0, vocabulary)


def reals(*shape, seed=2):
    return jax.random.normal(jax.random.key(seed), shape)


def read(part, xs, **options):
    params = part.init(jax.random.key(0))
    return params, part.apply(params, xs, **options)


def test_numbers_are_read_as_they_are():
    xs = reals(7, 3, 2)
    params, found = read(
        inputs.numbers(2), Sequences(xs, LENGTHS), dropout=0.5, key=jax.random.key(0)
    )
    assert params == {}
    np.testing.assert_array_equal(found.values, xs)
    np.testing.assert_array_equal(found.lengths, LENGTHS)


def test_ids_are_read_as_unit_vectors():
    xs = tokens()
    _, found = read(inputs.one_hot(11), xs)
    np.testing.assert_array_equal(found.values, np.eye(11)[xs])
    assert found.lengths is None and found.values.dtype == jnp.float32


def test_an_embedding_looks_ids_up_in_its_table():
    xs = tokens()
    part = inputs.embedding(11, 4)
    params, found = read(part, xs)
    np.testing.assert_array_equal(found.values, np.asarray(params["table"])[xs])
    table = np.asarray(inputs.embedding(2000, 50).init(jax.random.key(0))["table"])
    assert table.std() == pytest.approx(50**-0.5, rel=0.02)

    def loss(params):
        return (part.apply(params, xs).values * reals(7, 3, 4)).sum()

    expected = np.zeros((11, 4))
    np.add.at(expected, np.asarray(xs), np.asarray(reals(7, 3, 4)))
    np.testing.assert_allclose(jax.grad(loss)(params)["table"], expected, atol=1e-5)


def test_given_vectors_are_where_training_starts_or_stay():
    vectors = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    xs = tokens()
    for frozen in (False, True):
        part = inputs.embedding(11, 4, vectors=vectors, frozen=frozen)
        for scale in (None, 0.1):
            params = part.init(jax.random.key(0), scale=scale)
            np.testing.assert_array_equal(part.apply(params, xs).values, vectors[xs])
        assert jax.tree.map(jnp.shape, params) == ({} if frozen else {"table": (11, 4)})
    head = train.heads.regression()
    model = train.network(lj.rnn(3), part, head)
    assert train.count_parameters(model) == (4 + 3 + 1) * 3 + 3 + 1


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.int32, jnp.uint32])
def test_ids_beyond_the_vocabulary_are_an_error_or_nan(dtype):
    most = int(jnp.iinfo(dtype).max)
    ids = jnp.array([[0, most]], dtype)
    for part in (inputs.one_hot(11), inputs.embedding(11, 4)):
        params = part.init(jax.random.key(0))
        with pytest.raises(ValueError, match=rf"^xs: expected ids from 0 to 10, got 0 to {most}"):
            part.apply(params, ids)
        found = jax.jit(part.apply)(params, ids)
        np.testing.assert_array_equal(
            found.values[0, 0], part.apply(params, ids[:, :1]).values[0, 0]
        )
        assert np.all(np.isnan(found.values[0, 1]))
        if jnp.issubdtype(dtype, jnp.signedinteger):
            assert np.all(np.isnan(jax.jit(part.apply)(params, -ids).values[0, 1]))
        padded = Sequences(ids.T, np.array([1]))  # the padding may hold anything
        assert part.apply(params, padded).values.shape == (2, 1, part.size)
    found = jax.jit(inputs.one_hot(300).apply)({}, ids)  # whose size does not fit in 8 bits
    if most < 300:
        assert found.values[0, 1].argmax() == most
    else:
        assert np.all(np.isnan(found.values[0, 1]))


def test_dropout_acts_on_what_is_learned():
    xs, key = tokens(200, 5), jax.random.key(3)
    params, found = read(inputs.embedding(11, 8), xs, dropout=0.25, key=key)
    whole = np.asarray(params["table"])[xs]
    dropped = np.asarray(found.values) == 0
    assert dropped.mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_allclose(np.where(dropped, whole, found.values * 0.75), whole, rtol=1e-5)
    for part in (inputs.one_hot(11), inputs.embedding(11, 8)):
        params, quiet = read(part, xs, dropout=0.25)
        np.testing.assert_array_equal(quiet.values, part.apply(params, xs).values)


@pytest.mark.parametrize("width", [1, 2, 5, 9])
def test_a_convolution_sees_windows_within_each_row(width):
    part = inputs.convolution(inputs.numbers(2), 3, width, activation="tanh")
    params = part.init(jax.random.key(0))
    params["b"] = jnp.array([0.1, -0.2, 0.3])
    xs = np.asarray(reals(7, 3, 2))
    found = part.apply(params, Sequences(np.where(INSIDE[..., None], xs, np.nan), LENGTHS))
    for row, length in enumerate(LENGTHS):
        for t in range(length):
            total = np.asarray(params["b"], np.float64)
            for k in range(width):
                at = t + k - (width - 1) // 2
                if 0 <= at < length:
                    total = total + xs[at, row] @ np.asarray(params["w"][k], np.float64)
            np.testing.assert_allclose(found.values[t, row], np.tanh(total), atol=1e-5)
    assert np.all(np.isfinite(found.values))
    assert part.stepwise == (width == 1)


def mixed():
    return inputs.mixed(
        {
            "values": inputs.numbers(2),
            "kind": inputs.embedding(5, 3),
            "site": inputs.one_hot(4),
            "age": inputs.numbers(1),
            "text": inputs.summary(inputs.embedding(11, 4), lj.gru(6)),
        }
    )


def mixed_data():
    text = tokens(5)
    return {
        "values": Sequences(jnp.where(INSIDE[..., None], reals(7, 3, 2), jnp.nan), LENGTHS),
        "kind": Sequences(tokens(9, vocabulary=5), LENGTHS),
        "site": jnp.array([0, 3, 1]),
        "age": jnp.array([0.5, 1.5, -1.0]),
        "text": Sequences(text, jnp.array([5, 2, 0])),
    }


@pytest.mark.slow
def test_mixed_columns_are_joined_at_every_step():
    part, data = mixed(), mixed_data()
    params = jax.jit(part.init)(jax.random.key(0))
    found = jax.jit(part.apply)(params, data)
    assert part.size == 1 + 3 + 4 + 6 + 2 == found.values.shape[-1]
    np.testing.assert_array_equal(found.lengths, LENGTHS)
    age, kind, site, text, values = np.split(found.values, [1, 4, 8, 14], axis=-1)
    np.testing.assert_array_equal(age[..., 0], np.broadcast_to(data["age"], (7, 3)))
    table = np.asarray(params["kind"]["table"])
    np.testing.assert_array_equal(kind, table[data["kind"].values[:7]])
    np.testing.assert_array_equal(site, np.broadcast_to(np.eye(4)[data["site"]], (7, 3, 4)))
    np.testing.assert_array_equal(values, data["values"].values)
    for row, length in enumerate([5, 2, 0]):
        words = params["text"]["inputs"]["table"][data["text"].values[:length, row]]
        if length:
            run = jax.jit(lambda words: lj.unroll(lj.gru(6), params["text"]["cell"], words)[1])
            expected = run(words)[-1]
        else:
            expected = np.zeros(6)
        np.testing.assert_allclose(text[:, row], np.broadcast_to(expected, (7, 6)), atol=1e-6)


def test_lengths_of_mixed_columns_agree():
    part = inputs.mixed({"a": inputs.numbers(1), "b": inputs.numbers(1)})
    a = Sequences(reals(7, 3, 1), LENGTHS)
    b = Sequences(reals(7, 3, 1), np.array([7, 1, 4]))
    with pytest.raises(ValueError, match=r"^xs\['b'\]: expected the lengths of 'a', .*row 1"):
        part.apply({"a": {}, "b": {}}, {"a": a, "b": b})
    found = jax.jit(part.apply)({"a": {}, "b": {}}, {"a": a, "b": b})
    np.testing.assert_array_equal(found.lengths, LENGTHS)


def test_equal_inputs_are_equal_and_pickle():
    for make in (mixed, lambda: inputs.convolution(inputs.embedding(11, 4), 3, 2)):
        assert make() == make()
        assert pickle.loads(pickle.dumps(make())) == make()
    vectors = np.ones((11, 4), np.float32)
    one = inputs.embedding(11, 4, vectors=vectors)
    assert one == inputs.embedding(11, 4, vectors=vectors) != inputs.embedding(11, 4)


NUMBERS, IDS = inputs.numbers(2), inputs.embedding(11, 4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: inputs.numbers(0), r"^size: "),
        (lambda: inputs.embedding(11, 4, frozen=True), r"^frozen: expected False without vectors"),
        (lambda: inputs.embedding(11, 4, vectors=np.ones((4, 11))), r"^vectors: .*\(11, 4\)"),
        (lambda: inputs.convolution(4, 3, 2), r"^inputs: expected one of train.inputs, got 4"),
        (lambda: inputs.convolution(IDS, 3, 2, activation="cube"), r"^activation: "),
        (lambda: inputs.mixed({}), r"^columns: expected a dict"),
        (lambda: inputs.mixed({"a": 3}), r"^columns\['a'\]: "),
        (lambda: inputs.summary(IDS, 3), r"^cell: "),
        (lambda: read(NUMBERS, tokens()), r"^xs: .*floating dtype"),
        (lambda: read(NUMBERS, reals(7, 3, 4)), r"^xs: expected \[T, B, 2\].*\(7, 3, 4\)"),
        (lambda: read(IDS, reals(7, 3)), r"^xs: expected ids, as integers, got dtype float32"),
        (lambda: read(IDS, tokens()[None]), r"^xs: expected ids \[T, B\], got shape \(1, 7, 3\)"),
        (lambda: read(inputs.mixed({"a": IDS}), tokens()), r"^xs: expected a dict of a"),
        (lambda: read(inputs.mixed({"a": IDS}), {"b": tokens()}), r"^xs: expected a column 'a'"),
        (lambda: read(inputs.mixed({"a": IDS}), {"a": tokens(), "b": 1}), r"^xs: .*no column 'b'"),
        (lambda: read(inputs.mixed({"a": IDS}), {"a": reals(7, 3)}), r"^xs\['a'\]: expected ids"),
        (lambda: read(inputs.mixed({"a": IDS}), {"a": tokens()[0]}), r"^xs: .*a column with time"),
        (
            lambda: read(inputs.mixed({"a": IDS, "b": IDS}), {"a": tokens(), "b": tokens(7, 2)}),
            r"^xs\['b'\]: expected 3 rows, as 'a' has, got 2",
        ),
        (
            lambda: read(inputs.mixed({"a": IDS, "b": IDS}), {"a": tokens(), "b": tokens(8)}),
            r"^xs\['b'\]: expected 7 steps",
        ),
        (lambda: read(inputs.summary(IDS, lj.rnn(2)), tokens()[0]), r"^xs: expected sequences"),
        (lambda: IDS.apply({}, tokens()), r"^params\['inputs'\]: .*table"),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
