"""The README keeps its word: its Python runs, and its example cell obeys the laws."""

import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import Case
from tests.conformance import LAWS, close
from tests.pages import Page

README = Page("README.md")
block = README.block

# The others are for make test-slow.
QUICK = ("the_contract", "methods_agree", "gradients_are_derivatives", "padding_is_inert",
         "a_reset_is_a_split", "causality")  # fmt: skip


def test_the_first_lines_run_and_are_ten():
    text = block("value_and_grad")
    assert len([line for line in text.splitlines() if line.strip()]) <= 10
    exec(text, {})


def test_many_devices_give_what_one_gives():
    names = {}
    exec(block("data_parallel"), names)
    arguments = (names["params"], names["xs"], names["targets"])
    expected = jax.jit(jax.value_and_grad(names["loss"]))(*arguments)
    close((names["value"], names["gradients"]), expected, 1e-5)


def test_a_sequence_is_written_and_aligned():
    names = {}
    exec(block("encoder_decoder"), names)
    assert 0 < names["loss"] < 100
    assert names["tokens"].shape == (15, 8)
    steps, weights = names["found"].lengths[:, 0], names["alignments"]
    assert weights.shape == (15, 8, 12)
    beyond = jnp.arange(12) >= names["lengths"][:, None]
    np.testing.assert_array_equal(jnp.where(beyond, weights, 0), 0)  # no padding is read
    written = jnp.arange(15)[:, None] < steps
    np.testing.assert_allclose(weights.sum(axis=-1), written, atol=1e-6)


def _ugrnn():
    text = block("def ugrnn")
    assert len(text.splitlines()) < 40
    module = types.ModuleType("readme_ugrnn")  # where pickle finds the factory
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


def test_every_file_that_the_readme_names_is_there():
    for target in README.links():
        assert target.exists(), target
