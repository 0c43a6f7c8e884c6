"""Processes that train together find what one process finds, also after one of them was killed."""

import json

import pytest

from experiments.harness import hosts
from tests.conftest import flags


@pytest.fixture(autouse=True)
def quick_compiles(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", " ".join(flags))


def compare(capsys, *options):
    code = hosts.main([str(option) for option in options])
    output = capsys.readouterr()
    assert code == 0, output
    return output.out


@pytest.mark.parametrize(
    "data, devices", [("streams", 1), pytest.param("rows", 2, marks=pytest.mark.slow)]
)
def test_two_processes_are_one(data, devices, capsys):
    options = ["--processes", 2, "--data", data, "--devices", devices, "--epochs", 1]
    output = compare(capsys, *options)
    assert f"2 processes on {2 * devices}; 16 rows per batch" in output
    assert output.count("expected at most 1e-06: equal") == 1


@pytest.mark.slow
@pytest.mark.parametrize("data, restart", [("rows", 4), ("streams", 4), ("streams", 2)])
def test_four_processes_of_which_one_is_killed(data, restart, capsys, tmp_path):
    folder = tmp_path / "job"
    output = compare(
        capsys, "--processes", 4, "--data", data, "--epochs", 3, "--kill-one-at", 22,
        "--restart-with", restart, "--folder", folder,
    )  # fmt: skip
    assert "process 3 ended with signal SIGKILL" in output
    assert "expected 0: equal" in output if restart == 4 else "1e-06" in output
    assert "started again from step" in output
    assert len([entry for entry in (folder / "checkpoint_killed").iterdir() if entry.is_dir()]) == 1


def test_numbers_that_differ_are_an_error(monkeypatch, capsys, tmp_path):
    def found(self, name, processes, checkpoint, kill_one_at=0):
        loss = 0.5 + 1e-5 * (processes > 1)
        return json.loads(json.dumps({"history": {"loss": [loss]}, "params": [1.0]}))

    monkeypatch.setattr(hosts.Job, "run", found)
    assert hosts.main(["--folder", str(tmp_path / "job")]) == 1
    assert "NOT EQUAL" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, message",
    [(["--processes", "1"], "processes: expected 2 or more"), (["--devices", "0"], "devices")],
)
def test_wrong_options(options, message, capsys):
    assert hosts.main(options) == 2
    assert message in capsys.readouterr().err
