"""Files that register cells and tasks: what they may import, and how they are unloaded."""

import pickle
import sys
import traceback

import pytest

import lstm_jax as lj
from experiments.__main__ import main
from experiments.harness.run import loading
from lstm_jax import tasks
from tests.selection import mostly_slow

CELL = """
import lstm_jax as lj

def {name}(size):
    return lj.rnn(size)

lj.cells.registry["{name}"] = {name}
"""


@pytest.fixture(autouse=True)
def restore_registries():
    """Restores registries, modules and the path after a test."""
    before = [(entries, dict(entries)) for entries in (lj.cells.registry, tasks.registry)]
    path = list(sys.path)
    yield
    loading.load_files([])
    assert sys.path == path
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_a_file_imports_what_lies_beside_it_when_it_runs_and_later(tmp_path):
    write(tmp_path / "helpers", __init__="", sizes="TWICE = 2")
    write(
        tmp_path,
        early="def made(size): return size",
        late="THRICE = 3",
        mine="""
import early
from helpers.sizes import TWICE
import lstm_jax as lj

def mine(size):
    import late
    return lj.rnn(early.made(size) * TWICE * late.THRICE)

lj.cells.registry["mine"] = mine
""",
    )
    loading.load_files([tmp_path / "mine.py"])
    assert lj.cells.make("mine", 5).size == 30
    assert [file.name for file in loading.loaded_files()] == [
        "early.py", "__init__.py", "sizes.py", "late.py", "mine.py"
    ]  # fmt: skip
    assert not list(tmp_path.rglob("__pycache__"))


def test_what_a_file_defines_can_be_pickled_and_may_be_a_dataclass(tmp_path):
    write(
        tmp_path,
        picklable="""
from __future__ import annotations
import dataclasses
import lstm_jax as lj

@dataclasses.dataclass(frozen=True)
class Options:
    bias: float | None = 1.0

def picklable(size, *, options=Options()):
    return lj.lstm(size, forget_bias=options.bias)

lj.cells.registry["picklable"] = picklable
""",
    )
    loading.load_files([tmp_path / "picklable.py"])
    factory = lj.cells.registry["picklable"]
    assert pickle.loads(pickle.dumps(factory)) is factory


def test_files_of_one_name_and_their_neighbours_of_one_name_are_kept_apart(tmp_path):
    text = CELL + "\nimport shared_name\nWHOSE = shared_name.WHOSE\n"
    for folder in ("a", "b"):
        write(
            tmp_path / folder,
            same=text.format(name=f"of_{folder}"),
            shared_name=f"WHOSE = {folder!r}",
        )
    loading.load_files([tmp_path / "a" / "same.py", tmp_path / "b" / "same.py"])
    for folder in ("a", "b"):
        factory = lj.cells.registry[f"of_{folder}"]
        assert factory.__globals__["WHOSE"] == folder
        assert pickle.loads(pickle.dumps(factory)) is factory


@pytest.mark.parametrize(
    "stem", mostly_slow(["numpy", "lstm_jax", "wave", "adding", "my-cell", "1st"], ["numpy", "1st"])
)
def test_a_file_may_have_any_name(tmp_path, stem):
    before = sys.modules.get(stem)
    write(tmp_path, **{stem: CELL.format(name="any_name")})
    loading.load_files([tmp_path / f"{stem}.py"])
    factory = lj.cells.registry["any_name"]
    assert pickle.loads(pickle.dumps(factory)) is factory
    assert before is None or sys.modules[stem] is before


def test_a_file_that_another_has_imported_runs_once(tmp_path):
    write(
        tmp_path,
        cell_file=CELL.format(name="once") + "\nprint('once')\n",
        task_file="import cell_file",
    )
    loading.load_files([tmp_path / "task_file.py", tmp_path / "cell_file.py"])
    factory = lj.cells.registry["once"]
    assert factory.__module__ == "cell_file"
    assert pickle.loads(pickle.dumps(factory)) is factory


def test_the_next_command_sees_what_was_changed(tmp_path):
    for size in (1, 2):
        write(tmp_path, beside=f"SIZE = {size}", changed=f"""
import beside, lstm_jax as lj
lj.cells.registry["changed"] = lambda size: lj.rnn(10 * {size} + beside.SIZE)
""")  # fmt: skip
        loading.load_files([tmp_path / "changed.py"])
        assert lj.cells.make("changed", 1).size == 11 * size


@pytest.mark.slow
def test_a_name_that_is_in_use_is_refused(tmp_path, capsys):
    write(tmp_path, first=CELL.format(name="mine"), second=CELL.format(name="mine"))
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    assert main(["adding", "--dry-run", "--load", str(first), str(second)]) == 2
    assert capsys.readouterr().err == (
        f"error: load: {second}: expected a new name for the cell, got 'mine', which is already "
        f"registered by {first}\n"
    )
    write(tmp_path, first="from lstm_jax import tasks\ntasks.registry['adding'] = tuple\n")
    message = "expected a new name for the task, got 'adding', which is already registered by lstm"
    with pytest.raises(ValueError, match=message):
        loading.load_files([first])


def test_an_import_of_what_is_not_there_shows_the_line(tmp_path):
    write(tmp_path, lonely="import lstm_jax\nimport not_beside_it\n")
    with pytest.raises(ModuleNotFoundError) as caught:
        main(["adding", "--load", str(tmp_path / "lonely.py")])
    assert 'lonely.py", line 2' in "".join(traceback.format_exception(caught.value))
