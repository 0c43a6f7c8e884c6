"""The experiment that trains cells on any task."""

import json

import pytest

from experiments.__main__ import main
from experiments.general import task
from experiments.harness.run.learning_rates import TRIED_RATES, ChosenRate
from lstm_jax import tasks


@pytest.mark.slow
def test_a_task_that_is_named_is_trained_and_tested_at_other_lengths(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = (
        "task delayed_recall(delay=2) parity(max_length=3) --cells rnn --seeds 1 --steps 10 "
        "--every 10 --parameters 40 --learning-rate 0.01 --lengths 4"
    )
    assert main(command.split()) == 0
    out = tmp_path / "runs" / "task_delayed_recall_delay_2_parity_max_length_3"
    first, second = json.loads((out / "results.json").read_text())["settings"]
    assert [first["task"], second["task"]] == ["delayed_recall(2, symbols=8)", "parity(1 to 3)"]
    ((title, rows),) = first["further"].items()
    assert title == "accuracy by length in steps, trained on 4 steps"
    assert list(rows["rnn"]) == ["6 steps (length 4)"]
    ((title, rows),) = second["further"].items()
    assert title == "accuracy by length in steps, trained on 1 to 3 steps"
    assert list(rows["rnn"]) == ["4 steps"]
    assert "6 steps (length 4)" in (out / "report.md").read_text()
    config = json.loads((out / "config.json").read_text())
    assert config["parity(1 to 3)"]["rnn"]["lengths"] == [4]
    assert (out / "parity_1_to_3" / "rnn" / "model" / "model.json").exists()


def test_rates_are_those_of_adding_and_digits_and_else_of_three():
    names = ("adding(length=30)", "adding(variable=True)", "parity(max_length=3)")
    known, *others = task.settings(task.Config(names=names))
    assert tuple(known.rates("lstm")) == ((1e-2,), "chosen at length 100, the nearest to 30")
    assert [of.rates("lstm").values for of in others] == [TRIED_RATES, TRIED_RATES]
    assert task.chosen_rates("adding")["gru"] == ChosenRate(3e-2)
    assert task.chosen_rates("digits")["rnn"] == 1e-3


def test_each_task_has_a_folder_and_defaults_leave_no_trace_in_the_configuration():
    config = task.Config(names=("parity", "adding(length=30)"))
    assert task.run_name(config) == "task_parity_adding_length_30"
    assert config.options == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "names: expected the name of at least one task, got none"),
        ("paritty", "got 'paritty' (did you mean 'parity'?)"),
        ("digits --lengths 5", "got digits, which has only one length"),
        (
            "--load parity",
            "load: expected a Python file; names of tasks come before the options, got parity",
        ),
    ],
)
def test_what_is_wrong_is_one_line(options, message, capsys):
    assert main(["task", *options.split()]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_a_task_that_nobody_judges_is_trained_to_the_end():
    assert tasks.make("digits").success is None
    for setting in task.settings(task.Config(names=("digits",), until_solved=True)):
        assert not setting.budget.until_solved
