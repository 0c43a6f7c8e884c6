"""What a type checker knows of the public API."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USER = ROOT / "tests" / "typing" / "user.py"


@pytest.mark.slow
def test_a_program_of_a_user_under_mypy_strict():
    """``tests/typing/user.py`` states the types, and expects errors where it ignores them."""
    pytest.importorskip("mypy")
    options = ["--strict", "--config-file=", "--cache-dir=.mypy_cache/user"]
    # Errors inside the package are not the user's, and not shown for an installed one.
    options += ["--follow-imports=silent", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, str(USER)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_all_functions_are_annotated():
    """Except those inside functions, such as the equations of a cell, whose types a form says."""
    missing = [
        f"{path.relative_to(ROOT)}:{function.lineno}: {function.name}"
        for path in sorted((ROOT / "lstm_jax").rglob("*.py"))
        for function in functions_outside_functions(ast.parse(path.read_text(encoding="utf-8")))
        if not is_annotated(function)
    ]
    assert missing == []


def functions_outside_functions(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        else:
            yield from functions_outside_functions(child)


def is_annotated(function):
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    named = [each for each in every if each.arg not in ("self", "cls")]
    returns = function.returns is not None or function.name == "__init__"
    return returns and all(each.annotation is not None for each in named)


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "lstm_jax" / "py.typed").is_file()
