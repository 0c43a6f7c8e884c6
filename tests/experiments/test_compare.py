import io
import json

import pytest
from rich.console import Console

from experiments.__main__ import main
from experiments.harness.report import compare
from tests.experiments.handmade import contender, setting, summary

START = {"started": "then", "jax": "0.10.2", "git": "abc", "devices": ["cpu:0", "cpu:1"]}


def job(**fields):
    return {"steps": 100, "clip": 1.0, "learning_rates": [0.01, 0.01], **fields}


def made(path, config, *settings, starts=(START,)):
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"experiment": "made", **config}))
    (path / "environment.json").write_text(json.dumps(list(starts)))
    if settings:
        (path / "results.json").write_text(json.dumps(summary(*settings)))
    return path


@pytest.fixture
def two(tmp_path):
    """Two runs that share one of two tasks."""
    one = made(
        tmp_path / "one",
        {"adding(4)": {"rnn": job(), "gru": job()}, "parity": {"rnn": job()}},
        setting("adding(4)", contender("rnn", interval=[0.25, 0.75]), contender("gru")),
        setting("parity", contender("rnn")),
    )
    other = made(
        tmp_path / "other",
        {"adding(4)": {"rnn": job(steps=300), "gru": job(steps=300, clip=None)}},
        setting("adding(4)", contender("gru"), contender("rnn", solved=(4000, 8000), steps=300,
                                                         median=0.875, seconds=99.6)),
        starts=[START, {**START, "started": "later", "git": "def"}],
    )  # fmt: skip
    return one, other


def printed(*paths):
    console = Console(file=io.StringIO(), width=200)
    compare.compare(list(paths), console)
    lines = console.file.getvalue().splitlines()
    cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]
             for line in lines]  # fmt: skip
    return lines, [row for row in cells if len(row) > 1]


def test_runs_stand_beside_each_other_in_a_table_of_the_task_that_both_have(two):
    lines, rows = printed(*two)
    at = rows.index(
        ["run", "contender", "hidden size", "parameters", "learning rate", "median",
         "best to worst", "solved", "sequences", "steps", "seconds"]
    )  # fmt: skip
    gru = ["7", "77", "0.01", "0.5000", "0.5000 to 0.5000", "0 of 2", "-", "100", "12"]
    better = ["7", "77", "0.01", "0.8750", "0.8750 to 0.8750", "2 of 2", "6,000", "300", "100"]
    assert rows[at + 1 :] == [
        ["one", "rnn", *gru[:3], "0.5000 [0.2500, 0.7500]", *gru[4:]],
        ["one", "gru", *gru],
        ["other", "gru", *gru],
        ["other", "rnn", *better],
    ]
    titles = [line.rstrip() for line in lines if line.startswith(("adding", "parity"))]
    assert titles == ["adding(4): test accuracy, higher is better"]


def test_what_differs_is_told_once_where_it_is_the_same_for_all(two):
    _, rows = printed(*two)
    assert rows[:6] == [
        ["field", "one", "other"],
        ["contenders on parity", "rnn", "-"],
        ["steps", "100", "300"],
        ["adding(4) gru: clip", "1.0", "None"],
        ["field", "one", "other"],
        ["git", "abc", "abc; def"],
    ]


def test_runs_that_do_not_differ_are_told_to_be_the_same(tmp_path):
    parts = {"parity": {"rnn": job()}}, setting("parity", contender("rnn"))
    lines, _ = printed(made(tmp_path / "a", *parts), made(tmp_path / "b", *parts))
    assert lines[:2] == [
        "No difference in configuration",
        "No difference in versions and machine",
    ]


def test_one_run_shows_all_its_tasks(two):
    lines, _ = printed(two[0])
    titles = [line.partition(":")[0] for line in lines if "test accuracy" in line]
    assert titles == ["adding(4)", "parity"]


def test_folders_of_one_name_are_told_by_their_paths(tmp_path, two):
    (tmp_path / "b").mkdir()
    parts = {"parity": {"rnn": job()}}, setting("parity", contender("rnn"))
    again = made(tmp_path / "b" / "one", *parts)
    _, rows = printed(two[0], again)
    assert {row[0] for row in rows if row[1] == "rnn" and len(row) > 5} == {
        str(two[0]), str(again),
    }  # fmt: skip


def test_an_unfinished_run_says_how_far_it_is(tmp_path, capsys):
    path = made(tmp_path / "half", {"adding(4)": {"rnn": job(), "gru(a=1)": job()}})
    for name in ("rnn", "gru_a_1"):
        (path / "adding_4" / name).mkdir(parents=True)
    (path / "adding_4" / "rnn" / "result.json").write_text("{}")
    (path / "adding_4" / "gru_a_1" / "metrics.jsonl").write_text('{"step": 10}\n{"step": 20}\n')
    assert main(["compare", str(path)]) == 1
    assert capsys.readouterr().err == (
        f"error: {path} has no results.json yet: 1 of 2 contenders are done, and adding_4/gru_a_1 "
        f"is at step 20; the command that started it continues it: python -m experiments made ... "
        f"--out {path}\n"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "is not a run folder"),
        (lambda path: made(path, {"parity": {}}, {"task": "parity"}), "from an older version"),
        (lambda path: made(path, {"parity": {}}, "success"), "from an older version"),
        (lambda path: made(path, {}, setting("parity", {"contender": "rnn"})), "an older version"),
        (lambda path: made(path, {}, starts=(5,)), "environment.json cannot be read"),
        (lambda path: (made(path, {}) / "config.json").write_text("{"), "cannot be read"),
        (lambda path: (made(path, {}) / "config.json").write_text("{}"), "is not a run folder"),
        (lambda path: (made(path, {}) / "sweep.json").write_text("{}"), "got a sweep"),
        (
            lambda path: made(path, {}, setting("dyck", contender("rnn"))),
            "a task in common, got none: one has",
        ),
    ],
)
def test_folders_that_cannot_be_compared_are_one_line(two, tmp_path, capsys, make, message):
    make(tmp_path / "odd")
    assert main(["compare", str(two[0]), str(tmp_path / "odd")]) == 1
    error = capsys.readouterr().err
    assert message in error and "odd" in error and len(error.splitlines()) == 1


def test_a_run_is_compared_with_others_and_not_with_itself(two, capsys):
    assert main(["compare", str(two[0]), str(two[0] / "." / ".." / "one")]) == 1
    assert "got it twice" in capsys.readouterr().err
