"""The suite, and a cell and a task from outside in it."""

import dataclasses
import json
import traceback
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.__main__ import main
from experiments.formal import state_tracking
from experiments.general import suite
from experiments.harness import conduct
from experiments.harness.report import curves
from experiments.harness.run import lengths
from experiments.harness.run.jobs import slug
from experiments.harness.run.setting import Setting
from experiments.memory import adding
from lstm_jax import tasks, train

CELL = '''
"""A mean of what was seen, in which the past counts less and less."""

import jax

import lstm_jax as lj
from lstm_jax.core import equal_gates, plain_cell


def mean(size, *, keeps=0.5):
    def init(key, input_size, dtype):
        return {"w": jax.random.normal(key, (input_size, size), dtype)}

    def advance(params, state, x):
        state = keeps * state + (1 - keeps) * x @ params["w"]
        return state, state

    return plain_cell("mean", size, equal_gates((), size), init=init,
                      state=lambda zeros: zeros(size), advance=advance)


lj.cells.registry["mean"] = mean
'''
TASK = '''
"""The last number of three."""

import jax
import jax.numpy as jnp

from lstm_jax import tasks
from lstm_jax.tasks.task import drawn_task


def last_number(longer=0):
    def draw(key, batch_size):
        xs = jax.random.uniform(key, (3 + longer, batch_size, 1))
        return tasks.Batch(xs, xs[-1])

    def error(outputs, batch):
        return jnp.mean((outputs - batch.targets) ** 2)

    score = tasks.Score("MSE", error, higher_is_better=False, chance=1 / 12)
    return drawn_task(f"last_number({longer})", draw, input_size=1, output_size=1, loss=error,
                      score=score, held_out=20)


tasks.registry["last_number"] = last_number
'''


@pytest.fixture
def registries():
    """Restores the registries after a test."""
    before = [(registry, dict(registry)) for registry in (lj.cells.registry, tasks.registry)]
    yield
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), (" 1.5m ", 90)]
)
def test_a_time_is_read(text, seconds):
    assert suite.parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["30", "m", "-3m", "0s", "1h30m", "30 m", "3d"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"budget: expected a time such as 90s.*got"):
        suite.parse_seconds(text)


def test_every_contender_on_every_task_gets_the_same_part_of_the_time(monkeypatch):
    made = {}

    def make(text):
        name, options = tasks.parse(text)
        judged = None if name == "digits" else "a criterion"
        made[text] = types.SimpleNamespace(name=name, success=judged, **options)
        return made[text]

    monkeypatch.setattr(tasks, "make", make)
    config = suite.Config()
    settings = suite.settings(config)
    contenders = len(settings) * len(config.cells)
    assert len(made) == len(settings) == 12
    assert [settings[0].rates(cell).values for cell in ("gru", "rnn")] == [(0.01,), (0.001,)]
    for setting in settings:
        total = setting.budget.seconds * (1 + suite.MEASURING) + suite.COMPILING
        assert abs(total * contenders - 1800) < 0.1 * contenders
        assert setting.budget.until_solved == (setting.task.name != "digits")
    lags = [(setting.task.name, setting.lag) for setting in settings if setting.lag is not None]
    assert len(set(lags)) == len(lags) == 7
    assert made["adding(length=200)"].length == 200
    chosen = suite.settings(suite.Config(tasks=("digits",), cells=("rnn",), seconds=3.0))
    assert [setting.budget.seconds for setting in chosen] == [3.0]  # said, and not computed


