"""The table and the pictures of the tasks."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.__main__ import main
from experiments.harness.report import task_pictures
from lstm_jax import tasks
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks import Batch, Score, Sequences, Success, Task, classes


def made_up(length: int = 5) -> Task:
    """A task of nobody, of 2026::

    and no more of it.
    """

    def draw(n):
        lengths = jnp.arange(1, n + 1) % length + 1
        steps = jnp.arange(length)[:, None]
        symbols = jnp.where(steps < lengths, (steps + lengths) % 3, -1)
        return Batch(Sequences(classes.one_hot(symbols, 3), lengths), symbols)

    return Task(
        f"made_up({length})", 3, 3, lambda key, n: draw(n), draw(4), draw(7), classes.cross_entropy,
        Score("nats", classes.cross_entropy, False, 1.25, 0.5), "every",
        Success(classes.error_rate, 0.25, 0.01, 30, "nobody", "training"),
        lambda length, n: draw(n),
    )  # fmt: skip


def missing() -> Task:
    raise FileNotFoundError("folder: there is none")


def others() -> Task:
    raise WrongValue("folder: its files are others")


@pytest.fixture
def registry(monkeypatch):
    every = {"made_up": made_up, "missing": missing, "adding": tasks.registry["adding"],
             "others": others}  # fmt: skip
    monkeypatch.setattr(tasks, "registry", every)
    monkeypatch.setattr(task_pictures, "SHORT", {"adding": {"length": 4}})


@pytest.mark.slow
def test_the_command_tells_and_draws_every_task(registry, tmp_path, capsys):
    assert main(["tasks", "--out", str(tmp_path / "out")]) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["adding.png", "made_up.png", "tasks.md"]
    table = (tmp_path / "out" / "tasks.md").read_text()
    assert (
        "| [made_up(5)](#made_up) | 3 | 3 | 1 to 5 | every step | nats, lower is better | 1.2500 "
        "| 0.5000 | each error below 0.25, their mean below 0.01, on the last 30 training "
        "sequences (nobody); error: share of wrong answers | yes |"
    ) in table
    assert (
        "| [adding(100)](#adding) | 2 | 1 | 100 | last step | MSE, lower is better | 0.1667"
        in table
    )
    assert "## made_up\n\nA task of nobody, of 2026.\n\n![made_up](made_up.png)" in table
    assert "missing is left out: folder: there is none" in table
    assert "others is left out: folder: its files are others" in table
    printed = capsys.readouterr().out
    assert (
        "A task of nobody, of 2026. Solved when: each error below 0.25," in printed
        and "missing is left out" in printed
    )


def test_pictures_of_others_are_left_alone(registry, tmp_path, capsys):
    (tmp_path / "adding.png").write_text("mine")
    assert main(["tasks", "--out", str(tmp_path)]) == 2
    assert "holds other files; choose another folder" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_the_example_is_the_longest_row_within_its_length():
    one = task_pictures.make_example(made_up())
    batch = made_up().sample(jax.random.key(0), task_pictures.SAMPLED)
    assert one.inputs.shape == (5, 3)
    np.testing.assert_array_equal(one.inputs, batch.xs.values[:, 3])
    np.testing.assert_array_equal(one.targets["target"], batch.targets[:, 3])
    symbols = one.inputs.argmax(axis=1)
    assert task_pictures.answers_by_step(one.targets["target"], one, "abc") == {
        step: "abc"[symbol] for step, symbol in enumerate(symbols)
    }


def test_what_is_asked_for_is_told_in_words_at_its_step():
    inputs = np.zeros((4, 2))
    last = task_pictures.Example("", inputs, {}, "last")
    assert task_pictures.answers_by_step(np.array(1), last, ("no", "yes")) == {3: "yes"}
    assert task_pictures.answers_by_step(np.array(7), last, ()) == {3: "7"}
    assert task_pictures.answers_by_step(np.array([0.5, 2.0], np.float32), last, ()) == {3: "0.5 2"}
    every = last._replace(reads="every")
    assert task_pictures.answers_by_step(np.array([-1, 0, -1, 1]), every, "ab") == {1: "a", 3: "b"}


def test_the_picture_shows_the_inputs():
    panel = Figure().subplots()
    values = np.array([[0.0, 1.0], [-0.5, 0.25], [1.0, 0.0]])
    task_pictures.draw_heatmap(panel, values, ("first", "second"))
    np.testing.assert_array_equal(panel.images[0].get_array(), values.T)
    low, high = panel.images[0].get_clim()
    assert low == -high and high >= 1  # 0 is in the middle of the colours: white
    assert [text.get_text() for text in panel.get_yticklabels()] == ["first", "second"]
    assert not panel.texts  # these are no symbols
    panel = Figure().subplots()
    task_pictures.draw_heatmap(panel, np.eye(3), "xyz")
    places = {text.get_text(): text.get_position() for text in panel.texts}
    assert places == {"x": (0, 0), "y": (1, 1), "z": (2, 2)}


def test_short_options_and_names_are_of_registered_tasks():
    for name, options in task_pictures.SHORT.items():
        inspect.signature(tasks.registry[name]).bind(**options)
    assert task_pictures.NAMES.keys() <= tasks.registry.keys()
