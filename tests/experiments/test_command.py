import json
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments import __main__ as command
from experiments.__main__ import HERE, THEMES, load, main
from experiments.general import first_comparison
from experiments.harness import conduct
from experiments.harness.run import run_folder, runner
from experiments.harness.run.jobs import make_job
from experiments.harness.run.setting import Budget, cell_model
from experiments.language import reversal
from lstm_jax import tasks, train
from lstm_jax.tasks import task
from tests.experiments.test_event_files import scalars

TINY = "--lengths 4 --cells rnn irnn --seeds 2 --parameters 40 --steps 20 --every 10"


def tiny(out, *more):
    command = ["adding", *TINY.split(), "--learning-rate", "0.01", "--out", str(out)]
    return main([*command, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert tiny(out) == 0
    return out


def test_all_experiments_are_listed_with_the_time_they_take(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out
    for name in THEMES:
        assert f"{name} " in lines and load(name).TIME in lines


def test_an_experiment_says_what_it_is_what_to_type_and_what_to_expect():
    for name in THEMES:
        text = load(name).__doc__
        assert f"python -m experiments {name}" in text and "Expect" in text


def test_an_unknown_experiment_lists_those_that_are(capsys):
    assert main(["ading"]) == 2
    assert "first_comparison" in capsys.readouterr().err


def test_the_report_has_the_numbers_of_the_run(finished, capsys):
    results = json.loads((finished / "results.json").read_text())
    (setting,) = results["settings"]
    assert setting["direction"] == "lower is better" and setting["task"] == "adding(4)"
    assert [cell["contender"] for cell in setting["contenders"]] == ["rnn", "irnn"]
    text = (finished / "report.md").read_text()
    for cell in setting["contenders"]:
        result = json.loads((finished / "adding_4" / cell["contender"] / "result.json").read_text())
        assert cell["test"] == result["test"] and len(result["test"]) == 2
        assert cell["median"] == sum(result["test"]) / 2
        assert (cell["best"], cell["worst"]) == (min(result["test"]), max(result["test"]))
        assert f"| {cell['contender']} |" in text and f"{cell['median']:.4f}" in text
    assert "chance: 0.1667" in text
    assert (finished / "curves.png").read_bytes().startswith(b"\x89PNG")
    (start, *_) = json.loads((finished / "environment.json").read_text())
    assert {"python", "jax", "jaxlib", "orbax-checkpoint", "git"} <= start.keys()


def test_a_finished_run_shows_its_table_again_without_training(finished, capsys, monkeypatch):
    def never(*_):
        raise AssertionError("nothing is left to compile")

    monkeypatch.setattr(runner, "Programs", never)
    assert tiny(finished) == 0
    assert "adding(4): test MSE" in capsys.readouterr().out


def test_event_files_of_a_finished_run_are_made_afterwards(finished):
    assert tiny(finished, "--tensorboard") == 0
    found = scalars(finished / "adding_4" / "rnn")
    result = json.loads((finished / "adding_4" / "rnn" / "result.json").read_text())
    last = [found[f"validation_MSE/seed_{seed}_rate_0.01", 20][1] for seed in (0, 1)]
    np.testing.assert_allclose(last, result["validation"], rtol=1e-6)


@pytest.mark.slow
def test_traces_of_a_finished_run_are_drawn_afterwards(finished):
    assert tiny(finished, "--trace") == 0
    text = (finished / "report.md").read_text()
    (setting,) = json.loads((finished / "results.json").read_text())["settings"]
    for name in ("rnn", "irnn"):
        file = f"adding_4_{name}_trace.png"
        assert f"![{name}, gates and states over one sequence]({file})" in text
        assert file in setting["figures"].values()
        assert (finished / file).read_bytes().startswith(b"\x89PNG")
    assert tiny(finished) == 0
    assert "trace.png" not in (finished / "report.md").read_text()


def test_a_finished_run_can_be_compared(finished, capsys):
    assert main(["compare", str(finished)]) == 0
    text = capsys.readouterr().out
    (setting,) = json.loads((finished / "results.json").read_text())["settings"]
    rows = [line.split() for line in text.splitlines() if line.startswith("│ tiny")]
    assert [row[3] for row in rows] == ["rnn", "irnn"]
    for row, contender in zip(rows, setting["contenders"], strict=True):
        assert f"{contender['median']:.4f}" in row and f"{contender['parameters']}" in row


def test_another_configuration_is_refused_and_named(finished, capsys):
    assert tiny(finished, "--steps", "30") == 1
    message = capsys.readouterr().err
    assert "adding(4).rnn.steps = 20, and this command has 30" in message
    assert "--out" in message and "--overwrite" in message


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    assert tiny(tmp_path, "--overwrite") == 1
    assert "holds files but no run" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_config_of_another_program_makes_no_run_folder(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"hidden_size": 7}')
    (tmp_path / "weights.bin").write_text("mine")
    assert tiny(tmp_path, "--overwrite") == 1
    assert "holds files but no run" in capsys.readouterr().err
    assert (tmp_path / "weights.bin").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_configuration_that_cannot_be_read_is_one_line(tmp_path, capsys, text):
    (tmp_path / "lock").touch()
    (tmp_path / "config.json").write_text(text)
    assert tiny(tmp_path) == 1
    error = capsys.readouterr().err
    assert "config.json" in error and "--overwrite" in error and len(error.splitlines()) == 1


def test_a_start_that_was_killed_at_once_can_be_repeated(tmp_path):
    (tmp_path / "lock").touch()
    (tmp_path / "config.json.tmp").write_text("{")
    with run_folder.open_folder(tmp_path, {"steps": 1}) as path:
        assert run_folder.read_json(path / "config.json") == {"steps": 1}


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert tiny(tmp_path / "file" / "run") == 1
    assert "cannot be written to" in capsys.readouterr().err


def test_the_command_that_goes_on_does_not_overwrite(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupt)
    assert main(["adding", "--overwrite", "--cells", "lstm(peephole=True)"]) == 130
    message = capsys.readouterr().err
    assert message.endswith("python -m experiments adding --cells 'lstm(peephole=True)'\n")


def test_overwrite_starts_afresh(tmp_path):
    with run_folder.open_folder(tmp_path / "run", {"steps": 1}) as path:
        (path / "old").mkdir()
    with run_folder.open_folder(tmp_path / "run", {"steps": 2}, overwrite=True) as path:
        assert not (path / "old").exists()
        assert json.loads((path / "config.json").read_text()) == {"steps": 2}


def test_a_folder_in_use_is_refused(tmp_path):
    with (
        run_folder.open_folder(tmp_path, {}),
        pytest.raises(run_folder.RunFolderError, match="in use"),
        run_folder.open_folder(tmp_path, {}),
    ):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "25"], "steps: expected a multiple of every, 10, got 25"),
        (["--cells", "lsmt"], "did you mean 'lstm'"),
        (["--cells"], "expected at least one task and one contender"),
        (["--seeds", "0"], "seeds: expected a positive integer, got 0"),
        (["--parameters", "2"], "parameters of rnn on adding(4): expected at least "),
        (
            ["--cells", "rnn", "--state", "0"],
            "state of rnn on adding(4): expected a positive integer, got 0",
        ),
        (["--optimizer", "adm"], "optimizer: expected one of adam, "),
        (["--optimizer", "adam(b1='x')"], "optimizer: expected options that make an update, got"),
        (["--sweep"], "learning_rate: expected none beside sweep, whose rates are 0.0001, "),
        (["--random-truncation"], "random_truncation: expected it only with truncate"),
        (["--learning-rate", "-1"], "learning_rate: expected a number above 0, got -1"),
    ],
)
def test_bad_options_are_one_line(tmp_path, capsys, options, message):
    assert tiny(tmp_path, *options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "adding --seconds 5 --steps 70",
            "steps: expected either steps or seconds, got 70 steps and 5 s",
        ),
        ("first_comparison --digits.seconds 5 --digits.steps 70", "steps: expected either steps"),
        ("adding --lengths 4 --cells lsmt", "cells: expected one of rnn, "),
        ("suite --tasks delayed_recall --cells lsmt", "cells: expected one of rnn, "),
        ("suite --tasks paritty", "tasks: expected one of adding, "),
        ("recall --tasks paritty", "tasks: expected one of adding, "),
        ("state_tracking --tasks paritty", "tasks: expected one of adding, "),
        ("reversal --max-length 2 --models additiv", "models: expected one of additive, "),
        (
            "adding --cells attention(heads=2) --size 5 --learning-rate 0.1",
            "cells: attention(heads=2) of size 5: heads: expected a divisor of size, 5, got 2",
        ),
        (
            "adding --cells mlstm(heads=4) --parameters 30 --learning-rate 0.1",
            "parameters of mlstm(heads=4) on adding(100): expected at least 77, the count",
        ),
        (
            "adding --cells attention(heads=2) --state 64 --learning-rate 0.1",
            "state of attention(heads=2) on adding(100): expected at least 1025, the count",
        ),
        ("reversal --max-length 2 --cell lsmt", "cell: expected one of rnn, "),
        ("reversal --max-length 2 --parameters 5", "parameters of location on reversal(10 symb"),
    ],
)
def test_wrong_names_and_budgets_are_told_by_their_options(capsys, command, message):
    assert main(command.split()) == 2
    assert f"error: {message}" in capsys.readouterr().err