def test_a_budget_that_is_too_small_says_how_much_it_takes(capsys):
    command = ["suite", "--tasks", "adding(length=4)", "--cells", "rnn", "gru", "--budget", "8s"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error == (
        "error: budget: expected more than 6 s for each of 1 tasks and 2 cells, got 8s\n"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("registries")
def test_a_cell_and_a_task_from_outside_run_in_the_suite(tmp_path, capsys):
    (tmp_path / "cell.py").write_text(CELL)
    (tmp_path / "task.py").write_text(TASK)
    options = ["--cells", "mean(keeps=0.25)", "--tasks", "last_number(longer=2)",
               "--budget", "7.25s", "--parameters", "9", "--seeds", "1",
               "--learning-rate", "0.1", "--every", "10",
               "--out", str(tmp_path / "run")]  # fmt: skip
    assert main(["suite", *options]) == 2  # without the files there are none
    assert "last_number" in capsys.readouterr().err
    options = ["--load", str(tmp_path / "cell.py"), str(tmp_path / "task.py"), *options]
    assert main(["suite", *options, "--dry-run"]) == 0
    assert "1 contenders, about 0.0 minutes" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    assert main(["suite", *options]) == 0
    (setting,) = json.loads((tmp_path / "run" / "results.json").read_text())["settings"]
    (row,) = setting["contenders"]
    assert (setting["task"], row["contender"]) == ("last_number(2)", "mean(keeps=0.25)")
    assert setting["seconds"] == 1.0 and row["steps"] % 10 == 0 and row["seconds"] > 0
    assert (row["hidden_size"], row["parameters"]) == (4, 9)  # 4 of w, 4 + 1 of the readout
    # How many steps fit into a second is the machine's affair, and so is how well it learns.
    assert row["test"] == [row["median"]] and row["median"] > 0


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    assert main(["suite", "--load", str(tmp_path / "cell.py")]) == 2
    assert capsys.readouterr().err == (
        f"error: load: expected a Python file, got {tmp_path / 'cell.py'}\n"
    )


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        ("import lstm_jax\n1 / 0\n", ZeroDivisionError, 2),
        ("import lstm_jax as lj\n\nlj.lstm(-1)\n", ValueError, 3),
        ("import nothing_of_that_name\n", ImportError, 1),
        ("open('/no/such/file')\n", OSError, 1),
        ("import sys\nsys.exit(0)\n", RuntimeError, None),
    ],
)
def test_a_file_that_fails_shows_its_traceback(tmp_path, text, error, line):
    file = tmp_path / "broken.py"
    file.write_text(text)
    with pytest.raises(error) as caught:
        main(["suite", "--load", str(file)])
    report = "".join(traceback.format_exception(caught.value))
    assert str(file) in report
    assert line is None or f'"{file}", line {line}' in report


FAULTY = """
import jax
import jax.numpy as jnp

import lstm_jax as lj
from lstm_jax import tasks
from lstm_jax.tasks import regression


def faulty(fault="none"):
    if fault == "make":
        raise TypeError("an argument of something else is missing")
    if fault == "file":
        open("/no/such/file")

    def draw(key, batch_size):
        xs = jax.random.uniform(key, (3, batch_size, 1))
        if fault == "sample" and batch_size < 20:
            int(xs[0, 0, 0])
        return tasks.Batch(xs, xs[-1, :, 0])

    def loss(outputs, batch):
        if fault == "loss":
            lj.lstm(-1)
        if fault == "broadcasts":
            return jnp.mean((outputs - batch.targets) ** 2)
        return regression.mean_squared_error(outputs, batch)

    return tasks.drawn_task("faulty", draw, input_size=1, output_size=1, loss=loss,
                            score=regression.mse_score(1 / 12), held_out=20)


tasks.registry["faulty"] = faulty
"""


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("fault", "error"),
    [("make", TypeError), ("file", OSError), ("sample", TypeError), ("loss", ValueError)],
)
@pytest.mark.slow
def test_a_fault_of_a_task_from_outside_shows_its_traceback(tmp_path, fault, error):
    file = tmp_path / "faulty.py"
    file.write_text(FAULTY)
    command = ["suite", "--load", str(file), "--tasks", f"faulty(fault='{fault}')"]
    with pytest.raises(error) as caught:
        main([*command, "--cells", "rnn", "--parameters", "9", "--out", str(tmp_path / "run")])
    assert f'"{file}", line' in "".join(traceback.format_exception(caught.value))


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("task", "line"),
    [
        (
            "faulty(falt='make')",
            "options: expected faulty(fault), got 'falt' (did you mean 'fault'?)",
        ),
        ("faulty(fault='broadcasts')", "task faulty: loss: expected each row's outputs beside its"),
        ("fault", "tasks: expected one of adding, "),
        ("adding(length=1)", "length: expected at least 2, "),
    ],
)
def test_a_mistake_with_a_task_from_outside_is_one_line(tmp_path, capsys, task, line):
    file = tmp_path / "faulty.py"
    file.write_text(FAULTY)
    command = ["suite", "--load", str(file), "--tasks", task, "--cells", "rnn"]
    assert main([*command, "--parameters", "9", "--out", str(tmp_path / "run")]) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith(f"error: {line}")


