"""Studies: the table, its bests and spreads, what is refused, and runs that are killed."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from experiments import __main__ as command
from experiments.harness.report import epochs, study_report, study_summary
from experiments.harness.run import provenance, saved_nets, trials
from experiments.harness.run.study import Column, Entry, Published, Trial
from experiments.harness.run.trial_progress import TrialProgress
from lstm_jax import train
from lstm_jax._internal.errors import ArgumentError
from tests.experiments import tiny_study
from tests.experiments.tiny_study import ERROR

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def main():
    """The command, which knows the tiny study."""
    with pytest.MonkeyPatch.context() as patch:
        loaded = command.load

        def load(name):
            return tiny_study if name == "tiny_study" else loaded(name)

        patch.setitem(command.THEMES, "tiny_study", "general")
        patch.setattr(command, "load", load)
        yield command.main


@pytest.fixture(scope="module")
def finished(main, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["tiny_study", "--out", str(out)]) == 0
    return out


def rows_of(text):
    """The cells of the rows of the first table in Markdown, by entry."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:6]]
    return {row[0]: row[1:] for row in rows}


def test_the_table_has_every_entry_with_the_numbers_of_its_trials(finished):
    test = np.array([5.0, 3.0])
    errors = [np.sqrt(np.mean((test - 3 - 0.1 * seed) ** 2)) for seed in range(3)]
    rows = rows_of((finished / "report.md").read_text())
    assert rows["entry"] == ["kind", "parameters", ERROR, "best epoch", "seeds", "seconds"]
    assert rows["zero"][:3] == ["baseline", "-", f"{np.sqrt((25 + 9) / 2):.2f}"]
    median, low, high = errors[1], min(errors), max(errors)
    net = [f"**{median:.2f} [{low:.2f}, {high:.2f}]**", "4", "3"]
    assert rows["net"][:-1] == ["net", "1", *net]
    assert rows["*oracle (a paper 1997)*"] == ["published", "-", "0.50", "-", "-", "-"]
    assert rows["*rumour (somebody)*"][0] == "reported"
    (study,) = json.loads((finished / "results.json").read_text())["studies"]
    (net,) = [row for row in study["entries"] if row["entry"] == "net"]
    np.testing.assert_allclose(net["scores"][ERROR]["values"], errors)
    for seed, error in enumerate(errors):
        folder = finished / "constants" / "net" / f"seed_{seed}"
        scores = json.loads((folder / "result.json").read_text())["scores"]
        assert scores[ERROR] == pytest.approx(error)


def test_the_report_has_the_split_and_what_the_study_found(finished):
    text = (finished / "report.md").read_text()
    assert "the last two are the test data" in text and "The net says 3.0." in text
    assert "| net | 3.0 |" in text
    assert "![loss by epoch](constants_loss_by_epoch.png)" in text
    assert (finished / "constants_loss_by_epoch.png").read_bytes().startswith(b"\x89PNG")


def test_curves_are_as_long_as_the_longest_trial(finished):
    (study,) = tiny_study.studies(tiny_study.Config())
    planned = trials.plan([study])
    found = {
        trial.folder: json.loads((finished / trial.folder / "result.json").read_text())
        for trial in planned
    }
    results = trials.results_of(study, planned, found, finished)
    curves = epochs.read_curves(results, "net", "history", "loss")
    expected = 1 / np.arange(1, 7)
    for seed, curve in enumerate(curves):
        np.testing.assert_allclose(curve[: 4 + seed], expected[: 4 + seed])
        assert np.isnan(curve[4 + seed :]).all()
    figure = epochs.draw_epochs(results, {"loss": "training loss"})
    (line,) = figure.axes[0].get_lines()
    np.testing.assert_allclose(line.get_ydata(), expected)
    assert figure.axes[0].get_ylabel() == "training loss"