@pytest.fixture
def zero_data(monkeypatch):
    """Makes the data of tasks zeros, which compiles nothing: only how tasks are combined is
    tested."""

    def jit(draw, static_argnums=()):
        def zeros(key, *static):
            shapes = jax.eval_shape(lambda key: draw(key, *static), key)
            return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

        return zeros

    monkeypatch.setattr(task, "jax", types.SimpleNamespace(jit=jit, random=jax.random))
    # Its files are not here; these have the same sizes of a step and of an answer.
    monkeypatch.setitem(tasks.registry, "sequential_mnist", lambda **_: tasks.make("digits"))


COMPARISONS = [
    name for name in THEMES if "\ndef settings(" in (HERE / THEMES[name] / f"{name}.py").read_text()
]  # the others are studies
# Whose many models take long to be sized.
LONG = ("reversal", "sorting", "dates", "translation", "greff", "suite", "hochreiter_1997",
        "hochreiter_1997_today")  # fmt: skip


@pytest.mark.usefixtures("captions", "zero_data")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in COMPARISONS],
)
def test_every_contender_has_a_rate_and_about_the_same_parameters(name):
    """Sizes are computed on the first task only, and for only one model that is not a cell, since
    they take time."""
    module = load(name)
    if not hasattr(module, "settings"):
        return  # a study, whose contenders have trainings of their own
    named = {"names": ("adding(length=50)", "parity")} if name == "task" else {}
    settings = module.settings(module.Config(**named))
    for setting in settings:
        for contender in setting.budget.contenders:
            runs = setting.budget.seeds * len(setting.rates(contender).values)
            assert runs >= (2 if isinstance(setting.budget, Budget) else 1)
    budget, of_cells = settings[0].budget, settings[0].model is cell_model
    if not hasattr(budget, "parameters") or any(
        getattr(budget, name, None) for name in ("state", "size")
    ):
        return  # sizes of its own, as published, or equal states or sizes
    for contender in budget.contenders if of_cells else budget.contenders[:1]:
        job = make_job(settings[0], contender, (0,), (0.1,))
        shapes = jax.eval_shape(job.model.init, jax.random.key(0))
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
        assert job.parameters == count
        assert abs(count - budget.parameters) < 0.05 * budget.parameters


