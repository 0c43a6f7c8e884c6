"""The page on adding a cell is true: its example obeys the laws."""

import re
import sys
import types

import pytest

import lstm_jax as lj
from tests.cases import Case
from tests.conformance import LAWS
from tests.pages import Page

PAGE = Page("docs/how_to/add_a_cell.md")

# The others are for make test-slow.
QUICK = ("the_contract", "methods_agree", "causality")


def _ugrnn():
    text = PAGE.block("def ugrnn")
    assert len(text.splitlines()) < 40
    module = types.ModuleType("page_ugrnn")  # where pickle finds the factory
    sys.modules[module.__name__] = module
    exec(text, module.__dict__)
    return module.ugrnn


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "law", [pytest.param(law, marks=[pytest.mark.slow] * (law not in QUICK)) for law in LAWS]
)
def test_the_example_cell_obeys(law):
    LAWS[law](_case())


_CASES: list[Case] = []


def _case() -> Case:
    if not _CASES:  # one cell for all laws, which share its compiled programs
        _CASES.append(Case(_ugrnn()(3)))
        del lj.cells.registry["ugrnn"]  # the example registers itself; other tests must not see it
    return _CASES[0]


def test_the_cell_is_written_with_lj_alone():
    lines = re.findall(r"^(?:import|from) .*", PAGE.block("def ugrnn"), re.MULTILINE)
    assert lines == ["import jax", "import jax.numpy as jnp", "import lstm_jax as lj"]


def test_the_builders_that_the_page_names_are_there():
    for name in re.findall(r"`lj\.core\.(\w+)", PAGE.text):
        assert hasattr(lj.core, name), name
