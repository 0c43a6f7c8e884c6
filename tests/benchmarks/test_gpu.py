"""The GPU command, on a CPU: processes, tests and peers that fail, and the report."""

import json
import os
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from benchmarks import peers
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import cells, environment, measuring, methods, processes, seeds, suite, tables
from benchmarks.gpu.processes import Unit
from benchmarks.harness import build, work
from benchmarks.peers import cudnn_lstm


@pytest.fixture(autouse=True)
def precision():
    """Restores the precision, which the sections set for their whole process."""
    before = jax.config.jax_default_matmul_precision
    yield
    jax.config.update("jax_default_matmul_precision", before)


def python(name, lines):
    """A unit that runs Python code, which writes to ``records``."""
    head = "import json, sys, time\nrecords = open(sys.argv[1], 'a', buffering=1)\n"
    write = "def write(**record): records.write(json.dumps(record) + '\\n')\n"
    return Unit(name, (sys.executable, "-c", head + write + lines))


def run(units, folder, seconds=60.0, workers=2, **options):
    seen = []
    statuses = processes.run(
        units,
        folder,
        root=command.ROOT,
        env=os.environ,
        workers=workers,
        deadline=time.monotonic() + seconds,
        on_record=lambda name, record: seen.append((name, record)),
        **options,
    )
    return statuses, seen


# --- Processes. --------------------------------------------------------------------------------


@pytest.mark.slow
def test_processes_that_die_or_hang_leave_what_they_wrote(tmp_path):
    units = [
        python("good", "write(n=1); write(n=2)"),
        python("bad", "write(n=3); raise SystemExit('no memory left')"),
        python("endless", "write(n=4); records.write('{\"half'); time.sleep(600)"),
        python("late", "write(n=5)"),
    ]
    statuses, seen = run(units[:2], tmp_path / "a")
    assert statuses["good"] == processes.DONE
    assert statuses["bad"].startswith("died: exit code 1") and "no memory left" in statuses["bad"]
    assert sorted((name, record["n"]) for name, record in seen) == [
        ("bad", 3), ("good", 1), ("good", 2)
    ]  # fmt: skip
    statuses, seen = run(units[2:], tmp_path / "b", seconds=3.0, workers=1)
    assert statuses == {"endless": processes.KILLED, "late": processes.NOT_STARTED}
    assert seen == [("endless", {"n": 4})]


# --- Tests. ------------------------------------------------------------------------------------

TESTS = '''
import pytest

def test_right():
    pass

def test_wrong():
    number = 41
    assert number == 42, "not the answer"

@pytest.mark.skip(reason="not today")
def test_skipped():
    pass

@pytest.fixture
def broken():
    raise ValueError("no fixture")

def test_without_its_fixture(broken):
    pass
'''  # fmt: skip


def units_of(path):
    given = [(str(path), "-p", "no:cacheprovider", "--rootdir", str(path.parent))]
    return suite.make_units(given)


@pytest.mark.slow
def test_each_outcome_is_known_by_name_and_failures_in_full(tmp_path):
    file = tmp_path / "tests" / "test_some.py"
    file.parent.mkdir()
    file.write_text(TESTS)
    printed = []
    outcomes = suite.Outcomes(printed.append)
    statuses, seen = run(units_of(file), tmp_path / "units")
    for name, record in seen:
        outcomes.add(name, record)
    assert set(statuses.values()) == {processes.DONE}
    summary = outcomes.summary()
    assert summary["ran"] == 3 and list(summary["passed"]) == ["test_some.py::test_right"]
    assert summary["failed"] == ["test_some.py::test_wrong",
                                 "test_some.py::test_without_its_fixture"]  # fmt: skip
    assert "not today" in summary["skipped"]["test_some.py::test_skipped"]
    assert summary["not_run"] == summary["running_at_the_end"] == []
    assert len(printed) == 2
    assert "number = 41" in printed[0] and "not the answer" in printed[0]
    assert "no fixture" in outcomes.failures()["test_some.py::test_without_its_fixture"]


