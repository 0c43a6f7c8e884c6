import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from lstm_jax import train
from lstm_jax.train.checkpoint import CheckpointError, latest_step
from tests.train.finite import assert_equal, fit, language_model, mean_model, ragged, text

MODEL, OPTIMIZER = mean_model(noise=0.1), optax.adam(0.1)
DATA = train.Dataset(*ragged(40))
HELD_OUT = train.Dataset(*ragged(9, seed=1))
LANGUAGE = language_model()
ROWS = dict(
    model=MODEL, data=DATA, validation=HELD_OUT, optimizer=OPTIMIZER, epochs=4, metrics=["r2"]
)
STREAMS = dict(
    model=LANGUAGE,
    data=train.Streams(text(), window=6),
    validation=train.Streams(text(40, seed=1), window=20),
    loss="cross_entropy",
    optimizer=OPTIMIZER,
    epochs=3,
)


class Killed(Exception):
    pass


def killer(at, error=Killed):
    """Progress that raises an error at one of its calls."""
    calls = itertools.count()

    def progress(event):
        if next(calls) == at:
            raise error

    return progress


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr("lstm_jax.train.progress.SECONDS_BETWEEN", -1.0)


def without_compiles(fitted):
    return fitted._replace(compiles=0)


@pytest.mark.parametrize(
    "options, error",
    [
        pytest.param(STREAMS, Killed, id="streams"),
        pytest.param(ROWS, KeyboardInterrupt, id="rows"),
        pytest.param(ROWS, Killed, id="rows, killed", marks=pytest.mark.slow),
        pytest.param(STREAMS, KeyboardInterrupt, id="streams, stopped", marks=pytest.mark.slow),
    ],
)
def test_a_killed_fit_goes_on_to_the_same_bits(options, error, tmp_path, every_step):
    straight = fit(**options)
    options = dict(options, checkpoint=tmp_path / "fit", seconds_between_checkpoints=0.0)
    for at in (0, 3, 9, 1, 5):
        with pytest.raises(error):
            fit(**options, progress=killer(at, error))
    found = fit(**options)
    assert_equal(without_compiles(found), without_compiles(straight))
    assert len([entry for entry in (tmp_path / "fit").iterdir() if entry.is_dir()]) == 1


def test_an_interrupt_loses_nothing(tmp_path, every_step):
    options = dict(ROWS, checkpoint=tmp_path, seconds_between_checkpoints=1e9)
    with pytest.raises(KeyboardInterrupt):
        fit(**options, progress=killer(15, KeyboardInterrupt))
    events, all_events = [], []
    found = fit(**options, progress=events.append)
    fit(**ROWS, progress=all_events.append)
    assert events == all_events[16:]
    assert_equal(without_compiles(found), without_compiles(fit(**ROWS)))