def test_a_dry_run_says_how_long_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    class Programs:
        def __init__(self, job):
            self.times = iter([60.0, 30.0])

        def time_chunk(self):
            return next(self.times)

    monkeypatch.setattr(conduct, "Programs", Programs)
    out = tmp_path / "run"
    command = "adding --lengths 4 --cells rnn --seeds 2 --parameters 40 --steps 40 --every 10"
    rate = ["--learning-rate", "0.01"]
    assert main([*command.split(), *rate, "--dry-run", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "1 contenders, about 2.0 minutes of training, plus" in text
    (row,) = [line for line in text.splitlines() if line.startswith("│")]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["adding(4)", "rnn", "5", "46", "40", "2", "120"]
    assert not out.exists() and not list(tmp_path.iterdir())


def test_a_contender_that_is_named_twice_is_refused():
    config = adding.Config(lengths=(4,), cells=("rnn", "gru", "rnn"))
    for sweeping in (False, True):
        config = dataclasses.replace(config, learning_rate=() if sweeping else (0.1,))
        with pytest.raises(ValueError, match=r"contender once, got adding\(4\) rnn twice"):
            conduct.plan(adding.settings(config), sweeping=sweeping)


def test_the_score_at_each_length_is_that_of_the_strings_of_this_length(tmp_path):
    task = tasks.make("parity", max_length=4)
    model = train.recurrent(lj.rnn(3), task.input_size, task.output_size)
    runs = [model.init(key) for key in jax.random.split(jax.random.key(0), 2)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)
    job = types.SimpleNamespace(setting=Setting(task, None), model=model)
    results = lengths.score_by_length((5, 2), job, params, tmp_path)
    (title,) = results.scores
    assert title == "accuracy by length in steps, trained on 1 to 4 steps"
    assert list(results.scores[title]) == ["5 steps", "2 steps"]
    for length in (5, 2):
        batch = task.test_at(length, lengths.ROWS)
        bits = np.asarray(batch.xs.values).argmax(axis=-1)[:length]
        for run, score in zip(runs, results.scores[title][f"{length} steps"], strict=True):
            cell, readout = run["cell"], run["readout"]
            h = np.zeros((lengths.ROWS, 3))
            for bit in bits:
                w_x, w_h, b = (np.asarray(cell[name]) for name in ("w_x", "w_h", "b"))
                h = np.tanh(np.eye(2)[bit] @ w_x + h @ w_h + b)
            answers = (h @ np.asarray(readout["w"]) + np.asarray(readout["b"])).argmax(axis=-1)
            assert score == pytest.approx(np.mean(answers == bits.sum(axis=0) % 2))


def test_a_task_of_one_length_has_no_table_by_length(tmp_path):
    task = types.SimpleNamespace(name="digits", test_at=None)
    job = types.SimpleNamespace(setting=Setting(task, None), model=None)
    with pytest.raises(ValueError, match="tasks: expected tasks with test_at, got digits"):
        lengths.score_by_length((5,), job, None, tmp_path)


def test_lengths_that_a_task_has_not_are_refused_before_it_is_trained():
    with pytest.raises(ValueError, match=r"lengths, of modular.*expected an odd length, got 20"):
        state_tracking.settings(state_tracking.Config(tasks=("modular_arithmetic",)))


def test_another_choice_of_lengths_is_another_configuration():
    first, second = (state_tracking.Config(lengths=of).options for of in ((5,), (7,)))
    assert first != second


@pytest.mark.usefixtures("registries")
def test_a_layer_that_cannot_be_truncated_is_refused_before_it_is_compiled():
    lj.cells.registry["both"] = lambda size: lj.bidirectional(lj.rnn(size), lj.rnn(size))
    config = adding.Config(lengths=(4,), cells=("both",), learning_rate=(0.1,), truncate=2, size=2)
    with pytest.raises(ValueError, match=r"truncate: .*run in chunks"):
        conduct.plan(adding.settings(config), sweeping=False)


def test_the_suite_takes_steps_in_place_of_a_time(capsys):
    (setting,) = suite.settings(suite.Config(tasks=("adding(length=4)",), steps=100))
    assert (setting.budget.steps, setting.budget.seconds) == (100, None)
    (setting,) = suite.settings(suite.Config(tasks=("adding(length=4)",), budget="100s"))
    assert setting.budget.seconds == round((100 / 6 - suite.COMPILING) / (1 + suite.MEASURING), 1)
    assert setting.budget.steps == 1000  # as ever in config.json, beside the seconds
    command = ["suite", "--tasks", "adding(length=4)", "--steps", "50"]
    assert main([*command, "--budget", "60s"]) == 2
    assert "steps: expected either steps or a budget, got 50 and 60s" in capsys.readouterr().err
    assert main([*command, "--seconds", "9"]) == 2
    assert (
        "steps: expected either steps or seconds, got 50 steps and 9 s" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("task", "length", "column"),
    [
        ("parity(max_length=4)", 7, "7 steps"),
        ("adding(length=9, variable=True)", 5, "5 steps"),
        ("copy_memory(length=4, width=2)", 5, "9 steps (length 5)"),
        ("delayed_recall(delay=3)", 5, "7 steps (length 5)"),
    ],
)
def test_a_column_counts_steps_whatever_test_at_counts(task, length, column):
    batch = tasks.make(task).test_at(length, 3)
    steps = batch.xs.values.shape[0] if isinstance(batch.xs, tasks.Sequences) else len(batch.xs)
    assert column.startswith(f"{steps} steps")
    assert lengths.column_name(length, batch.xs) == column
    assert curves.axis_position(column) == steps


def test_columns_without_a_number_have_no_place_on_an_axis():
    assert curves.axis_position("60 to 80 steps (length 70)") == 70
    assert [curves.axis_position(column) for column in ("20", "greedy", "beam of 5", "3d")] == [
        20
    ] + 3 * [None]


def test_a_budget_beside_seconds_is_refused(capsys):
    command = ["suite", "--tasks", "adding(length=4)", "--cells", "rnn", "--seconds", "3"]
    assert main([*command, "--budget", "30m"]) == 2  # said, though it is what none would give
    assert capsys.readouterr().err == (
        "error: budget: expected either a budget or seconds, got 30m and 3 s\n"
    )


@pytest.mark.usefixtures("registries")
def test_options_that_cannot_be_saved_are_refused_before_training():
    lj.cells.registry["named"] = lambda size, *, label=b"": lj.rnn(size)
    config = adding.Config(lengths=(4,), cells=("named(label=b'x')",), learning_rate=(0.1,), size=2)
    with pytest.raises(TypeError, match=r"options: expected values that JSON can hold.*got .*b'x'"):
        conduct.plan(adding.settings(config), sweeping=False)


def test_options_that_differ_in_a_sign_have_folders_of_their_own():
    names = [f"lstm(forget_bias={bias})" for bias in (1.0, -1.0)]
    assert list(map(slug, names)) == ["lstm_forget_bias_1_0", "lstm_forget_bias_minus_1_0"]
