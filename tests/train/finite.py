"""Small data and models that compile quickly, for tests of training on finite data."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.tasks import Sequences

KEY = jax.random.key(0)


def mean_model(outputs=1, features=2, *, noise=0.0, every=False, calls=None):
    """A linear function of each row's mean over time, or of the mean so far at every step."""

    def init(key):
        w = jax.random.normal(key, (features, outputs), jnp.float32)
        return {"w": w, "b": jnp.zeros(outputs, jnp.float32)}

    def apply(params, xs, *, key=None):
        if calls is not None:
            calls.append(jax.tree.map(jnp.shape, xs))
        values, lengths = xs if isinstance(xs, Sequences) else (xs, None)
        steps = values.shape[0]
        lengths = jnp.full(values.shape[1], steps) if lengths is None else lengths
        within = (jnp.arange(steps)[:, None] < lengths)[..., None]
        means = jnp.cumsum(jnp.where(within, values, 0), axis=0)
        means = means / jnp.arange(1, steps + 1)[:, None, None]
        if every:
            return jnp.where(within, means @ params["w"], 0) + params["b"]
        last = means[-1] * steps / lengths[:, None]
        if noise and key is not None:
            last += noise * jax.random.normal(key, last.shape)
        return last @ params["w"] + params["b"]

    return train.Model(1, init, apply, apply)


def ragged(count=12, features=2, longest=6, seed=0):
    """Rows of numbers whose lengths differ, and a number for each."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, count)
    rows = [rng.normal(size=(length, features)).astype(np.float32) for length in lengths]
    targets = np.array([row.mean() + row[0, 0] for row in rows], np.float32)
    return rows, targets


def padded(rows, fill=np.nan, steps=None):
    """Rows as one array with garbage in the padding, and their lengths."""
    lengths = np.array([len(row) for row in rows])
    shape = (len(rows), steps or lengths.max(), *rows[0].shape[1:])
    result = np.full(shape, fill, rows[0].dtype)
    for i, row in enumerate(rows):
        result[i, : len(row)] = row
    return result, lengths


def fit(model, data, **options):
    """``train.fit`` with small defaults, and without a progress bar."""
    defaults = dict(
        loss="mse", optimizer=optax.sgd(0.1), epochs=2, batch_size=4, key=KEY, progress=False
    )
    return train.fit(model, data, **{**defaults, **options})


def language_model(vocabulary=5, size=4, cell=None):
    return train.network(
        lj.gru(size) if cell is None else cell,
        train.inputs.embedding(vocabulary, 3),
        train.heads.classification(vocabulary),
        reads="every",
    )


def text(length=203, vocabulary=5, seed=0):
    return np.random.default_rng(seed).integers(0, vocabulary, length)


def assert_equal(a, b):
    """The same bits, whatever the tree."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y), strict=True)


def assert_close(a, b, rtol=1e-5, atol=1e-6):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)
