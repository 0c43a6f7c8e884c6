"""The sources of a run: a run folder made from other sources is refused, with the reason."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lstm_jax as lj
from experiments.__main__ import main
from experiments.harness.run import event_files, provenance, run_folder, runner, versions
from lstm_jax import tasks
from tests.conftest import flags

ROOT = Path(__file__).parents[2]
TASK = """
import jax, jax.numpy as jnp, numpy as np
from pathlib import Path
from helper_of_sources import SCALE
from lstm_jax import tasks

def mine():
    task = tasks.make("adding", length=4)
    def loss(outputs, batch):
        return SCALE * task.loss(outputs, batch)
    return task._replace(name="mine", loss=loss)

tasks.registry["mine_of_sources"] = mine
"""


@pytest.fixture
def run_own_task(tmp_path, monkeypatch):
    """A task's file that imports its neighbour; returns the command that trains on it."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "my_task.py").write_text(TASK)
    (folder / "helper_of_sources.py").write_text("SCALE = 1.0\n")
    options = "--cells rnn --seeds 1 --every 10 --parameters 40 --seconds 0.01"
    load = f"--load {folder / 'my_task.py'} --tasks mine_of_sources --learning-rate 0.01"
    monkeypatch.setattr(tasks, "registry", dict(tasks.registry))

    def run(*more):
        return main(
            ["suite", *options.split(), *load.split(), "--out", str(tmp_path / "run"), *more]
        )

    run.folder, run.out = folder, tmp_path / "run"
    return run


@pytest.mark.slow
def test_a_loaded_file_that_changed_is_refused_and_named(run_own_task, capsys, monkeypatch):
    assert run_own_task() == 0
    before = (run_own_task.out / "results.json").read_bytes()
    for name, text in (
        ("my_task.py", TASK.replace("SCALE *", "2 * SCALE *")),
        ("helper_of_sources.py", "SCALE = 3.0\n"),
    ):
        file = run_own_task.folder / name
        original = file.read_text()
        file.write_text(text)
        capsys.readouterr()
        assert run_own_task() == 1
        output, error = capsys.readouterr()
        assert f"the loaded file {name}, which changed" in error and len(error.splitlines()) == 1
        assert "--out" in error and "--overwrite" in error
        assert "test MSE" not in output  # no old table
        assert (run_own_task.out / "results.json").read_bytes() == before
        file.write_text(original)
    with monkeypatch.context() as patch:
        patch.setattr(runner, "Programs", None)  # nothing is trained
        assert run_own_task() == 0
    (run_own_task.folder / "helper_of_sources.py").write_text("SCALE = 3.0\n")
    assert run_own_task("--overwrite") == 0
    (start,) = json.loads((run_own_task.out / "environment.json").read_text())
    assert [name.split()[0] for name in start["loaded"]] == ["helper_of_sources.py", "my_task.py"]


def made(**changes):
    base = {
        "version": "0.1.0", "revision": 40 * "a", "code": {"lstm_jax/cell.py": "1", "x.py": "1"},
        "loaded": {"a.py": "0123456789"}, "data": {"adding(4)": "5" * 64},
    }  # fmt: skip
    return base | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"revision": 40 * "b"}, None),  # a commit that leaves the code as it is
        ({"revision": 40 * "b", "code": {"lstm_jax/cell.py": "2", "x.py": "1"}},
         "lstm_jax 0.1.0 at revision aaaaaaaaaaaa, and this is lstm_jax 0.1.0 at revision "
         "bbbbbbbbbbbb, of which lstm_jax/cell.py changed"),
        ({"code": {"lstm_jax/cell.py": "2", "y.py": "1"}}, "cell.py changed and 2 more files"),
        ({"version": "0.2.0"}, "lstm_jax 0.1.0 at .*, and this is lstm_jax 0.2.0"),
        ({"revision": 40 * "a" + "-dirty", "code": {"x.py": "1"}},
         "aaaaaaaaaaaa with the code .*, of which lstm_jax/cell.py is gone"),
        ({"loaded": {}}, r"the loaded file a.py, which is gone \(SHA-256 01234567, now -\)"),
        ({"loaded": {"a.py": "0123456789", "b.py": "2"}}, "the loaded file b.py, which is new"),
        ({"data": {"adding(4)": "6" * 64}}, r"data of adding\(4\), which changed"),
    ],
)  # fmt: skip
def test_what_changed_is_said(tmp_path, changes, message):
    with run_folder.open_folder(tmp_path, {"steps": 1}, made()):
        pass
    before = (tmp_path / "environment.json").read_bytes()
    if message is None:
        with run_folder.open_folder(tmp_path, {"steps": 1}, made(**changes)):
            return
    with (
        pytest.raises(
            run_folder.RunFolderError, match=f"was made from .*{message}.*--out, or --overwrite"
        ),
        run_folder.open_folder(tmp_path, {"steps": 1}, made(**changes)),
    ):
        pass
    assert (tmp_path / "environment.json").read_bytes() == before
    with run_folder.open_folder(tmp_path, {"steps": 1}, made(**changes), overwrite=True):
        assert run_folder.read_json(tmp_path / "made_from.json") == made(**changes)


