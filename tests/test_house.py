"""Which package may import which: imports run one way."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

# A module may import its own room and the rooms named here. The first room that contains a module
# has its rule. "lstm_jax" stands for all rooms of lstm_jax.
RULES: dict[str, list[str]] = {
    "lstm_jax._internal": [],
    "lstm_jax.core": ["_internal"],
    "lstm_jax.cells": ["_internal", "core"],
    "lstm_jax.attend": ["_internal", "core"],
    "lstm_jax.wrappers": ["_internal", "core", "cells", "attend"],
    "lstm_jax.unrolling": ["_internal", "core"],
    "lstm_jax.decode": ["_internal", "core", "unrolling"],
    "lstm_jax.nnx": ["_internal", "core", "unrolling"],
    "lstm_jax.seq2seq": ["_internal", "core", "attend", "unrolling", "decode"],
    "lstm_jax.graph": ["_internal", "core", "cells"],
    "lstm_jax.tree": ["_internal", "core", "cells", "graph"],
    "lstm_jax.tasks": ["_internal", "core"],
    "lstm_jax.train": ["_internal", "core", "cells", "wrappers", "unrolling", "tasks", "version"],
    "lstm_jax.files": [
        "_internal",
        "core",
        "cells",
        "attend",
        "wrappers",
        "nnx",
        "seq2seq",
        "train",
        "version",
    ],
    "lstm_jax.export": ["_internal", "core", "unrolling", "files", "version"],
    "lstm_jax.insight": ["_internal", "core", "cells", "attend", "wrappers", "unrolling"],
    "lstm_jax.interop": ["_internal", "core", "cells", "wrappers"],
    "lstm_jax": ["lstm_jax"],
    "experiments.harness.run": ["lstm_jax"],  # never experiments.harness.report
    "experiments.harness": ["lstm_jax"],
    "experiments.__main__": ["lstm_jax", "experiments.harness"],
    "experiments.general": ["lstm_jax", "experiments"],  # compares the settings of other themes
    "experiments.THEME": ["lstm_jax", "experiments.harness"],
    "benchmarks": ["lstm_jax", "experiments.harness"],
}

ROOT = Path(__file__).parent.parent
PACKAGES = ("lstm_jax", "experiments", "benchmarks")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}


def is_within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str:
    rooms = [room for room in RULES if is_within(module, room)]
    return rooms[0] if rooms else ".".join(module.split(".")[:2])  # a theme of the experiments


def may_import(module: str, other: str) -> bool:
    room = room_of(module)
    names = RULES.get(room, RULES["experiments.THEME"])
    rooms = [name if name.split(".")[0] in PACKAGES else f"lstm_jax.{name}" for name in names]
    return any(is_within(other, allowed) for allowed in (room, *rooms))


def imports(tree: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """The modules of this repository that a syntax tree imports."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and node.level == 0, "expected absolute imports"
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in members]
        elif inside_functions or not is_deferred(node):
            names = []
            yield from imports(node, inside_functions=inside_functions)
        else:
            names = []
        yield from (name for name in names if name.split(".")[0] in (*PACKAGES, "tests"))


def is_deferred(node: ast.AST) -> bool:
    """Whether importing the module does not run the node."""
    only_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return only_for_types or isinstance(node, ast.FunctionDef)


def test_the_rules():
    assert may_import("lstm_jax.cells.gru", "lstm_jax.core.cell")
    assert may_import("experiments.memory.adding", "experiments.harness.run.setting")
    assert may_import("experiments.general.suite", "experiments.memory.adding")
    assert not may_import("lstm_jax.core.cell", "lstm_jax.cells.gru")
    assert not may_import("lstm_jax.tasks.memory.adding", "lstm_jax.train.model")
    assert not may_import("lstm_jax.train.steps", "experiments.harness.run.setting")
    assert not may_import("experiments.memory.adding", "experiments.images.digits")
    assert not may_import("experiments.harness.run.runner", "experiments.harness.report.report")


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package):
    wrong = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if is_within(module, package)
        for other in imports(ast.parse(path.read_text()), inside_functions=True)
        if not may_import(module, other)
    ]
    assert not wrong, wrong


def test_there_are_no_import_cycles():
    graph = {
        module: set(imports(ast.parse(path.read_text()), inside_functions=False)) - {module}
        for module, path in MODULES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle
