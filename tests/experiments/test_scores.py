"""A task with several scores: how each is reported, and which one decides."""

import jax
import numpy as np
import pytest
from rich.console import Console

from experiments.harness.report import compare, report, summary
from experiments.harness.run import runner
from experiments.harness.run.compiled import Programs
from experiments.harness.run.jobs import make_job
from experiments.harness.run.progress import Progress
from experiments.harness.run.setting import Budget, Setting
from lstm_jax import tasks, train
from lstm_jax.tasks import regression
from tests.experiments.handmade import contender, setting
from tests.experiments.test_resume import spoil


def mean(scores):
    """The mean of five numbers, minus 1."""

    def draw(key, batch_size):
        xs = jax.random.uniform(key, (5, batch_size, 1))
        return tasks.Batch(xs, xs.mean(axis=0) - 1.0)

    return tasks.drawn_task(
        "mean", draw, input_size=1, output_size=1, loss=regression.mean_squared_error,
        score=regression.mse_score(1 / 60), scores=scores, held_out=20,
    )  # fmt: skip


def right_signs(outputs, batch):
    return ((outputs > 0) == (batch.targets > 0)).mean()


SIGN = tasks.Score("right signs", right_signs, True, 1.0, 0.5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One contender with three runs, of which the second has non-finite params."""
    path = tmp_path_factory.mktemp("scores")
    task = mean((regression.mae_score(0.1, memoryless=0.05), SIGN))
    budget = Budget(cells=("rnn",), parameters=20, steps=20, every=10, learning_rate=(0.01,))
    job = make_job(Setting(task, budget), "rnn", (0, 1, 2), 3 * (0.01,))
    programs = Programs(job)
    spoilt = programs.state._replace(params=spoil(programs.state.params, run=1))
    train.checkpoint.save(path / "checkpoints", 10, {"state": spoilt})
    with Progress([job], Console(quiet=True)) as progress:
        result = runner.run_job(job, programs, path, progress, sweeping=False)
    return task, job, result, path


def test_every_score_is_measured_on_the_test_data_of_each_run(trained):
    task, _, result, path = trained
    assert list(result["scores"]) == ["MAE", "right signs"]
    assert result["test"][1] is None
    assert [values[1] for values in result["scores"].values()] == [None, None]
    for run in (0, 2):
        model, params = train.load_model(path / "model", run=run)
        answers = np.asarray(model.apply(params, task.test.xs), np.float64)
        errors = answers - np.asarray(task.test.targets)
        assert result["test"][run] == pytest.approx(np.mean(errors**2), rel=1e-4)
        assert result["scores"]["MAE"][run] == pytest.approx(np.mean(np.abs(errors)), rel=1e-4)
        share = np.mean((answers > 0) == (np.asarray(task.test.targets) > 0))
        assert result["scores"]["right signs"][run] == pytest.approx(share)


def test_the_table_has_a_column_for_each_score(trained):
    _, job, result, _ = trained
    (made,) = summary.summarize("x", [job], [result])["settings"]
    assert [other["score"] for other in made["scores"]] == ["MAE", "right signs"]
    columns, (row,) = report.make_table(made)
    assert columns[6:8] == ["MAE, lower is better", "right signs, higher is better"]
    best, middle = sorted(value for value in result["scores"]["MAE"] if value is not None)
    assert row[6] == f"{middle:.4f}"  # the run that diverged is the worst of three
    scores = made["contenders"][0]["scores"]
    assert scores["MAE"]["best"] == best and scores["MAE"]["worst"] is None
    signs = [value for value in result["scores"]["right signs"] if value is not None]
    assert scores["right signs"]["best"] == max(signs)
    assert scores["right signs"]["median"] == min(signs)
    assert "MAE: chance 0.1000, without memory 0.0500; right signs" in report.describe_chance(made)


def test_results_of_older_versions_have_one_score():
    columns, (row,) = report.make_table(setting("adding(4)", contender("rnn")))
    assert "best to worst" in columns and len(columns) == len(row)


def test_runs_are_compared_by_every_score_that_one_of_them_has():
    def scored(name):
        found = {name: {"test": [0.5], "median": 0.5, "interval": None, "best": 0.5, "worst": 0.5}}
        other = {"score": name, "direction": "lower is better", "chance": 1.0, "memoryless": None}
        return setting("adding(4)", contender("rnn", scores=found), scores=[other])

    runs = [
        compare.Run(name, {}, [], {"adding(4)": made})
        for name, made in {
            "old": setting("adding(4)", contender("rnn")), "a": scored("MAE"), "b": scored("RMSE"),
        }.items()
    ]  # fmt: skip
    _, columns, rows, caption = compare.make_table("adding(4)", runs)
    at = columns.index("MAE, lower is better")
    assert columns[at + 1] == "RMSE, lower is better"
    assert [row[at : at + 2] for row in rows] == [["-", "-"], ["0.5000", "-"], ["-", "0.5000"]]
    assert "MAE: chance 1.0000; RMSE: chance 1.0000" in caption