def test_a_run_that_noted_nothing_is_refused(tmp_path):
    """Such as older versions made; ``compare`` and ``load_cell`` still read them."""
    shutil.copytree(ROOT / "experiments" / "results" / "recall", tmp_path / "old")
    config = run_folder.read_json(tmp_path / "old" / "config.json")
    with (
        pytest.raises(
            run_folder.RunFolderError, match="an lstm_jax that did not note its code, and this"
        ),
        run_folder.open_folder(tmp_path / "old", config),
    ):
        pass
    assert main(["compare", str(tmp_path / "old")]) == 0


def test_the_code_that_counts_is_all_but_what_shows_results():
    code = provenance.file_digests("experiments")
    assert {
        "lstm_jax/core/cell.py",
        "lstm_jax/cells/lstm.py",
        "experiments/harness/run/runner.py",
    } <= code.keys()
    assert not any(name.startswith(f"experiments/{shows}") for name in code
                   for shows in provenance.DISPLAY_ONLY)  # fmt: skip
    assert all((ROOT / "experiments" / shows).exists() for shows in provenance.DISPLAY_ONLY)
    assert "benchmarks/harness/work.py" in provenance.file_digests("benchmarks")


def test_other_data_are_another_sum():
    def task(train=0.0, held_out=0.0):
        made, array = tasks.make("adding", length=4), np.full(3, train)

        def sample(key, count):
            batch = made.sample(key, count)
            return batch._replace(xs=batch.xs + array[0])

        test = made.test._replace(xs=made.test.xs + held_out)
        return made._replace(sample=sample, test=test)

    plain = provenance.data_digest(task())
    assert plain == provenance.data_digest(task())
    assert provenance.data_digest(task(held_out=1.0)) != plain
    digits = tasks.make("digits")
    assert provenance.data_digest(digits) == provenance.data_digest(tasks.make("digits"))


def test_training_data_that_changed_are_another_sum():
    import jax.numpy as jnp

    def task(value):
        made, stored = tasks.make("adding", length=4), jnp.full((5, 2), value)

        def sample(key, count):
            batch = made.sample(key, count)
            return batch._replace(xs=batch.xs * stored[:4, None])

        return made._replace(sample=sample)

    assert provenance.data_digest(task(1.0)) != provenance.data_digest(task(2.0))


@pytest.mark.slow
def test_overwrite_removes_what_the_run_wrote_and_nothing_else(tmp_path, capsys):
    options = "--lengths 4 --cells rnn --seeds 1 --parameters 40 --steps 10 --every 10"
    command = [
        "adding",
        *options.split(),
        "--learning-rate",
        "0.01",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main([*command, "--tensorboard"]) == 0
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    written = {path for path in run.rglob("*") if path.is_file()}
    job = run / "adding_4" / "rnn"
    (elsewhere / "sub").mkdir(parents=True)
    own = [
        elsewhere / "results.json", elsewhere / "sub" / "metrics.jsonl", run / "thesis.txt",
        run / "mine.png", run / "mine" / "results.json", job / "analysis.npz",
        job / "checkpoints" / "notes.txt", job / "tensorboard" / "notes.txt",
    ]  # fmt: skip
    for path in own:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (run / "linked").symlink_to(elsewhere)
    (job / "model" / "linked").symlink_to(elsewhere)
    with run_folder.open_folder(run, {"steps": 2}, made(), overwrite=True):
        found = {path for path in run.rglob("*") if path.is_file() and path in written}
        kept = {"config.json", "environment.json", "lock", "made_from.json"}
        assert {path.name for path in found} == kept
        assert run_folder.read_json(run / "config.json") == {"steps": 2}
        assert len(run_folder.read_json(run / "environment.json")) == 1
    assert all(path.read_text() == "mine" for path in own)
    assert (run / "linked").is_symlink() and (job / "model" / "linked").is_symlink()


def test_event_files_are_made_anew_beside_what_others_put_there(tmp_path):
    pytest.importorskip("tensorboardX")
    from experiments.harness.run.jobs import comparison_jobs
    from experiments.memory import adding

    config = adding.Config(lengths=(4,), cells=("rnn",), seeds=1, parameters=40, steps=10, every=10,
                           learning_rate=(0.01,))  # fmt: skip
    (job,) = comparison_jobs(adding.settings(config)[0])
    folder = tmp_path / "tensorboard"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "events.out.tfevents.1.old").write_text("old")
    event_files.Events(job, tmp_path, []).close()
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "events.out.tfevents.1.old").exists()


