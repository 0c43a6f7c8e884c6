import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax._internal import storage
from lstm_jax.train.checkpoint import CheckpointError
from tests import faults
from tests.train.test_checkpoint import written_by_orbax

PLAIN = train.Description("lstm(peephole=True)", 4, 3, 2, options={"forget_bias": -1.5})
MODEL = train.recurrent(lj.lstm(4, peephole=True, forget_bias=-1.5), 3, 2)
PARAMS = MODEL.init(jax.random.key(0))
RUNS = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf, 3 * leaf]), PARAMS)
XS = jax.random.normal(jax.random.key(1), (5, 2, 3))


def require_equal(got, wanted):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


def test_a_model_comes_back_and_runs(tmp_path):
    train.save_model(tmp_path / "here", PLAIN, PARAMS)
    cell, params = train.load_cell(tmp_path / "here")
    require_equal(params, PARAMS["cell"])
    wanted = lj.unroll(lj.lstm(4, peephole=True, forget_bias=-1.5), PARAMS["cell"], XS)
    require_equal(lj.unroll(cell, params, XS), wanted)
    model, params = train.load_model(tmp_path / "here")
    require_equal(model.answer(params, XS), MODEL.answer(PARAMS, XS))
    # The options are the cell's: its fresh params have this forget bias, and peepholes.
    fresh = cell.init(jax.random.key(0), 3)
    assert set(fresh) == {"w_x", "w_h", "b", "p"} and -1.5 in fresh["b"]
    line = json.loads((tmp_path / "here" / "model.json").read_text())
    assert line == {
        "cell": "lstm",
        "size": 4,
        "input_size": 3,
        "output_size": 2,
        "reads": "last",
        "options": {"peephole": True, "forget_bias": -1.5},
        "runs": None,
        "weights": 0,
        "version": lj.__version__,
    }


def test_runs_side_by_side_are_picked_one_by_one(tmp_path):
    train.save_model(tmp_path, PLAIN._replace(reads="every"), RUNS)
    for run in range(3):
        model, params = train.load_model(tmp_path, run)
        require_equal(params, jax.tree.map(lambda leaf, n=run: (n + 1) * leaf, PARAMS))
    assert model.answer(params, XS).shape == (5, 2, 2)
    require_equal(train.load_model(tmp_path, None)[1], RUNS)
    for run in (-1, 3):
        with pytest.raises(ValueError, match=f"run: expected 0 to 2, .*got {run}"):
            train.load_cell(tmp_path, run)


def test_a_model_without_runs_has_run_0_alone(tmp_path):
    train.save_model(tmp_path, PLAIN, PARAMS)
    require_equal(train.load_model(tmp_path, None)[1], PARAMS)
    with pytest.raises(ValueError, match=r"run: expected 0 to 0, .*got 1"):
        train.load_model(tmp_path, 1)


GRU = train.Description("gru", 2, 3, 1)
GRU_PARAMS = GRU.make_model().init(jax.random.key(4))


def test_another_model_takes_its_place(tmp_path):
    train.save_model(tmp_path, PLAIN, PARAMS)
    train.save_model(tmp_path, GRU, GRU_PARAMS)
    cell, loaded = train.load_cell(tmp_path)
    assert cell.name == "gru(2)" and cell.size == 2
    require_equal(loaded, GRU_PARAMS["cell"])
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["1"]


