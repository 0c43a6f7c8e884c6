import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.train import checkpoint


class Tree(NamedTuple):
    weights: Any
    state: Any
    keys: Any


TREE = Tree(
    {"w": jnp.arange(6.0).reshape(2, 3), "count": jnp.int32(3)},
    (lj.LSTMState(jnp.full((2, 4), 0.3, jnp.bfloat16), jnp.ones((2, 4))), optax.EmptyState()),
    [jax.random.split(jax.random.key(3), 2), jax.random.key(1, impl="rbg")],
)


def require_equal(got, wanted):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("as_shapes", [False, True])
def test_a_tree_comes_back_exactly(tmp_path, as_shapes):
    checkpoint.save(tmp_path / "a", 5, TREE)
    like = jax.eval_shape(lambda: TREE) if as_shapes else TREE
    require_equal(checkpoint.restore(tmp_path / "a", like), TREE)


def test_a_train_state_comes_back_exactly(tmp_path):
    model = train.recurrent(lj.lstm(3), 2, 1)
    state = train.start(model, optax.adam(1e-2), jax.random.key(0))
    checkpoint.save(tmp_path, 0, state)
    require_equal(checkpoint.restore(tmp_path, state), state)


def test_only_the_newest_step_is_kept_and_remains_of_a_killed_save_go(tmp_path):
    assert checkpoint.latest_step(tmp_path / "none") is None
    checkpoint.save(tmp_path, 1, TREE)
    (tmp_path / "2.orbax-checkpoint-tmp").mkdir()
    assert checkpoint.latest_step(tmp_path) == 1
    checkpoint.save(tmp_path, 20, TREE)
    assert [path.name for path in tmp_path.iterdir()] == ["20"]


def test_a_relative_path_works(tmp_path):
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        checkpoint.save("here", 1, TREE)
        require_equal(checkpoint.restore("here", TREE), TREE)
    finally:
        os.chdir(before)


@pytest.mark.parametrize("step", [3, 5])
def test_an_old_step_is_an_error_and_not_silence(tmp_path, step):
    checkpoint.save(tmp_path, 5, TREE)
    with pytest.raises(ValueError, match=f"step: got {step}; takes one above 5"):
        checkpoint.save(tmp_path, step, TREE)


def test_a_save_that_wrote_nothing_is_an_error(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, {"w": jnp.zeros(2)})
    monkeypatch.setattr(ocp.StandardCheckpointer, "save", lambda *_: False)
    with pytest.raises((checkpoint.CheckpointError, FileNotFoundError)):
        checkpoint.save(tmp_path, 2, TREE)
    assert checkpoint.latest_step(tmp_path) == 1  # the older step is not lost with it


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="no checkpoint there"):
        checkpoint.restore(tmp_path, TREE)
    checkpoint.save(tmp_path, 5, TREE)
    with pytest.raises(checkpoint.CheckpointError, match="no checkpoint 4 there"):
        checkpoint.restore(tmp_path, TREE, step=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": {"w": jnp.zeros((3, 3)), "count": jnp.int32(0)}},
         r"weights\.w: got float32\[2, 3\]; takes float32\[3, 3\]"),
        ({"weights": {"w": jnp.zeros((2, 3)), "count": jnp.int8(0)}},
         r"count: got int32\[\]; takes int8"),
        ({"weights": {"w": jnp.zeros((2, 3))}}, r"count: got int32\[\]; takes no such leaf"),
        ({"keys": [jax.random.split(jax.random.key(3), 2), jax.random.key(1)]},
         r"keys\.1:key<fry>: got no such leaf"),
    ],
)  # fmt: skip
def test_a_leaf_that_differs_is_named(tmp_path, change, message):
    checkpoint.save(tmp_path, 5, TREE)
    with pytest.raises(checkpoint.CheckpointError, match=message):
        checkpoint.restore(tmp_path, TREE._replace(**change))


def test_bad_input_names_the_argument(tmp_path):
    with pytest.raises(ValueError, match="step: got -1"):
        checkpoint.save(tmp_path, -1, TREE)
    with pytest.raises(TypeError, match="a: got int; takes an array"):
        checkpoint.save(tmp_path, 1, {"a": 3})
    with pytest.raises(ValueError, match="tree: got no arrays"):
        checkpoint.save(tmp_path, 1, {})
