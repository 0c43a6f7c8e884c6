"""The API reference lists every public name, and no others."""

import importlib
import inspect
import re

import pytest

import lstm_jax as lj
from lstm_jax import tasks
from tests.pages import ROOT

PUBLIC = [
    "lstm_jax",
    *(
        f"lstm_jax.{room}"
        for room in (
            "attend",
            "cells",
            "core",
            "decode",
            "export",
            "files",
            "graph",
            "insight",
            "interop",
            "nnx",
            "seq2seq",
            "tasks",
            "tasks.images",
            "tasks.pairs",
            "tasks.series",
            "tasks.text",
            "train",
            "train.series",
            "tree",
            "unrolling",
            "wrappers",
        )
    ),
]
TEXT = "\n".join(page.read_text("utf-8") for page in sorted((ROOT / "docs/api").glob("*.rst")))
DIRECTIVE = re.compile(r"^\.\. (?:auto)?(?:class|function|data|module|exception):: (\S+)$", re.M)
DESCRIBED = DIRECTIVE.findall(TEXT)
NAMED = {*DESCRIBED, *re.findall(r"``(lstm_jax\.[\w.]+)``", TEXT)}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_on_a_page(module):
    names = importlib.import_module(module).__all__
    assert [name for name in names if f"{module}.{name}" not in NAMED] == []


@pytest.mark.parametrize("module", [lj.core.checking, lj.core.cell_checks])
def test_every_check_is_on_the_page(module):
    checks = {
        name
        for name, thing in vars(module).items()
        if inspect.isfunction(thing)
        and thing.__module__ == module.__name__
        and not name.startswith("_")
    }
    prefix = f"lstm_jax.core.{module.__name__.rpartition('.')[2]}."
    assert checks == {name.removeprefix(prefix) for name in DESCRIBED if name.startswith(prefix)}


def test_every_name_on_a_page_is_there():
    for path in sorted(NAMED):
        thing = importlib.import_module("lstm_jax")
        for name in path.split(".")[1:]:
            if not hasattr(thing, name):
                importlib.import_module(f"{thing.__name__}.{name}")
            thing = getattr(thing, name)


def test_nothing_is_described_twice():
    assert len(DESCRIBED) == len(set(DESCRIBED))


def test_every_registered_cell_and_task_is_described():
    modules = {factory.__module__ for factory in tasks.registry.values()}
    assert modules <= set(DESCRIBED)
    for name, factory in lj.cells.registry.items():
        if factory.__module__ != "lstm_jax.cells.registry":  # not a preset of another
            assert f"lstm_jax.{factory.__name__}" in DESCRIBED, name
