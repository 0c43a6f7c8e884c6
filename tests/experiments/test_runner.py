"""Runs that solve their task: at several rates, with a limit on time, and vectorized."""

import functools

import jax
import numpy as np
import pytest
from rich.console import Console

import lstm_jax as lj
from experiments.harness.run import best_rate, run_folder, runner
from experiments.harness.run.progress import Progress
from experiments.harness.run.setting import Budget, Setting
from lstm_jax import train
from tests.experiments.halved import LIMIT, MEAN_LIMIT, ROWS, compiled
from tests.experiments.test_resume import Killed, kill_at, spoil, without_times
from tests.experiments.test_success import brute_force


def run(job, programs, path):
    progress = Progress([job], Console(quiet=True))
    return runner.run_job(job, programs, path, progress, sweeping=False)


@functools.cache
def all_chunks(on):
    """All chunks of an uninterrupted training: params after each, scores, successes and metrics."""
    job, programs = compiled(on)
    state, chunks = programs.state, []
    for _ in range(6):
        state, metrics, _ = programs.chunk(state, np.ones(6, bool))
        score, met = programs.score(state.params, job.setting.task.validation)
        chunks.append((state.params, score, met, metrics))
    return chunks


@pytest.fixture(scope="module", params=["training", "held-out"])
def ended(request, tmp_path_factory):
    on, path = request.param, tmp_path_factory.mktemp("runs")
    return on, path, run(*compiled(on), path)


def expected_successes(on):
    chunks = all_chunks(on)
    if on == "held-out":
        met = np.stack([met for _, _, met, _ in chunks])
        return [40 * (1 + int(run.argmax())) if run.any() else None for run in met.T]
    errors = np.concatenate([metrics.errors.reshape(6, -1) for *_, metrics in chunks], axis=1)
    return [brute_force(run, LIMIT, MEAN_LIMIT, True, rows=ROWS) for run in errors]


