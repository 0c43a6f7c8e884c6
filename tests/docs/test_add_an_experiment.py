"""The page on adding an experiment is true: its file is an experiment."""

import sys
import types

import pytest

import experiments.__main__ as command
from tests.pages import ROOT, Page

PAGE = Page("docs/how_to/add_an_experiment.md")


@pytest.fixture
def flip_flop(monkeypatch):
    module = types.ModuleType("experiments.memory.flip_flop")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(command.THEMES, "flip_flop", "memory")
    exec(PAGE.block("def settings"), module.__dict__)
    return module


def test_its_file_is_an_experiment(flip_flop, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (line,) = [line for line in PAGE.commands("python -m experiments") if "--dry-run" in line]
    fewer = "--steps 2 --every 1 --lengths 8 --cells lstm --seeds 1 --parameters 400 --no-cache"
    assert command.main([*line, *fewer.split()]) == 0
    assert "1 contenders" in capsys.readouterr().out
    assert flip_flop.TIME


def test_the_files_that_it_names_are_there():
    for name in ("memory/chrono.py", "formal/state_tracking.py"):
        assert f"experiments/{name}" in PAGE.text
        assert (ROOT / "experiments" / name).exists()
