"""Several processes in one run folder."""

import json
import types

import pytest
from rich.console import Console

from experiments.__main__ import main
from experiments.harness.run import run_folder, sharing
from experiments.harness.run.jobs import comparison_jobs
from experiments.harness.run.progress import Progress
from experiments.memory import every_cell
from tests.experiments.test_every_cell import TINY

pytest.importorskip("fcntl")
COMMAND = ["every_cell", "--cells", "rnn", "irnn", "--copying", "3", "--adding", "6", "--steps",
           "2", "--every", "2", "--seeds", "1", "--learning-rate", "0.001",
           "--parameters", "400"]  # fmt: skip


@pytest.fixture
def jobs():
    return [job for setting in every_cell.settings(TINY) for job in comparison_jobs(setting)]


@pytest.fixture
def trained(monkeypatch):
    """The jobs that were trained, in order; training takes no time."""
    names = []

    def run_job(job, programs, path, progress, **_):
        names.append(job.name)
        run_folder.write_json(path / "result.json", {"of": job.name})
        for act in before_next:
            act()

    before_next = []
    monkeypatch.setattr(sharing, "Programs", lambda job: None)
    monkeypatch.setattr(sharing, "run_job", run_job)
    return types.SimpleNamespace(names=names, before_next=before_next)


def run(jobs, path):
    return sharing.run_shared(jobs, path, Progress(jobs, Console(quiet=True)))


def test_jobs_of_others_are_left_to_them(jobs, trained, tmp_path):
    with sharing.claim(tmp_path / jobs[1].folder) as claimed:
        assert claimed
        assert run(jobs, tmp_path) is None
    others = [job.name for job in jobs if job is not jobs[1]]
    assert trained.names == others
    # The other process has ended without a result, as if it was killed.
    assert run(jobs, tmp_path) == [{"of": job.name} for job in jobs]
    assert trained.names == [*others, jobs[1].name]
    assert run(jobs, tmp_path) == [{"of": job.name} for job in jobs]
    assert len(trained.names) == len(jobs)


def test_a_job_that_is_released_meanwhile_is_continued(jobs, trained, tmp_path):
    claim = sharing.claim(tmp_path / jobs[0].folder)
    claim.__enter__()
    trained.before_next.append(lambda: len(trained.names) == 3 and claim.__exit__(None, None, None))
    assert run(jobs, tmp_path) is not None
    assert trained.names[-1] == jobs[0].name and len(trained.names) == len(jobs)


def start(path, config, *, shared):
    with run_folder.open_folder(path, config, shared=shared):
        pass


def test_a_folder_is_shared_only_by_those_that_say_so(tmp_path):
    path = tmp_path / "run"
    with run_folder.open_folder(path, {"a": 1}, shared=True):
        start(path, {"a": 1}, shared=True)
        with pytest.raises(run_folder.RunFolderError, match="in use"):
            start(path, {"a": 1}, shared=False)
        with pytest.raises(run_folder.RunFolderError, match="a = 1"):
            start(path, {"a": 2}, shared=True)
    with (
        run_folder.open_folder(path, {"a": 1}),
        pytest.raises(run_folder.RunFolderError, match="in use"),
    ):
        start(path, {"a": 1}, shared=True)
    assert len(run_folder.read_json(path / "environment.json")) == 3


@pytest.mark.parametrize("other", ["overwrite", "sweep"])
def test_sharing_excludes(other, capsys):
    assert main([*COMMAND, "--share", f"--{other}"]) == 2
    assert f"share: expected it without {other}, got both" in capsys.readouterr().err


@pytest.mark.slow
def test_the_last_process_writes_the_report_of_all(tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert main([*COMMAND, "--out", str(alone)]) == 0
    (first, *_) = sorted(file.parent.relative_to(alone) for file in alone.glob("*/*/result.json"))
    command = [*COMMAND, "--out", str(shared), "--share"]
    with sharing.claim(shared / first):
        (shared / "config.json").write_bytes((alone / "config.json").read_bytes())
        (shared / "made_from.json").write_bytes((alone / "made_from.json").read_bytes())
        (shared / "lock").touch()
        assert main(command) == 0
        assert not (shared / "report.md").exists()
    assert main(command) == 0
    assert (shared / "report.md").exists()
    expected, found = (
        [
            json.loads(file.read_text())["test"]
            for file in sorted(path.glob("*/*/result.json"))
        ]
        for path in (alone, shared)
    )  # fmt: skip
    assert found == expected and len(found) == 4
    # Another start without --share, now that all is done, removes what the run wrote.
    assert main([*COMMAND, "--out", str(shared), "--overwrite"]) == 0
    assert not [*shared.glob("*/*/lock"), *shared.glob("turn.lock")]