def test_an_interrupt_within_a_step_is_not_hidden(tmp_path, monkeypatch):
    def interrupt(self, *args):
        self._jitted(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr("lstm_jax.train.program.Program.__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(**ROWS, checkpoint=tmp_path)


def test_a_finished_fit_is_read_and_continued(tmp_path):
    options = dict(ROWS, checkpoint=tmp_path)
    first = fit(**options)
    calls = []
    again = fit(**options, progress=calls.append)
    assert_equal(without_compiles(again), without_compiles(first))
    assert not calls
    longer = fit(**options | {"epochs": 7})
    straight = fit(**ROWS | {"epochs": 7})
    assert_equal(without_compiles(longer), without_compiles(straight))
    with pytest.raises(ValueError, match="epochs: expected at least those that"):
        fit(**options)


def test_what_early_stopping_ended_stays_ended(tmp_path):
    options = dict(ROWS, epochs=40, early_stopping=2, checkpoint=tmp_path)
    first = fit(**options)
    assert first.epochs < 40
    assert_equal(without_compiles(fit(**options | {"epochs": 60})), without_compiles(first))


@pytest.mark.parametrize(
    "change, name",
    [
        (dict(batch_size=5), "batch_size is 4 and not 5"),
        (dict(buckets=1), "buckets"),
        (dict(key=jax.random.key(1)), "key"),
        (dict(optimizer=optax.adam(0.2)), "model, loss or optimizer"),
        (dict(optimizer=optax.sgd(0.1)), "optimizer"),
        (dict(loss="mae"), "model, loss or optimizer"),
        (dict(model=mean_model(noise=0.2)), "model, loss or optimizer"),
        (dict(model=mean_model(outputs=2), loss="cross_entropy"), "params"),
        (dict(data=DATA.take(np.arange(39))), "data"),
        (dict(data=train.Dataset(*ragged(40, seed=5))), "data"),
        (dict(validation=HELD_OUT.take(np.arange(8))), "validation"),
        (dict(validation=None, metrics=()), "validation"),
        (dict(metrics=["mae"]), "metrics"),
        (dict(early_stopping=2), "early_stopping"),
    ],
)
def test_another_training_is_refused(change, name, tmp_path):
    fit(**dict(ROWS, epochs=1), checkpoint=tmp_path)
    if change.get("loss") == "cross_entropy":
        classes = train.Dataset(DATA.inputs, np.zeros(40, int))
        change = dict(change, data=classes, validation=None, metrics=())
    with pytest.raises(CheckpointError, match=f"whose {name}"):
        fit(**dict(ROWS, epochs=1) | change, checkpoint=tmp_path)


def test_another_version_may_compute_the_same_in_another_way(tmp_path):
    fit(**dict(ROWS, epochs=1), checkpoint=tmp_path)
    file = tmp_path / "fit.json"
    content = json.loads(file.read_text())
    content["model, loss or optimizer"][:2] = [0, "0.1.2"]
    file.write_text(json.dumps(content))
    fit(**dict(ROWS, epochs=2), checkpoint=tmp_path)


def test_folders_that_are_not_ours(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="expected a new folder or one of fit"):
        fit(**ROWS, checkpoint=tmp_path)
    left = tmp_path / "left"
    left.mkdir()
    (left / "fit.json.0123abcd.lstm_jax-part").write_text("{")  # by a process that was killed
    fit(**dict(ROWS, epochs=1), checkpoint=left)
    (left / "fit.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"fit.json cannot be read"):
        fit(**ROWS, checkpoint=left)
    with pytest.raises(CheckpointError, match="not written"):
        fit(**ROWS, checkpoint=tmp_path / "notes.txt" / "fit")


def test_garbage_in_the_padding_is_not_looked_at(tmp_path):
    for fill in (0.0, np.nan, 7.0):
        rows, targets = ragged(12)
        wide = np.full((12, 6, 2), fill, np.float32)
        for i, row in enumerate(rows):
            wide[i, : len(row)] = row
        data = train.Dataset(wide, targets, lengths=[len(row) for row in rows])
        fit(MODEL, data, optimizer=OPTIMIZER, checkpoint=tmp_path)


SCRIPT = """
    import sys, jax, numpy as np, optax
    import lstm_jax as lj
    from lstm_jax import train

    kind, folder = sys.argv[1:]
    rng = np.random.default_rng(0)
    if kind == "rows":
        rows = [rng.normal(size=(rng.integers(1, 9), 2)) for _ in range(120)]
        data = train.Dataset(rows, [row.sum() for row in rows])
        cell = lj.dropout(lj.lstm(5), 0.2)
        model = train.network(cell, train.inputs.numbers(2), train.heads.regression())
        options = dict(loss="mse", metrics=["r2"], batch_size=12)
    else:
        data = train.Streams(rng.integers(0, 5, 2000), window=5)
        model = train.network(lj.lstm(5), train.inputs.embedding(5, 3),
                              train.heads.classification(5), reads="every", dropout=0.2)
        options = dict(loss="cross_entropy", metrics=["perplexity"], batch_size=8)
    print("ready", flush=True)
    fitted = train.fit(model, data, validation=data, optimizer=optax.adam(0.01), epochs=30,
                       key=jax.random.key(0), checkpoint=None if folder == "none" else folder,
                       seconds_between_checkpoints=0.05, progress=False, **options)
    leaves = jax.tree.leaves((fitted.params, fitted.last))
    print(fitted.history, fitted.best_epoch, [np.asarray(leaf).tobytes().hex() for leaf in leaves])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rows", "streams"])
def test_processes_killed_at_random_moments(kind, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    root = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": root,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_ENABLE_COMPILATION_CACHE": "true",
    }
    command = [sys.executable, str(script), kind]

    def start(folder, seed):
        return subprocess.Popen(
            [*command, str(folder)], stdout=subprocess.PIPE, text=True,
            env={**environment, "PYTHONHASHSEED": str(seed)},
        )  # fmt: skip

    straight = start("none", 0)
    assert straight.stdout.readline().strip() == "ready"
    expected = straight.stdout.read()
    folder, rng, kills = tmp_path / "fit", np.random.default_rng(0), 0
    for attempt in range(40):
        process = start(folder, attempt)
        wanted = (latest_step(folder) or 0) + rng.integers(1, 150)
        while kills < 3 and process.poll() is None and (latest_step(folder) or 0) < wanted:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        if kills < 3 and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        output, _ = process.communicate()
        assert process.returncode == 0
        assert output.removeprefix("ready\n") == expected
        break
    assert kills >= 3


@pytest.mark.slow
def test_cells_have_the_same_program_in_all_processes(tmp_path):
    """A checksum that depends on the process would refuse to go on."""
    code = """
        import jax, numpy as np, optax
        import lstm_jax as lj
        from lstm_jax import train
        from tests.train.finite import fit
        rows = np.random.default_rng(0).normal(size=(8, 5, 2)).astype(np.float32)
        for name in ("lstm", "min_gru", "attention"):
            cell = lj.dropout(lj.cells.make(name, 4), 0.1)
            model = train.network(cell, train.inputs.numbers(2), train.heads.regression())
            fit(model, train.Dataset(rows, np.zeros(8)), epochs=1, optimizer=optax.adamw(0.1),
                checkpoint=f"FOLDER/{name}")
    """
    code = textwrap.dedent(code).replace("FOLDER", str(tmp_path))
    root = str(Path(__file__).parents[2])
    for seed in (1, 2):
        environment = {**os.environ, "PYTHONPATH": root, "PYTHONHASHSEED": str(seed),
                       "JAX_PLATFORMS": "cpu"}  # fmt: skip
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