@pytest.mark.slow
def test_cells_that_accept_only_some_sizes_are_sized(monkeypatch):
    steps = {"mlstm(heads=4)": 4, "attention(heads=2)": 2, "lstm_1997(block_size=2)": 2}
    planned = []

    def dry_run(jobs):
        planned.extend(jobs)
        return 0

    monkeypatch.setattr(conduct, "dry_run", dry_run)
    command = ["adding", "--lengths", "4", "--cells", *steps, "--learning-rate", "0.1", "--dry-run"]
    assert main(command) == 0
    assert [job.model.size for job in planned] == [344, 62, 32]
    assert main([*command, "--state", "8192"]) == 0
    for job, (cell, step) in zip(planned[3:], steps.items(), strict=True):
        size = job.model.size
        assert size % step == 0
        missing = [
            abs(train.state_size(lj.cells.make(cell, near)) - 8192)
            for near in (size, size - step, size + step)
        ]
        assert missing[0] == min(missing)


@pytest.mark.slow
def test_an_encoder_and_a_decoder_of_a_cell_with_heads_are_sized():
    config = reversal.Config(max_length=2, cell="slstm(heads=2)", models=("fixed",))
    (job,) = conduct.plan(reversal.settings(config), sweeping=False)
    assert job.model.size % 4 == 0  # half of it is each direction of the encoder
    assert abs(job.parameters - config.parameters) < 0.1 * config.parameters


@pytest.mark.slow
def test_a_sweep_chooses_on_validation_alone(tmp_path, capsys):
    command = ["adding", *TINY.split(), "--out", str(tmp_path / "sweep")]
    assert main([*command, "--sweep"]) == 0
    chosen = json.loads((tmp_path / "sweep" / "sweep.json").read_text())["adding(4)"]["rnn"]
    means = {float(rate): mean for rate, mean in chosen["means"].items()}
    assert chosen["chosen"] == min(means, key=means.__getitem__)
    lines = run_folder.read_lines(tmp_path / "sweep" / "adding_4" / "rnn" / "metrics.jsonl")
    config = json.loads((tmp_path / "sweep" / "config.json").read_text())["adding(4)"]["rnn"]
    assert config["seeds"] == 6 * [1000, 1001]  # as many as --seeds says, at each of six rates
    third = [
        value
        for value, rate in zip(lines[-1]["validation"], config["learning_rates"], strict=True)
        if rate == 1e-3
    ]
    np.testing.assert_allclose(means[1e-3], np.mean(third))
    result = json.loads((tmp_path / "sweep" / "adding_4" / "rnn" / "result.json").read_text())
    assert "test" not in result


def test_the_first_comparison_ends_runs_on_adding_where_they_are_solved():
    config = first_comparison.Config()
    jobs = conduct.plan(first_comparison.settings(config), sweeping=False)
    ends = {job.setting.task.name: job.setting.budget.until_solved for job in jobs}
    assert ends == {"adding(100)": True, "digits": False} and len(jobs) == 8
    command.require_one_budget(config)
    seconds = first_comparison.Digits(seconds=5.0)
    command.require_one_budget(first_comparison.Config(digits=seconds))
