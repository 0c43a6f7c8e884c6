"""The page on adding an experiment is true: its file is an experiment."""

import sys
import types

import numpy as np
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
    lines = PAGE.commands("python -m experiments")
    (line,) = [line for line in lines if line[0] == "flip_flop" and "--dry-run" in line]
    fewer = "--steps 2 --every 1 --lengths 8 --cells lstm --seeds 1 --parameters 400 --no-cache"
    assert command.main([*line, *fewer.split()]) == 0
    assert "1 contenders" in capsys.readouterr().out
    assert flip_flop.TIME


@pytest.fixture
def lynx(monkeypatch):
    module = types.ModuleType("experiments.series.lynx")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(command.THEMES, "lynx", "series")
    exec(PAGE.block("def studies"), module.__dict__)
    years = np.arange(114)
    module.read_series = lambda: 10 ** (3 + np.sin(2 * np.pi * years / 9.6))
    return module


def test_its_study_is_an_experiment(lynx, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    dry, line = (line for line in PAGE.commands("python -m experiments") if line[0] == "lynx")
    assert command.main(dry) == 0 and "7 trials" in capsys.readouterr().out
    fewer = "--size 4 --epochs 2 --seeds 1 --no-cache"
    assert command.main([*line, *fewer.split()]) == 0
    text = (tmp_path / "runs" / "lynx" / "report.md").read_text()
    assert "Tested on the last 14 years" in text and "![validation loss](lynx_" in text
    for row in ("last value | baseline", "AR(10) | linear", "GRU | net"):
        assert f"| {row} |" in text
    assert lynx.TIME


def test_the_files_that_it_names_are_there():
    for name in ("memory/chrono.py", "formal/state_tracking.py"):
        assert f"experiments/{name}" in PAGE.text
        assert (ROOT / "experiments" / name).exists()