def test_a_part_of_a_trial_has_its_own_folder_key_and_share_of_the_progress(tmp_path):
    shown = []
    trial = Trial(3, tmp_path, jax.random.key(3), lambda *at: shown.append(at))
    parts = [trial.part(f"{n} examples", i, 2) for i, n in enumerate((30, 100))]
    assert [part.folder.name for part in parts] == ["30_examples", "100_examples"]
    assert all(part.folder.is_dir() and part.seed == 3 for part in parts)
    keys = [tuple(jax.random.key_data(part.key)) for part in (trial, *parts)]
    assert len(set(map(str, keys))) == 3
    parts[1].show(0.5, "half")
    event = train.Event(
        epoch=1, epochs=4, batch=5, batches=10, loss=0.25, history={"validation_mae": [0.5]}
    )
    parts[0].progress(event)
    trial.progress(event._replace(fold=3, folds=5))
    assert shown == [
        (0.75, "100 examples, half"),
        (0.1875, "30 examples, epoch 2 of 4: loss 0.25, validation mae 0.5"),
        (0.475, "fold 3 of 5, epoch 2 of 4: loss 0.25, validation mae 0.5"),
    ]


def test_the_bar_ends_full_although_a_trial_began_halfway():
    (study,) = tiny_study.studies(tiny_study.Config(seeds=2))
    planned = trials.plan([study])
    bar = TrialProgress(planned, Console(quiet=True))
    result = {"scores": {}, "seconds": 1.0}
    bar.skip(planned[:1])
    bar.print_result(planned[1], result)
    bar.show(planned[2], 0.0)
    bar.show(planned[2], 0.5, "epoch 3")
    (task,) = bar._bar.tasks
    assert task.total == pytest.approx(0.02 + 0.5 + 1) and task.completed == pytest.approx(0.02)
    assert "trial 3 of 4), epoch 3" in task.description
    bar.show(planned[2], 0.75)
    assert task.completed == pytest.approx(0.02 + 0.25)
    for trial in planned[2:]:
        bar.print_result(trial, result)
    assert task.completed == pytest.approx(task.total)


def test_a_saved_net_comes_back(finished):
    folder = finished / "constants" / "net" / "seed_2"
    assert saved_nets.read_description(folder) == {"epochs": 4}
    params = saved_nets.load_params(folder, {"forecast": jax.ShapeDtypeStruct((), np.float32)})
    assert params["forecast"] == np.float32(3.2)


def test_a_finished_study_shows_its_table_again_without_running(
    finished, main, capsys, monkeypatch
):
    monkeypatch.setattr(trials, "run_trial", None)
    assert main(["tiny_study", "--out", str(finished)]) == 0
    assert "constants: lower is better" in capsys.readouterr().out