@pytest.mark.slow
def test_a_file_that_cannot_be_imported_is_a_failure(tmp_path):
    file = tmp_path / "tests" / "test_broken.py"
    file.parent.mkdir()
    file.write_text("import no_such_module\n")
    outcomes = suite.Outcomes(lambda text: None)
    statuses, seen = run(units_of(file), tmp_path / "units")
    for name, record in seen:
        outcomes.add(name, record)
    assert "no_such_module" in outcomes.failures()["test_broken.py"]
    assert all(status.startswith("died: exit code 2") for status in statuses.values())


def test_tests_that_had_no_time_are_named():
    outcomes = suite.Outcomes(lambda text: None)
    passed = {"outcome": "passed", "seconds": 0.1, "text": ""}
    for record in (
        {"collected": ["a", "b", "c"]},
        {"started": "a"},
        {"test": "a", **passed},
        {"started": "b"},
    ):
        outcomes.add("unit", record)
    summary = outcomes.summary()
    assert (summary["running_at_the_end"], summary["not_run"]) == (["b"], ["c"])
    outcomes.add("unit", {"test": "a", "outcome": "failed", "seconds": 0, "text": "teardown"})
    assert outcomes.summary()["failed"] == ["a"] and outcomes.summary()["ran"] == 1


def test_what_runs_on_a_gpu_is_there(monkeypatch):
    import lstm_jax as lj

    given = suite.pytest_arguments(small=False)
    assert {Path(one[0]).exists() for one in given} == {True}
    assert set(suite.MAIN_CELLS) <= lj.cells.registry.keys() and len(suite.MAIN_CELLS) == 10
    assert next(one[2] for one in given if "-k" in one) == "test_law[lstm-"
    monkeypatch.setenv("XLA_FLAGS", "--xla_mine=1")
    env = suite.environment(on_gpu=True)
    assert env["JAX_PLATFORMS"] == "cuda,cpu"
    assert env["JAX_DEFAULT_MATMUL_PRECISION"] == "highest"
    assert env["XLA_FLAGS"].split() == ["--xla_mine=1", *suite.QUICK_COMPILES]


# --- Measurements. -----------------------------------------------------------------------------

TINY = cells.Sizes(("2x3x4x5",), rounds=3, budget=0.0)


def collected(run, *given, seconds=600.0):
    records = []
    run(*given, records.append, measuring.Deadline(seconds))
    return json.loads(json.dumps(records))  # as they are written


@pytest.mark.slow
def test_cells_are_compared_and_timed_by_every_method(monkeypatch):
    monkeypatch.setattr(work, "CELLS", ("lstm",))
    head, *records = collected(cells.run, TINY)
    assert "requires a GPU" in head["absent"]["cudnn"] and "flax" in head["versions"]
    assert [(r["dtype"], r["program"]) for r in records] == [
        ("float32", "both"), ("float32", "forward"),
        ("bfloat16", "both"), ("bfloat16", "forward"),
    ]  # fmt: skip
    for record in records:
        assert record["errors"] == {}
        columns = record["columns"]
        assert {"lstm_jax, deferred", "lstm_jax, scan", "flax"} <= columns.keys()
        assert all(len(column["ms"]) == 3 for column in columns.values())
        limit = cells.TOLERANCES[record["dtype"]]
        assert columns["flax"]["distances"]["outputs"] <= limit["outputs"]
        assert columns["flax"]["distances"]["w_h"] <= limit["weights"]
    assert records[0]["columns"]["flax"]["distances"]["outputs"] < 1e-5


class Broken:
    """Ours, except for the given changes."""

    def __init__(self, ready, what):
        self.ready, self.what = ready, what

    def forward(self):
        if self.what == "late":
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 GB")
        return self.ready.forward()

    def both(self):
        return self.ready.both()

    def outputs(self):
        return self.ready.outputs() + (0.1 if self.what == "wrong" else 0.0)

    def gradients(self):
        return self.ready.gradients()


