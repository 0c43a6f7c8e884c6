"""The pages on adding a task are true: their files, commands and programs run."""

import importlib
import itertools
import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.__main__ import main
from experiments.harness.run import loading
from lstm_jax import tasks, train
from lstm_jax.tasks import pairs
from tests.pages import Page

TASK = Page("docs/how_to/add_a_task.md")
PAIRS = Page("docs/how_to/add_a_task_of_pairs.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page's files, in which its commands are run."""
    path = tmp_path_factory.mktemp("page")
    (path / "my_task.py").write_text(TASK.block("def change"))
    (path / "my_recordings.py").write_text(TASK.block("def recordings"))
    (path / "my_pairs.py").write_text(PAIRS.block("def squeeze"))
    registered = dict(tasks.registry)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.syspath_prepend(str(path))
        yield path
    loading.load_files([])
    for name in ("my_task", "my_pairs"):
        sys.modules.pop(name, None)
    tasks.registry.clear()
    tasks.registry.update(registered)


def arguments(command):
    """The arguments of the page's command ``command``, with fewer steps and lengths."""
    (found,) = [line for line in TASK.commands("python -m experiments") if line[0] == command]
    fewer = {"--steps": "20", "--lengths": "6"}
    kept = []
    for before, word in zip(["", *found], found, strict=False):
        kept.append(fewer.get(before, word) if not word.startswith("--") else word)
    return kept


@pytest.fixture(scope="module")
def results(folder):
    options = ["--seeds", "1", "--every", "10", "--parameters", "40"]
    command = [word for word in arguments("task") if word != "80"]
    assert main([*command, *options]) == 0
    return json.loads((folder / "runs" / "task_change" / "results.json").read_text())


@pytest.mark.slow
def test_the_command_trains_the_cells_and_reports_both_scores(folder, results):
    (setting,) = results["settings"]
    assert setting["task"] == "change(20)" and setting["score"] == "MSE"
    assert [other["score"] for other in setting["scores"]] == ["MAE"]
    names = [contender["contender"] for contender in setting["contenders"]]
    assert names == ["lstm", "gru"]
    report = (folder / "runs" / "task_change" / "report.md").read_text()
    assert "MAE, lower is better" in report and "6 steps" in report and "0.1667" in report
    assert "lstm and gru: of 0.001, 0.003 and 0.01, the best on validation data" in report


@pytest.mark.slow
def test_the_trained_cell_is_loaded_and_answers(results):
    names = {}
    exec(TASK.block("load_cell"), names)
    assert names["answers"].shape == (3, 1)
    readout, ys = names["params"]["readout"], names["ys"]
    np.testing.assert_allclose(names["answers"], ys[-1] @ readout["w"] + readout["b"], atol=1e-5)
    np.testing.assert_allclose(names["y"], ys[-1], atol=1e-5)


@pytest.mark.slow
def test_the_other_commands_run(folder, capsys):
    assert main(arguments("tasks")) == 0
    assert "| change(20) | 1 | 1 | 20 |" in (folder / "runs/tasks/tasks.md").read_text().replace(
        "[change(20)](#change)", "change(20)"
    )
    command = [*arguments("suite"), "--seeds", "1", "--parameters", "40", "--dry-run"]
    command[command.index("--budget") + 1] = "16s"
    assert main(command) == 0
    assert "2 contenders" in capsys.readouterr().out


def test_the_contract_is_checked_as_the_page_does_it(folder):
    loading.load_files([])
    tasks.registry.pop("change", None)
    names = {}
    exec(TASK.block("tasks.check(task)"), names)
    assert names["batch"].xs.shape == (5, 1000, 1)


def test_what_the_page_says_of_its_task_is_true(folder):
    loading.load_files([folder / "my_task.py"])
    task = tasks.make("change")
    targets = np.asarray(task.test.targets)[:, 0]
    last = np.asarray(task.test.xs)[-1, :, 0]
    (mae,) = task.scores
    constant, knowing = jnp.zeros((1000, 1)), jnp.asarray(last - 0.5)[:, None]
    for score in (task.score, mae):
        assert score.measure(constant, task.test) == pytest.approx(score.chance, rel=0.1)
        assert score.measure(knowing, task.test) == pytest.approx(score.memoryless, rel=0.1)
    np.testing.assert_allclose(targets, last - np.asarray(task.test.xs)[0, :, 0], atol=1e-6)
    assert task.test_at(7, 3).xs.shape == (7, 3, 1)
    with pytest.raises(ValueError, match="length: expected at least 2, got 1"):
        tasks.make("change(length=1)")


@pytest.mark.slow
def test_recordings_of_a_file_keep_the_contract(folder):
    loading.load_files([folder / "my_recordings.py"])
    task = tasks.make("recordings")
    tasks.check(task)
    model = train.recurrent(lj.gru(4), task.input_size, task.output_size, reads=task.reads)
    batch = task.sample(jax.random.key(0), 8)
    params = model.init(jax.random.key(0))
    assert np.isfinite(task.loss(model.apply(params, batch.xs), batch))
    held_out = {np.asarray(part.xs.values)[:, 0].tobytes() for part in (task.validation, task.test)}
    assert len(held_out) == 2 and task.validation.targets.shape == (50,)


@pytest.mark.slow
def test_pairs_keep_the_contract_and_are_learnt(folder):
    importlib.invalidate_caches()
    names = {}
    exec(PAIRS.block("tasks.check(pair_task)"), names)
    task, tokens = names["pair_task"], np.asarray(names["tokens"])
    source, target, vocabulary = task.test.source, task.test.target, names["VOCABULARY"]
    for row in range(50):
        text = vocabulary.decode(source[: task.test.source_lengths[row], row])
        squeezed = [letter for letter, _ in itertools.groupby(text)]
        assert vocabulary.decode(target[:, row]) == squeezed
        assert target[task.test.target_lengths[row] - 1, row] == pairs.END
    share = task.score.measure(tokens, task.test)
    assert share == pytest.approx(pairs.exact_match(tokens, np.asarray(target))) and share > 0.9
    constant = [task.score.measure(target[:, [row]], task.test) for row in range(50)]
    assert max(constant) == pytest.approx(task.score.chance)


@pytest.mark.parametrize(
    "options",
    [
        "chang --load my_task.py",
        "--load my_task change",
        "change(speed=2) --load my_task.py",
        "change --load my_task.py --lengths 1",
        "change --load my_task.py --parameters 5",
    ],
)
@pytest.mark.slow
def test_the_errors_are_those_of_the_page(folder, options, capsys):
    importlib.invalidate_caches()
    assert main(["task", *options.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    messages = re.findall(r"^\| `(.*?)` \|", TASK.text, re.MULTILINE)
    patterns = [re.escape(message).replace(r"\.\.\.", ".*") for message in messages]
    assert any(re.fullmatch(f"error: {pattern}", line) for pattern in patterns), line