def test_versions_are_of_what_is_there(tmp_path):
    assert versions.package_version("lstm_jax") == lj.__version__
    assert versions.package_version("numpy") == np.__version__
    assert versions.package_version("no-such-package") is None


def git(folder, *command):
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)


CHILD = """
import sys
from experiments.harness.run import versions
print(versions.git_revision(), versions.package_version("lstm_jax"))
sys.exit(__import__("experiments.__main__").__main__.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="links to all packages")
def test_a_checkout_that_is_not_installed_runs_and_knows_its_code(tmp_path):
    """A copy of the code beside installed packages without lstm_jax: inside another project's git
    repository, in one of its own, and with changes."""
    here, site, outer = tmp_path / "outer" / "copy", tmp_path / "site", tmp_path / "outer"
    skipped = shutil.ignore_patterns("__pycache__", "results")
    for name in ("lstm_jax", "experiments", "benchmarks"):
        shutil.copytree(ROOT / name, here / name, ignore=skipped)
    site.mkdir()
    for entry in Path(np.__file__).parents[1].iterdir():
        if "lstm_jax" not in entry.name:
            (site / entry.name).symlink_to(entry)
    git(tmp_path, "init", "-q", str(outer))
    (outer / "theirs.txt").write_text("theirs")
    git(outer, "add", "theirs.txt")
    git(outer, "commit", "-qm", "theirs")

    def run(*more):
        options = "--lengths 4 --cells rnn --seeds 1 --parameters 40 --steps 10 --every 10"
        command = ["adding", *options.split(), "--learning-rate", "0.01", "--out", "run", *more]
        return subprocess.run(
            [sys._base_executable, "-S", "-c", CHILD, *command],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{site}", "JAX_PLATFORMS": "cpu",
                 "XLA_FLAGS": " ".join(flags)},
        )  # fmt: skip

    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"None {lj.__version__}\n")  # not the other project's revision
    (start,) = run_folder.read_json(tmp_path / "run" / "environment.json")
    assert start["lstm_jax"] == lj.__version__ and start["git"] is None
    file = here / "lstm_jax" / "cells" / "rnn.py"
    file.write_text(file.read_text() + "\n# another cell\n")
    git(tmp_path, "init", "-q", str(here))
    git(here, "add", ".")
    git(here, "commit", "-qm", "ours")
    done = run()
    assert done.returncode == 1 and "test MSE" not in done.stdout
    revision = done.stdout.split()[0]
    assert len(revision) == 40
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert f"this is lstm_jax {lj.__version__} at revision {revision[:12]}" in line
    assert "of which lstm_jax/cells/rnn.py changed" in line


def test_nothing_is_written_before_all_is_known(tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no version")

    monkeypatch.setattr(versions, "package_version", fails)
    with (
        pytest.raises(RuntimeError, match="no version"),
        run_folder.open_folder(tmp_path / "new", {}, made()),
    ):
        pass
    assert not (tmp_path / "new").exists()


def test_a_benchmark_of_other_code_is_refused(tmp_path, capsys, monkeypatch):
    from benchmarks.harness import conduct as benchmarks_conduct
    from benchmarks.harness.config import BenchmarkConfig

    chosen = BenchmarkConfig(cells=(), peers=(), latency=False, memory=False, allocator=False)
    monkeypatch.setattr(benchmarks_conduct, "run_jobs", lambda *_: None)
    monkeypatch.setattr(benchmarks_conduct.report, "collect", lambda *_: {})
    monkeypatch.setattr(benchmarks_conduct.report, "write_report", lambda *_: None)
    monkeypatch.setattr(provenance, "file_digests", lambda program: {f"{program}/a.py": "1"})
    assert benchmarks_conduct.conduct(chosen, tmp_path / "b", overwrite=False) == 0
    monkeypatch.setattr(provenance, "file_digests", lambda program: {f"{program}/a.py": "2"})
    assert benchmarks_conduct.conduct(chosen, tmp_path / "b", overwrite=False) == 1
    assert "benchmarks/a.py changed" in capsys.readouterr().err
