"""The table of every cell: its numbers, and a tiny run that ends in it."""

import dataclasses
import json

import numpy as np
import pytest

import lstm_jax as lj
from experiments.__main__ import main
from experiments.harness.report import curves
from experiments.harness.run.jobs import comparison_jobs, slug
from experiments.memory import _every_cell_figures as figures
from experiments.memory import every_cell

IMAGES = {"conv_lstm", "conv_gru", "multidimensional"}
TINY = every_cell.Config(cells=("rnn", "mogrifier(lstm)"), copying=(4, 6), adding=(8,), steps=4,
                         every=2, seeds=1, parameters=400)  # fmt: skip


def test_by_default_every_registered_cell_is_compared():
    settings = every_cell.settings(every_cell.Config())
    assert [setting.task.name.split("(")[0] for setting in settings] == [
        "copy_memory",
        "copy_memory",
        "adding",
    ]
    for setting in settings:
        assert set(setting.budget.cells) == {*lj.cells.registry, "mogrifier(lstm)"} - IMAGES
    assert [setting.overall is not None for setting in settings] == [False, False, True]


def test_a_wrapped_cell_has_the_size_that_is_asked_for():
    task = every_cell.settings(TINY)[0].task
    for options, size in (({"size": 7}, 7), ({"state": 12}, 6)):
        budget = dataclasses.replace(TINY, **options)
        assert every_cell.make_model(task, budget, "mogrifier(lstm)").size == size


def result(job, test, seconds):
    runs = len(job.seeds)
    curve = [{"step": 2, "seconds": 9.0}, {"step": 4, "seconds": seconds},
             {"step": 6, "seconds": seconds}]  # fmt: skip
    return {"validation": [test] * runs, "test": [test] * runs, "solved": [8, *[None] * (runs - 1)],
            "steps": 6, "seconds": 9 + 2 * seconds, "curve": curve, "scores": {}}  # fmt: skip


def test_the_table_has_scores_parameters_and_times():
    jobs = [job for setting in every_cell.settings(TINY) for job in comparison_jobs(setting)]
    results = [result(job, 0.25 + 0.5 * i, 0.032 + 0.008 * i) for i, job in enumerate(jobs)]
    title, columns, rows = figures.make_table(jobs, results)
    assert "32 sequences" in title and len(columns) == 6
    assert columns[3].startswith("copy_memory(6, symbols=8, width=10): nats a step (0.8 ")
    (rnn, mogrified) = rows
    assert rnn[0] == "rnn" and mogrified[0] == "mogrifier(lstm)"
    assert rnn[2:5] == ["0.2500 (1 of 1)", "1.2500 (1 of 1)", "2.2500 (1 of 1)"]
    # Copying with lag 6 has 26 steps, the most; its chunks have two steps, and two rates.
    assert float(rnn[5]) == pytest.approx(1e3 * 0.048 / 2 / 2)
    counts = {job.parameters for job in jobs if job.contender == "rnn"}
    assert rnn[1] == f"{min(counts)} to {max(counts)}"


@pytest.mark.slow
def test_a_tiny_run_ends_in_the_table(tmp_path):
    command = ["every_cell", "--cells", "rnn", "mogrifier(lstm)", "--copying", "3", "5",
               "--adding", "6", "--steps", "2", "--every", "2", "--seeds", "1",
               "--learning-rate", "0.001", "--parameters", "400",
               "--out", str(tmp_path / "run")]  # fmt: skip
    assert main(command) == 0
    report = (tmp_path / "run" / "report.md").read_text()
    settings = json.loads((tmp_path / "run" / "results.json").read_text())["settings"]
    ((title, columns, rows),) = settings[-1]["tables"]
    assert f"**{title}**" in report and "ms per step" in columns
    assert [row[0] for row in rows] == ["rnn", "mogrifier(lstm)"]
    for i, setting in enumerate(settings):
        for row, contender in zip(rows, setting["contenders"], strict=True):
            folder = tmp_path / "run" / slug(setting["task"]) / slug(contender["contender"])
            test = json.loads((folder / "result.json").read_text())["test"]
            assert float(row[2 + i].split()[0]) == pytest.approx(np.median(test), abs=1e-4)


def test_of_many_contenders_the_best_of_each_setting_have_colours():
    names = [f"cell_{i}" for i in range(16)]
    settings = every_cell.settings(dataclasses.replace(TINY, cells=("rnn",), copying=(4,)))
    jobs = [
        job._replace(contender=name)
        for setting in settings
        for job in comparison_jobs(setting)
        for name in names
    ]
    ends = {name: 1.0 + i for i, name in enumerate(names)}
    results = [
        result(job, 0.0, 0.1)
        | {"curve": [{"step": 2, "seconds": 0.1, "validation": [ends[job.contender]] * 2}]}
        for job in jobs
    ]
    results[0]["curve"][-1]["validation"] = [None] * 2  # diverged in the first setting
    assert curves.choose_named(jobs, results) == names[:7]
    assert curves.choose_named(jobs[:12], results[:12]) == names[:12]