@pytest.mark.slow
def test_each_run_ends_with_its_success_and_its_sequences_are_counted(ended):
    on, path, result = ended
    solved = expected_successes(on)
    assert result["solved"] == solved
    assert solved[2:4] == [None, None]  # at the smallest rate
    assert len({count for count in solved if count is not None}) > 1
    every = all_chunks(on)
    for run, count in enumerate(solved):
        chunks = 6 if count is None else -(-count // 40)
        params, score, _, _ = every[chunks - 1]
        _, kept = train.load_model(path / "model", run=run)
        for leaf, like in zip(jax.tree.leaves(kept), jax.tree.leaves(params), strict=True):
            np.testing.assert_array_equal(leaf, like[run])
        curve = [line["validation"][run] for line in result["curve"]]
        assert curve[chunks - 1 :] == [score[run]] * (7 - chunks)
        assert curve[: chunks - 1] == [
            float(scores[run]) for _, scores, _, _ in every[: chunks - 1]
        ]


def test_a_saved_model_gives_the_score_that_was_told(ended):
    on, path, result = ended
    batch = compiled(on)[0].setting.task.test
    for run in (0, 2):
        cell, params = train.load_cell(path / "model", run=run)
        readout = train.load_model(path / "model", run=run)[1]["readout"]
        _, ys = lj.unroll(cell, params, batch.xs)
        answers = np.asarray(ys[-1]) @ np.asarray(readout["w"]) + np.asarray(readout["b"])
        score = np.mean((answers - np.asarray(batch.targets)) ** 2)
        np.testing.assert_allclose(score, result["test"][run], rtol=1e-5)


def test_side_by_side_and_in_turn_agree():
    for (a, *_, turn), (b, *_, side) in zip(
        all_chunks("training"), all_chunks("held-out"), strict=True
    ):
        np.testing.assert_allclose(side.loss, turn.loss, atol=1e-5)
        for leaf, like in zip(jax.tree.leaves(b), jax.tree.leaves(a), strict=True):
            np.testing.assert_allclose(leaf, like, atol=1e-5)


def test_runs_side_by_side_that_are_killed_end_with_the_same_bits(tmp_path, monkeypatch):
    job, programs = compiled("held-out")
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", -1.0)
    whole = run(job, programs, tmp_path / "whole")
    with monkeypatch.context() as patch:
        append = run_folder.Metrics.append
        patch.setattr(run_folder.Metrics, "append", kill_at(append, 3, before=False))
        with pytest.raises(Killed):
            run(job, programs, tmp_path / "killed")
    assert without_times(run(job, programs, tmp_path / "killed")) == without_times(whole)


@pytest.mark.parametrize("on", ["training", "held-out"])
def test_a_run_that_diverged_never_counts_as_solved(on, tmp_path):
    job, programs = compiled(on)
    spoilt = programs.state._replace(params=spoil(programs.state.params, run=4))
    tree = {"state": spoilt}
    if on == "training":
        tree["recent"] = np.full((6, ROWS), np.inf, np.float32)
    train.checkpoint.save(tmp_path / "checkpoints", 10, tree)
    result = run(job, programs, tmp_path)
    assert len(result["curve"]) == 5  # the runs with the small rate continue to the end
    assert result["solved"][4] is None and result["test"][4] is None
    assert None not in (result["solved"][0], result["solved"][5])


def test_params_that_are_not_finite_have_no_score(monkeypatch):
    """The final update may give NaN, and on classes any answers have a score."""
    _, programs = compiled("held-out")
    monkeypatch.setattr(programs, "_score", lambda *_: (np.full(6, 0.5), np.ones(6, bool)))
    score, met = programs.score(spoil(programs.state.params, run=4), None)
    np.testing.assert_array_equal(score, [0.5] * 4 + [np.nan, 0.5])
    np.testing.assert_array_equal(met, [True] * 4 + [False, True])


def test_success_counts_where_it_comes_before_what_is_not_finite(tmp_path, monkeypatch):
    """Both within one chunk, in which all errors meet the criterion whatever the loss is."""
    job, programs = compiled("training")
    first_batches = ROWS // 4

    def chunk(state, goes_on):
        state, metrics, seconds = programs_chunk(state, goes_on)
        loss = np.zeros_like(metrics.loss)
        for run, step in enumerate((first_batches, first_batches - 1, 0, 9)):
            loss[run, step] = (np.nan, np.inf)[run % 2]
        return state, metrics._replace(loss=loss, errors=np.zeros_like(metrics.errors)), seconds

    programs_chunk = programs.chunk
    monkeypatch.setattr(programs, "chunk", chunk)
    result = run(job, programs, tmp_path)
    assert result["solved"] == [ROWS, None, None, ROWS, ROWS, ROWS]
    assert len(result["curve"]) == 1
    assert result["curve"][0]["train_loss"] == [None] * 4 + [0.0, 0.0]


def test_a_budget_in_seconds_is_measured_once_and_kept(tmp_path, monkeypatch):
    job, programs = compiled("held-out")
    budget = Budget(**{**vars(job.setting.budget), "seconds": 1.1, "until_solved": False})
    job = job._replace(setting=job.setting.__class__(job.setting.task, budget))
    measured = iter([9.0, 0.25])
    monkeypatch.setattr(programs, "time_chunk", lambda: next(measured))
    with monkeypatch.context() as patch:
        append = run_folder.Metrics.append
        patch.setattr(run_folder.Metrics, "append", kill_at(append, 2, before=False))
        with pytest.raises(Killed):
            run(job, programs, tmp_path / "kept")
    assert run_folder.read_json(tmp_path / "kept" / "steps.json") == {"steps": 40}
    result = run(job, programs, tmp_path / "kept")  # measures no more, or it would fail
    assert result["steps"] == 40 and [line["step"] for line in result["curve"]] == [10, 20, 30, 40]
    monkeypatch.setattr(programs, "time_chunk", lambda: 30.0)
    assert runner.number_of_steps(job, programs, tmp_path / "slow") == 10  # one chunk at least


def rates_result(validation, solved=(None,) * 6):
    return {"validation": list(validation), "solved": list(solved)}


def test_the_rate_that_is_told_is_best_on_validation():
    job = compiled("training")[0]
    job = job._replace(setting=Setting(job.setting.task, Budget()))  # not until solved
    assert job.learning_rates == (0.01, 0.01, 1e-5, 1e-5, 0.1, 0.1)
    result = rates_result([0.1, 0.5, 0.2, 0.3, 0.0, None])
    assert best_rate.means(job, result) == {0.01: 0.3, 1e-5: 0.25, 0.1: None}
    assert best_rate.best(job, result) == 1e-5 and best_rate.runs_at(job, 1e-5) == [2, 3]
    assert (
        best_rate.best(job, rates_result([0.3, 0.1, 0.1, 0.3, 0.4, 0.4])) == 0.01
    )  # of equals, first
    assert best_rate.best(job, rates_result([None, 0.1, None, 0.1, 9.0, 9.0])) == 0.1
    assert best_rate.best(job, rates_result([None] * 6)) == 0.01
    solved = [None, None, 40, 40, None, None]
    assert best_rate.best(job, rates_result([0.1, 0.1, 0.3, 0.3, 0.2, 0.2], solved)) == 0.01
    score = job.setting.task.score._replace(higher_is_better=True)
    task = job.setting.task._replace(score=score)
    job = job._replace(setting=Setting(task, Budget()))
    assert best_rate.best(job, rates_result([0.3, 0.1, 0.1, 0.3, 0.4, None])) == 0.01
    assert best_rate.best(job, rates_result([0.3, 0.1, 0.1, 0.5, 0.4, None])) == 1e-5


def test_where_runs_end_solved_the_rate_that_solves_most_is_told():
    job = compiled("training")[0]
    scores = [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    assert best_rate.best(job, rates_result(scores, [80, None, 40, 40, None, None])) == 1e-5
    assert best_rate.best(job, rates_result(scores, [80, None, 40, None, 20, None])) == 0.01
    diverged = [None, 0.1, 0.2, 0.2, 0.3, 0.3]
    assert best_rate.best(job, rates_result(diverged, [80, None, 40, None, 20, None])) == 1e-5