@pytest.mark.slow
def test_a_contender_that_fails_is_named_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(work, "CELLS", ("gru",))
    makers = cells.contender_builders

    def no_memory():
        raise RuntimeError("RESOURCE_EXHAUSTED: no room")

    def with_bad_ones(given, dtype, peers):
        made = makers(given, dtype, ())
        ours = made["lstm_jax, scan"]
        wrong = {"wrong": lambda: Broken(ours(), "wrong"), "late": lambda: Broken(ours(), "late")}
        return {**made, "flax": no_memory, **wrong}

    monkeypatch.setattr(cells, "contender_builders", with_bad_ones)
    _, both, forward = collected(cells.run, TINY._replace(dtypes=("float32",)))
    assert set(both["columns"]) == {"lstm_jax, deferred", "lstm_jax, scan", "late"}
    assert both["errors"]["flax"].startswith("out of memory: RESOURCE_EXHAUSTED: no room")
    assert both["errors"]["wrong"].startswith("Disagreement: wrong: outputs differs from ours")
    assert set(forward["columns"]) == {"lstm_jax, deferred", "lstm_jax, scan"}
    assert forward["errors"]["late"].startswith("out of memory")


def test_what_had_no_time_is_said():
    _, *records = collected(cells.run, TINY, seconds=0.0)
    assert len(records) == 4 and {record["left_out"] for record in records} == {"time was up"}
    records = collected(methods.run, methods.SMALL, seconds=0.0)
    assert [record["cell"] for record in records] == list(methods.CELLS)


def test_nan_is_a_disagreement():
    right = jnp.arange(4.0)
    assert measuring.require_same("same", "outputs", right, right, 0.0) == 0.0
    with pytest.raises(build.Disagreement, match="liar: outputs differs"):
        measuring.require_same("liar", "outputs", right.at[1].set(jnp.nan), right, 1e-4)
    with pytest.raises(build.Disagreement, match=r"expected shape \(3,\), got \(4,\)"):
        measuring.require_same("liar", "outputs", right, right[:3], 1e-4)


@pytest.mark.slow
def test_methods_stand_beside_scan(monkeypatch):
    assert measuring.eligible_methods(methods.CELLS["mlstm"](8), 8) == ["parallel", "scan"]
    monkeypatch.setattr(methods, "CELLS", {"min_gru": methods.CELLS["min_gru"]})
    records = collected(methods.run, methods.SMALL)
    assert [(r["cell"], r["program"], set(r["columns"])) for r in records] == [
        ("min_gru", "both", {"associative", "scan"}),
        ("min_gru", "forward", {"associative", "scan"}),
    ]
    assert all(record["errors"] == {} for record in records)


@pytest.mark.slow
def test_seeds_train_side_by_side():
    records = collected(seeds.run, seeds.SMALL._replace(seeds=(2,)))
    assert [record["seeds"] for record in records] == [2] and len(records[0]["ms"]) == 3


def test_cudnn_gets_our_weights():
    """JAX's own reference for that LSTM, with our weights in its layout, computes what ours
    does."""
    given = work.make("lstm", work.Shape(3, 5, 2, 4), 1)
    model = cudnn_lstm.model("lstm", given.layers)
    weights = rnn.unpack_lstm_weights(jnp.asarray(model.params), 2, 4, 1, False)
    zeros, lengths = jnp.zeros((1, 3, 4)), jnp.full(3, 5, jnp.int32)
    xs = jnp.asarray(given.xs.swapaxes(0, 1))
    ys = rnn.lstm_ref(xs, zeros, zeros, *weights, lengths, 2, 4, 1, 0.0, False)[0]
    ours = build.build(peers.OURS, given).outputs()
    np.testing.assert_allclose(np.swapaxes(ys, 0, 1), ours, atol=1e-6)
    (layer,) = model.to_layers(model.params)
    for name, value in layer.items():
        np.testing.assert_array_equal(value, given.layers[0][name])
    with pytest.raises(ValueError, match=r"cell: expected lstm, .* got gru"):
        cudnn_lstm.model("gru", given.layers)


# --- The command. ------------------------------------------------------------------------------

