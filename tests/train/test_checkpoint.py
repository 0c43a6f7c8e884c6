import os
import shutil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax._internal import storage
from lstm_jax.train import checkpoint
from tests import faults
from tests.train.test_leaves import require_same


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


def test_only_the_newest_step_is_kept(tmp_path):
    assert checkpoint.latest_step(tmp_path / "none") is None
    checkpoint.save(tmp_path, 1, TREE)
    checkpoint.save(tmp_path, 20, TREE)
    assert [path.name for path in tmp_path.iterdir()] == ["20"]


def snapshot(folder):
    """The content of the folder: links as links, files with their bytes."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink()
        else path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }  # fmt: skip


def test_what_others_put_into_the_folder_stays(tmp_path):
    """Whatever its name, with files in it, and links that lead elsewhere."""
    folder, elsewhere = tmp_path / "steps", tmp_path / "elsewhere"
    checkpoint.save(elsewhere, 3, TREE)
    (elsewhere / "thesis.txt").write_text("mine")
    folder.mkdir()
    parts = ("5.deadbeef.lstm_jax-part", "tmp.lstm_jax-part")
    for name in ("photos", "0", "007", "2024", "²", *parts):
        (folder / name).mkdir()
        (folder / name / "mine.txt").write_text("mine")
    for name in ("notes.txt", "8", "6.deadbeef.lstm_jax-part"):
        (folder / name).write_text("mine")
    (folder / "9").symlink_to(elsewhere / "3")
    (folder / "10").symlink_to(elsewhere)
    (folder / "1.orbax-checkpoint-tmp-2").mkdir()
    with ocp.StandardCheckpointer() as checkpointer:  # of another program, for all we know
        checkpointer.save(folder / "4", {"a": np.ones(2)})
    before, outside = snapshot(folder), snapshot(elsewhere)
    for step in (11, 12, 13):
        checkpoint.save(folder, step, TREE)
        (folder / str(step) / "notes.txt").write_text(f"of step {step}")
    checkpoint.save(folder, 23, TREE)
    after = snapshot(folder)
    assert before.items() <= after.items() and snapshot(elsewhere) == outside
    new = {name.split("/")[0] for name in after.keys() - before.keys()}
    assert new == {"11", "12", "13", "23"}  # those with notes, and the newest
    require_equal(checkpoint.restore(folder, TREE, step=12), TREE)
    require_equal(checkpoint.restore(folder, TREE), TREE)


def test_a_folder_that_is_no_checkpoint_is_no_step(tmp_path):
    for name in ("2024", "²", "٣", "7"):
        (tmp_path / name).mkdir()
    assert checkpoint.latest_step(tmp_path) is None
    with pytest.raises(checkpoint.CheckpointError, match="no checkpoint 7 there"):
        checkpoint.restore(tmp_path, TREE, step=7)
    with pytest.raises(ValueError, match=r"step: expected a free name, got .*7, which exists"):
        checkpoint.save(tmp_path, 7, TREE)
    checkpoint.save(tmp_path, 8, TREE)
    assert checkpoint.latest_step(tmp_path) == 8


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
    with pytest.raises(ValueError, match=f"step: expected a step above 5, .*got {step}"):
        checkpoint.save(tmp_path, step, TREE)


def written_by_orbax(path, tree):
    """A step in the first format of lstm_jax 0.1.0."""
    leaves = {}
    for at, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(at, simple=True, separator=".")
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            name, leaf = f"{name}:{leaf.dtype}", jax.random.key_data(leaf)
        leaves[name] = np.asarray(leaf)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, leaves)


def test_steps_that_orbax_wrote_are_restored_and_stay(tmp_path):
    written_by_orbax(tmp_path / "5", TREE)
    assert checkpoint.latest_step(tmp_path) == 5
    require_equal(checkpoint.restore(tmp_path, jax.eval_shape(lambda: TREE)), TREE)
    wrong = TREE._replace(weights={"w": jnp.zeros((3, 3)), "count": jnp.int32(0)})
    with pytest.raises(
        checkpoint.CheckpointError, match=(r"w: expected float32\[3, 3\], got float32\[2, 3\]")
    ):
        checkpoint.restore(tmp_path, wrong)
    with pytest.raises(ValueError, match="expected a step above 5"):
        checkpoint.save(tmp_path, 5, TREE)
    checkpoint.save(tmp_path, 6, TREE)
    require_equal(checkpoint.restore(tmp_path, TREE), TREE)
    require_equal(checkpoint.restore(tmp_path, TREE, step=5), TREE)


# Faults: of arrays of NumPy, since a traced line of JAX's would be one more moment.
SMALL = {"a": np.arange(40.0), "b": [np.int64(3), 7]}


def require_old_or_new(folder, old, new):
    step = checkpoint.latest_step(folder)
    require_same(checkpoint.restore(folder, SMALL), {old: SMALL, new: bumped(SMALL)}[step])


def bumped(tree):
    return jax.tree.map(lambda leaf: type(leaf)(leaf + 1) if np.ndim(leaf) == 0 else leaf + 1, tree)


def test_a_save_killed_at_any_moment_leaves_the_old_step_or_the_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which takes its time, and moves no name
    checkpoint.save(tmp_path / "old", 1, SMALL)
    folder, moments = tmp_path / "killed", 0
    shutil.copytree(tmp_path / "old", folder)
    for _ in faults.kills(lambda: checkpoint.save(folder, 2, bumped(SMALL)), checkpoint, storage):
        moments += 1
        require_old_or_new(folder, 1, 2)
        checkpoint.save(folder, 3, SMALL)
        assert [path.name for path in folder.iterdir()] == ["3"]
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "old", folder)
    assert moments > 100


def test_a_disk_that_is_full_keeps_the_old_step_and_leaves_nothing(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, SMALL)
    before = snapshot(tmp_path)
    largest = max(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    for size in range(0, largest, 7):
        with faults.full_at(size), pytest.raises(checkpoint.CheckpointError, match=r"2: not saved"):
            checkpoint.save(tmp_path, 2, bumped(SMALL))
        assert snapshot(tmp_path) == before
    # Files and folders are flushed, the step's folder is made in one that is there, and renamed.
    for name, at in (("fsync", 0), ("fsync", 1), ("fsync", 2), ("mkdir", 1), ("rename", 0)):
        with monkeypatch.context() as patch:
            faults.failing(patch, os, name, at)
            with pytest.raises(checkpoint.CheckpointError, match="No space left on device"):
                checkpoint.save(tmp_path, 2, bumped(SMALL))
        assert snapshot(tmp_path) == before
    checkpoint.save(tmp_path, 2, bumped(SMALL))
    require_same(checkpoint.restore(tmp_path, SMALL), bumped(SMALL))


def test_a_step_that_another_process_writes_is_left_alone(tmp_path):
    part = tmp_path / "5.0123abcd.lstm_jax-part"
    part.mkdir()
    with (part / "tree.json").open("w") as file:
        storage.claim(file)
        checkpoint.save(tmp_path, 6, TREE)
        assert part.exists()
    checkpoint.save(tmp_path, 7, TREE)  # that process has ended
    assert [path.name for path in tmp_path.iterdir()] == ["7"]


def test_a_damaged_step_is_an_error(tmp_path):
    path = checkpoint.save(tmp_path, 1, SMALL) / "arrays.npz"
    whole = path.read_bytes()
    flipped = whole.replace(np.arange(40.0).tobytes(), np.arange(1, 41.0).tobytes())
    for damaged in (b"", whole[:50], whole[:-9], flipped):
        path.write_bytes(damaged)
        with pytest.raises(checkpoint.CheckpointError, match=r"arrays\.npz cannot be read"):
            checkpoint.restore(tmp_path, SMALL)
    for text in ("", "{}", '{"format": "another", "leaves": []}'):
        (tmp_path / "1" / "tree.json").write_text(text)
        with pytest.raises(checkpoint.CheckpointError, match=r"tree\.json cannot be read"):
            checkpoint.restore(tmp_path, SMALL)


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
         r"weights\.w: expected float32\[3, 3\], got float32\[2, 3\]"),
        ({"weights": {"w": jnp.zeros((2, 3)), "count": jnp.int8(0)}},
         r"count: expected int8\[\], got int32\[\]"),
        ({"weights": {"w": jnp.zeros((2, 3))}}, r"count: expected no such leaf, got int32\[\]"),
        ({"keys": [jax.random.split(jax.random.key(3), 2), jax.random.key(1)]},
         r"keys\.1: expected key<fry>\[\], got key<rbg>\[\]"),
    ],
)  # fmt: skip
def test_a_leaf_that_differs_is_named(tmp_path, change, message):
    checkpoint.save(tmp_path, 5, TREE)
    with pytest.raises(checkpoint.CheckpointError, match=message):
        checkpoint.restore(tmp_path, TREE._replace(**change))


def test_bad_input_names_the_argument(tmp_path):
    with pytest.raises(ValueError, match=r"step: .*got -1"):
        checkpoint.save(tmp_path, -1, TREE)
    for step in (True, False):
        with pytest.raises(ValueError, match=r"step: expected a whole number from 0 up"):
            checkpoint.save(tmp_path, step, TREE)
    with pytest.raises(ValueError, match=r"tree: .*got none"):
        checkpoint.save(tmp_path, 1, {})