def test_dry_run_lists_the_trials_and_which_are_finished(finished, main, capsys, tmp_path):
    assert main(["tiny_study", "--dry-run", "--out", str(finished)]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│ net ")]
    assert row.split("│")[4:6] == ["      3 ", "        3 "]
    assert main(["tiny_study", "--dry-run", "--out", str(tmp_path / "new")]) == 0
    assert "5 trials" in capsys.readouterr().out and not (tmp_path / "new").exists()


def test_another_configuration_and_other_data_are_refused_and_named(finished, main, capsys):
    assert main(["tiny_study", "--out", str(finished), "--epochs", "5"]) == 1
    assert "constants.zero.epochs = 4, and this command has 5" in capsys.readouterr().err


def test_other_data_are_refused_and_named(main, capsys, tmp_path, monkeypatch):
    args = ["tiny_study", "--out", str(tmp_path / "run"), "--seeds", "1"]
    assert main(args) == 0
    digests = json.loads((tmp_path / "run" / "made_from.json").read_text())["data"]
    series = np.array([2.0, 4, 3, 5, 3])
    assert digests == {"constants, series": provenance.digest(series)}
    monkeypatch.setattr(tiny_study, "read", lambda config: series + 1)
    assert main(args) == 1
    assert "data of constants, series, which changed" in capsys.readouterr().err
    assert main([*args, "--overwrite"]) == 0


def test_overwrite_removes_the_run_and_nothing_else(main, tmp_path):
    args = ["tiny_study", "--out", str(tmp_path / "run")]
    assert main(args) == 0
    note = tmp_path / "run" / "constants" / "net" / "seed_0" / "notes.txt"
    note.write_text("mine")
    part = note.parent / "30_examples" / "checkpoint" / "7"
    part.mkdir(parents=True)
    for file in (part / "arrays.npz", part.parent / "fit.json", part.parents[1] / "curve.npz"):
        file.touch()
    assert main([*args, "--overwrite", "--seeds", "1"]) == 0
    kept = {path.name for path in (tmp_path / "run" / "constants" / "net").iterdir()}
    assert kept == {"seed_0"} and note.read_text() == "mine"
    assert not (note.parent / "30_examples").exists()


def test_a_trial_that_diverges_is_reported_and_the_others_continue(main, tmp_path, capsys):
    args = ["tiny_study", "--out", str(tmp_path / "run"), "--diverging", "0", "1"]
    with pytest.raises(FileNotFoundError):  # of the findings, which need seed 0
        main(args)
    args[-2:] = ["1", "2"]
    args[2] = str(tmp_path / "other")
    assert main(args) == 0
    text = (tmp_path / "other" / "report.md").read_text()
    assert "net, seed 1: the loss is nan at step 2" in text
    assert rows_of(text)["net"][2:4] == ["diverged", "diverged"]
    assert "**1.41**" in rows_of(text)["last value"]
    assert "net, seed 1: the loss is nan" in capsys.readouterr().out


def test_folds_show_the_mean_and_the_standard_deviation(main, tmp_path):
    args = ["tiny_study", "--out", str(tmp_path / "run"), "--over", "folds"]
    assert main(args) == 0
    row = rows_of((tmp_path / "run" / "report.md").read_text())["net"]
    errors = [np.sqrt(np.mean((np.array([5.0, 3.0]) - 3 - 0.1 * fold) ** 2)) for fold in range(3)]
    assert row[2] == f"**{np.mean(errors):.2f} ± {np.std(errors):.2f}**"


def test_studies_can_be_compared(finished, main, tmp_path, capsys):
    assert main(["tiny_study", "--out", str(tmp_path / "longer"), "--epochs", "6"]) == 0
    capsys.readouterr()
    assert main(["compare", str(finished), str(tmp_path / "longer")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["│", "epochs", "│", "4", "│", "6", "│"] in lines
    assert [line[1:3] for line in lines if line[2:3] == ["net"]] == [
        ["tiny:", "net"], ["longer:", "net"],
    ]  # fmt: skip
    assert sum("oracle" in line for line in lines) == 1


def test_compare_says_how_far_an_unfinished_study_is(main, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["tiny_study", "--out", str(out)]) == 0
    (out / "results.json").unlink()
    (out / "constants" / "net" / "seed_2" / "result.json").unlink()
    assert main(["compare", str(out)]) == 1
    assert "4 of 5 trials are done" in capsys.readouterr().err


def test_the_best_is_bold_in_the_columns_that_have_one():
    def entry(name, score):
        return {"entry": name, "scores": {} if score is None else {"x": {"center": score}}}

    summary = {"entries": [entry("a", 0.504), entry("b", 0.501), entry("c", 0.6), entry("d", None)]}

    def best(higher, digits):
        column = Column("x", higher, digits)._asdict()
        return study_summary.best_entries(summary, column)

    assert best(True, 3) == {"c"} and best(False, 3) == {"b"}
    assert best(False, 2) == {"a", "b"}  # what looks the same is equally bold
    assert best(None, 3) == set()


@pytest.mark.parametrize(
    ("values", "higher", "text"),
    [
        ([1.0], False, "1.00"),
        ([1.0, 2.0], False, "1.50"),
        ([3.0, 1.0, None], False, "3.00"),
        ([3.0, 1.0, None], True, "1.00"),
        ([None, None, 1.0], False, "diverged"),
        ([2.0, 2.0, 2.0], False, "2.00"),
    ],
)
def test_the_center_counts_what_diverged_as_the_worst(values, higher, text):
    column = Column("x", higher, 2)
    score = study_summary.summarize_scores(values, column, "seeds")
    assert study_report.format_score(score, column._asdict(), "seeds") == text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entries": []}, "at least one entry"),
        ({"entries": [Entry("a b", "net", dict), Entry("a-b", "net", dict)]}, "'a_b' twice"),
        ({"entries": [Entry("a", "tree", dict)]}, "kind of a: expected one of baseline"),
        ({"entries": [Entry("a", "net", dict, seeds=())]}, "seeds of a: expected at least one"),
        ({"entries": [Entry("a", "net", dict, seeds=(1, 1))]}, "seeds of a: expected each once"),
        ({"entries": [Entry("a", "net", dict, seeds=(-1,))]}, "seeds of a: expected a whole"),
        ({"published": [Published("p", "s", {"test RSME": 1.0})]}, "did you mean 'test RMSE'"),
        ({"over": "years"}, "over: expected one of seeds, folds"),
    ],
)
def test_a_study_that_cannot_be_shown_is_refused_before_anything_runs(changes, message):
    (study,) = tiny_study.studies(tiny_study.Config())
    with pytest.raises(ArgumentError, match=message):
        trials.plan([study._replace(**changes)])


def test_a_score_without_a_column_is_refused(main, tmp_path, monkeypatch):
    (study,) = tiny_study.studies(tiny_study.Config())
    odd = study._replace(entries=[Entry("odd", "net", lambda trial: {"RMSE": 1.0})])
    monkeypatch.setattr(tiny_study, "studies", lambda config: [odd])
    with pytest.raises(ArgumentError, match="scores of odd: expected some of test RMSE, best"):
        main(["tiny_study", "--out", str(tmp_path / "run")])


def test_digests_depend_on_every_part_of_the_data(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Words:
        tokens: tuple[str, ...]

    (tmp_path / "a.txt").write_text("x")
    values = [
        np.zeros(3), np.zeros(3, np.float32), np.zeros((1, 3)), np.ones(3), ["ab", "c"],
        ["a", "bc"], [b"ab", "c"], {"x": np.zeros(3), "y": "text"}, Words(("a", "b")),
        Words(("ab",)), tmp_path / "a.txt",
    ]  # fmt: skip
    digests = [provenance.digest(value) for value in values]
    assert len(set(digests)) == len(values)
    assert digests == [provenance.digest(value) for value in values]
    with pytest.raises(TypeError, match="expected files"):
        provenance.digest(object())


def test_files_that_only_draw_are_no_source_of_numbers():
    assert provenance.is_display("language/_ptb_figures.py")
    assert provenance.is_display("harness/report/study_report.py")
    assert not provenance.is_display("language/ptb.py")


START = """
import sys
from experiments import __main__ as command
from tests.experiments import tiny_study
loaded = command.load
command.THEMES["tiny_study"] = "general"
command.load = lambda name: tiny_study if name == "tiny_study" else loaded(name)
sys.exit(command.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_study_continues_within_its_trial(tmp_path, how):
    """The epochs before the kill are not repeated, and a whole run has the same scores."""
    log, out = tmp_path / "log", tmp_path / "run"
    args = [sys.executable, "-c", START, "tiny_study", "--epochs", "8", "--seeds", "2"]
    environment = {
        **os.environ, "TINY_STUDY_LOG": str(log), "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT),
        "TINY_STUDY_SLEEP": "0.2",
    }  # fmt: skip
    options = {"env": environment, "cwd": ROOT, "text": True}
    start = subprocess.Popen([*args, "--out", str(out)], stderr=subprocess.PIPE, **options)
    deadline = time.monotonic() + 60
    while not log.exists() or len(log.read_text().splitlines()) < 11:
        assert time.monotonic() < deadline and start.poll() is None
        time.sleep(0.02)
    start.send_signal(how)
    _, error = start.communicate(timeout=30)
    if how == signal.SIGINT:
        assert start.returncode == 130 and "the same command continues from here" in error
    assert not (out / "results.json").exists()
    subprocess.run([*args, "--out", str(out)], check=True, stdout=subprocess.PIPE, **options)
    lines = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    repeated = len(lines) - len(set(lines))
    assert set(lines) == {(seed, epoch) for seed in range(2) for epoch in range(8)}
    assert repeated <= 1  # the epoch that the kill interrupted
    options["env"] = {**environment, "TINY_STUDY_SLEEP": "0"}
    whole = tmp_path / "whole"
    subprocess.run([*args, "--out", str(whole)], check=True, stdout=subprocess.PIPE, **options)
    for file in ("constants/net/seed_0/result.json", "constants/net/seed_1/result.json"):
        one, other = (json.loads((path / file).read_text()) for path in (out, whole))
        assert one["scores"] == other["scores"] and one["seconds"] > other["seconds"]