def saved_size(folder):
    """The size of the model that the folder has, which is one of two, complete."""
    model, params = train.load_model(folder)
    wanted = {4: PARAMS, 2: GRU_PARAMS}[model.size]
    require_equal(params, wanted)
    return model.size


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the killed
def test_a_save_killed_at_any_moment_leaves_the_old_model_or_the_new_one(tmp_path, monkeypatch):
    """So does the save that comes after it."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which takes its time, and moves no name
    like = {model.size: train.saved._shapes(model) for model in (PLAIN, GRU)}  # and so do these
    monkeypatch.setattr(train.saved, "_shapes", lambda model: like[model.size])
    numpy = jax.device_get(GRU_PARAMS)
    train.save_model(tmp_path / "old", PLAIN, PARAMS)
    folder, found = tmp_path / "killed", []
    shutil.copytree(tmp_path / "old", folder)
    modules = (train.saved, storage)  # the moments in checkpoint are in its own test
    for at in faults.kills(lambda: train.save_model(folder, GRU, numpy), *modules):
        found.append(saved_size(folder))
        if at % 4 == 0:
            train.save_model(folder, PLAIN, PARAMS)
            assert saved_size(folder) == 4
            assert sorted(path.name for path in folder.iterdir()) == ["model.json", "weights"]
            assert len(list((folder / "weights").iterdir())) == 1
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "old", folder)
    assert {2, 4} == set(found) and found == sorted(found, reverse=True)


def test_a_disk_that_is_full_leaves_the_old_model(tmp_path, monkeypatch):
    train.save_model(tmp_path, PLAIN, PARAMS)
    for size in (0, 10, 100, 300, 1000):
        with faults.full_at(size), pytest.raises(CheckpointError, match="File too large"):
            train.save_model(tmp_path, GRU, GRU_PARAMS)
        assert saved_size(tmp_path) == 4
    for name, calls in (("fsync", 5), ("rename", 1), ("replace", 1)):
        for at in range(calls):
            with monkeypatch.context() as patch:
                faults.failing(patch, os, name, at)
                with pytest.raises(CheckpointError, match="No space left on device"):
                    train.save_model(tmp_path, GRU, GRU_PARAMS)
            assert saved_size(tmp_path) == 4
    train.save_model(tmp_path, GRU, GRU_PARAMS)
    assert saved_size(tmp_path) == 2
    assert len(list(tmp_path.iterdir())) == 2 and len(list((tmp_path / "weights").iterdir())) == 1


def test_what_others_put_beside_a_model_stays(tmp_path):
    names = ("notes.txt", "model.json.bak", "weights/notes.txt", "weights/mine/notes.txt",
             "model.json.part", "model.json.tmp")  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    for _ in range(2):
        train.save_model(tmp_path, PLAIN, PARAMS)
    assert all((tmp_path / name).read_text() == "mine" for name in names)


def test_a_model_that_orbax_wrote_is_loaded_and_replaced(tmp_path):
    train.save_model(tmp_path, PLAIN, PARAMS)
    shutil.rmtree(tmp_path / "weights")
    written_by_orbax(tmp_path / "weights" / "3", PARAMS)
    change(tmp_path, weights="gone")
    assert saved_size(tmp_path) == 4
    train.checkpoint.write(tmp_path / "weights", 4, GRU_PARAMS)  # of a save that was killed there
    assert saved_size(tmp_path) == 4
    train.save_model(tmp_path, GRU, GRU_PARAMS)
    assert saved_size(tmp_path) == 2


def test_params_of_numpy_come_back_as_jax_gives_them(tmp_path):
    train.save_model(tmp_path, PLAIN, jax.device_get(PARAMS))
    _, params = train.load_model(tmp_path)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))
    require_equal(params, PARAMS)


def test_a_cell_from_outside_asks_to_be_registered(tmp_path, monkeypatch):
    def mine(size, *, activation="tanh"):
        return lj.rnn(size, activation=activation)

    described = train.Description("mine", 3, 2, 1, options={"activation": "relu"})
    with pytest.raises(ValueError, match=r"name: .*got 'mine'"):
        train.save_model(tmp_path, described, {})
    with monkeypatch.context() as patch:
        patch.setitem(lj.cells.registry, "mine", mine)
        params = described.make_model().init(jax.random.key(0))
        train.save_model(tmp_path, described, params)
        require_equal(train.load_model(tmp_path)[1], params)
    with pytest.raises(ValueError, match=r"'mine' is not registered here; register it first: lj\."):
        train.load_cell(tmp_path)


def change(folder, **entries):
    file = folder / "model.json"
    line = json.loads(file.read_text()) | entries
    file.write_text(json.dumps({k: v for k, v in line.items() if v != "gone"}))


def test_what_was_not_saved_whole_or_not_so_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"no model\.json there; train\.save_model writes"):
        train.load_model(tmp_path)
    train.save_model(tmp_path, PLAIN, PARAMS)
    change(tmp_path, options={"pepole": True})
    with pytest.raises(CheckpointError, match=r"model\.json: options: .* got 'pepole'"):
        train.load_model(tmp_path)
    change(tmp_path, options={"coupled": True})  # it has three gates
    with pytest.raises(
        CheckpointError, match=(r"cell\.b: expected float32\[12\], got float32\[16\]")
    ):
        train.load_model(tmp_path)
    change(tmp_path, options={}, size=-1)
    with pytest.raises(CheckpointError, match=r"model\.json: size: .*got -1"):
        train.load_model(tmp_path)
    for entry, wrong in (("runs", "two"), ("runs", 0), ("cell", ["lstm"]), ("options", "none")):
        change(tmp_path, **{"size": PLAIN.size, entry: wrong})
        with pytest.raises(CheckpointError, match=r"model\.json: "):
            train.load_model(tmp_path)
        change(tmp_path, runs=None, cell="lstm", options={})
    change(tmp_path, size="gone")
    with pytest.raises(CheckpointError, match=r"no description of a model: KeyError\('size'\)"):
        train.load_model(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(CheckpointError, match="no description of a model: JSONDecodeError"):
        train.load_model(tmp_path)


def test_sizes_may_be_numpys(tmp_path):
    sizes = {name: np.int64(getattr(PLAIN, name)) for name in ("size", "input_size", "output_size")}
    train.save_model(tmp_path, PLAIN._replace(**sizes), PARAMS)
    require_equal(train.load_model(tmp_path)[1], PARAMS)


def test_what_cannot_be_described_leaves_the_model_that_is_there(tmp_path):
    train.save_model(tmp_path, PLAIN, PARAMS)
    kept = sorted(tmp_path.rglob("*"))
    for wrong in ({"options": {"forget_bias": jnp.ones(4)}}, {"reads": b"last"}, {"size": 4.0}):
        with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
            train.save_model(tmp_path, PLAIN._replace(**wrong), PARAMS)
    assert sorted(tmp_path.rglob("*")) == kept
    require_equal(train.load_model(tmp_path)[1], PARAMS)


@pytest.mark.parametrize(
    ("description", "params", "error", "message"),
    [
        (PLAIN._replace(size=5), PARAMS, ValueError,
         r"params\['cell'\]\['b'\]: expected shape \(20,\), .*got shape \(16,\)"),
        (PLAIN, {"cell": PARAMS["cell"]}, ValueError, r"params\['readout'\].*no such entry"),
        (PLAIN, {**RUNS, "readout": PARAMS["readout"]}, ValueError, r"expected shape \(3, 2\)"),
        (PLAIN, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS), ValueError,
         "params: expected float32, .*got dtype bfloat16"),
        (PLAIN._replace(options={"peephole": True}), PARAMS, TypeError, "got peephole twice"),
        (PLAIN._replace(options={"forget_bias": jnp.ones(4)}), PARAMS, TypeError,
         "options: expected values that JSON can hold"),
        (PLAIN._replace(reads="first"), PARAMS, ValueError, "reads: .*got 'first'"),
        (PLAIN, {**PARAMS, "readout": {"w": PARAMS["readout"]["w"], "b": "text"}}, TypeError,
         r"params\['readout'\]\['b'\]: expected an array or a number, got str"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_not_saved(tmp_path, description, params, error, message):
    with pytest.raises(error, match=message):
        train.save_model(tmp_path / "none", description, params)
    assert not (tmp_path / "none").exists()
