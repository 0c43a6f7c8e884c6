"""Draws are the same if JAX has 64 bits enabled, and stay float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import attend, seq2seq, train
from tests.selection import mostly_slow

KEY = jax.random.key(5)
XS = np.linspace(-1.0, 1.0, 36).reshape(6, 2, 3).astype(np.float32)
TOKENS = np.array([[3, 4], [5, 3], [4, 2]], np.int32)
lstm = lj.lstm(4)


def unrolled(cell):
    params = cell.init(KEY, 3)
    return params, lj.unroll(cell, params, jnp.asarray(XS), key=KEY)


def translated():
    model = seq2seq.encoder_decoder(
        lj.gru(4), lj.gru(4), 6, 6, embedding_size=4, start=1, end=2, dropout=0.3
    )
    params = model.init(KEY)
    source = target = jnp.asarray(TOKENS)
    taught = model.log_probabilities(params, source, target, key=KEY, own=0.5)
    return params, taught, model.decode(params, source, max_steps=4)


def truncated():
    model = train.recurrent(lstm, 3, 2, truncate=2, random_offset=True)
    params = model.init(KEY)
    loss = lambda params: (model.apply(params, jnp.asarray(XS), key=KEY) ** 2).sum()  # noqa: E731
    return params, jax.grad(loss)(params)


DRAWS = {
    "params of all cells": lambda: {
        name: lj.cells.make(name, 4).init(KEY, 3) for name in lj.cells.registry
    },
    "params of all attentions": lambda: {
        name: attend.make(name, 4).init(KEY, 4, 4) for name in attend.registry
    },
    "zoneout": lambda: unrolled(lj.zoneout(lstm, 0.3)),
    "dropout": lambda: unrolled(lj.dropout(lstm, 0.3, on="output")),
    "recurrent dropout": lambda: unrolled(lj.dropout(lstm, 0.3, on="recurrent", variational=True)),
    "drop_connect": lambda: unrolled(lj.drop_connect(lstm, 0.3)),
    "chrono": lambda: lj.initialize(lstm, b=lj.initializers.chrono(20.0)).init(KEY, 3),
    "sequence to sequence": translated,
    "random truncation": truncated,
}


@pytest.mark.parametrize("name", mostly_slow(DRAWS, ["zoneout"]))
def test_what_is_drawn_is_the_same_at_64_bits(name):
    plain = DRAWS[name]()
    with jax.enable_x64(True):
        wide = DRAWS[name]()
    for (path, one), other in zip(
        jax.tree_util.tree_leaves_with_path(plain), jax.tree.leaves(wide), strict=True
    ):
        where = jax.tree_util.keystr(path)
        assert one.dtype == other.dtype, where
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, err_msg=where)