WHERE = {"platform": "gpu", "device": "a card", "card": [{"name": "A100"}], "cudnn": None}
CELLS_RECORDS = [
    {"absent": {"torch": "PyTorch cannot be imported"}, "versions": {}},
    {"cell": "lstm", "dtype": "float32", "shape": "1x2x3x4", "program": "both",
     "columns": {"flax": {"ms": [3.0, 3.0]}, "lstm_jax, deferred": {"ms": [2.0, 2.0]}},
     "errors": {"cudnn": "out of memory: 1 GB"}},
    {"cell": "gru", "dtype": "float32", "shape": "1x2x3x4", "left_out": "time was up"},
]  # fmt: skip
SEED_RECORDS = [
    {"seeds": n, "steps": 5, "length": 6, "batch": 2, "size": 3, "ms": [10.0 * n**0.5]}
    for n in (4, 1)
]


@pytest.fixture
def fake_sections(monkeypatch, tmp_path):
    """Sections that write the given records, or die; and one small test file."""
    file = tmp_path / "tests" / "test_some.py"
    file.parent.mkdir()
    file.write_text(TESTS)
    lines = {
        "environment": f"write(**{WHERE!r})",
        "cells": "".join(f"write(**{record!r})\n" for record in CELLS_RECORDS),
        "methods": "write(absent={}); print('a segfault, say'); sys.exit(9)",
        "seeds": "".join(f"write(**{record!r})\n" for record in SEED_RECORDS),
    }
    monkeypatch.setattr(command, "section_unit", lambda name, *_: python(name, lines[name]))
    units = units_of(file)
    monkeypatch.setattr(suite, "make_units", lambda _: units)
    return lines, tmp_path / "out"


@pytest.mark.slow
def test_the_whole_command_writes_what_each_section_found(fake_sections, capsys):
    lines, out = fake_sections
    assert command.main(["--out", str(out)]) == 1
    results = json.loads((out / "results.json").read_text())
    assert list(results["sections"]) == ["tests", "cells", "methods", "seeds"]
    sections = results["sections"]
    assert sections["tests"]["tests"]["failed"][0] == "test_some.py::test_wrong"
    assert sections["cells"]["records"] == CELLS_RECORDS
    assert "a segfault, say" in sections["methods"]["status"]
    assert sections["seeds"]["status"] == "done"
    assert "not the answer" in (out / "failures.txt").read_text()
    assert "not the answer" in capsys.readouterr().out
    text = (out / "report.md").read_text()
    for line in (
        "| card | name A100 |",
        "| cudnn | not installed |",
        "| failed | 2 |",
        "| LSTM | float32 | 1x2x3x4 | 2.00 | 1.50x 3.00 | out of memory |",
        "| 4 | 1000 | 2.00x |",
    ):
        assert line in text
    assert "Left out: PyTorch cannot be imported." in text
    assert "Not reached in time: gru float32 1x2x3x4." in text

    lines["seeds"] = f"write(**{SEED_RECORDS[1]!r})"
    assert command.main(["--out", str(out), "--sections", "seeds"]) == 0
    later = json.loads((out / "results.json").read_text())["sections"]
    assert later["cells"] == sections["cells"] and len(later["seeds"]["records"]) == 1


def test_without_a_gpu_it_says_so(fake_sections, capsys):
    lines, out = fake_sections
    lines["environment"] = "write(platform='cpu', device='cpu')"
    assert command.main(["--out", str(out)]) == 1
    assert "error: expected a GPU, got cpu; --small rehearses" in capsys.readouterr().out
    assert not out.exists()
    lines["environment"] = "sys.exit('no jax')"
    assert command.main(["--out", str(out)]) == 1
    printed = capsys.readouterr().out
    assert "error: JAX did not start" in printed and "no jax" in printed
    with pytest.raises(SystemExit):
        command.main(["--workers", "0"])


def test_the_environment_is_described():
    found = json.loads(json.dumps(environment.describe()))
    assert found["platform"] == "cpu" and found["jax"] == jax.__version__
    assert {"card", "cuda", "cudnn", "torch", "flax", "jaxlib", "python"} <= found.keys()
    assert tables.format_cell(found["torch"])


@pytest.mark.slow
def test_the_rehearsal_runs(tmp_path):
    assert command.main(["--small", "--out", str(tmp_path)]) == 0
    assert "A rehearsal at small sizes" in (tmp_path / "report.md").read_text()
