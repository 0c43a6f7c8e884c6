"""The page on weights of other libraries is true: its programs run, each with its library."""

import re

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop.network import KINDS, Part
from lstm_jax.interop.parts import layout_of
from lstm_jax.interop.table import TABLE
from tests.pages import Page

PAGE = Page("docs/how_to/exchange_weights.md")


@pytest.fixture(scope="module")
def start():
    names = {}
    exec(PAGE.blocks("python")[0], names)
    return names


def run(start, blocks):
    names = dict(start)
    for text in blocks:
        exec(text, names)
    return names


def test_the_first_program(start):
    assert start["cell"] == lj.lstm(8) and start["ys"].shape == (5, 2, 8)
    ys = start["same"](start["xs"])
    np.testing.assert_allclose(ys, start["ys"], atol=1e-6)


def test_linen(start):
    names = run(start, [PAGE.block("from flax import linen")])
    assert names["cell"] == lj.gru(8)
    ys = lj.unroll(names["cell"], names["params"], names["xs"])[1]
    np.testing.assert_allclose(names["ys"], ys, atol=1e-6)


def test_the_error(start):
    message = run(start, [PAGE.block("except ValueError")])["message"]
    pattern = re.search(r"# (peephole: .*)$", PAGE.text, re.MULTILINE).group(1)
    assert re.match(re.escape(pattern).replace(r"\.\.\.", ".*"), message)


def test_torch(start):
    pytest.importorskip("torch")
    module = run(start, [PAGE.block("import torch")])
    names = run(module, [PAGE.block("state_dict")])
    assert names["cell"] == module["cell"]
    assert jax.tree.all(jax.tree.map(np.array_equal, names["params"], module["params"]))


@pytest.mark.parametrize("library", ["keras", "equinox", "haiku"])
def test_the_other_libraries(start, library):
    pytest.importorskip(library)
    names = run(start, [PAGE.block(f"import {library}")])
    cells = {
        "keras": lj.bidirectional(lj.gru(8), lj.gru(8)),
        "equinox": lj.gru(8),
        "haiku": lj.lstm(8),
    }
    assert names["cell"] == cells[library]


def test_the_table_of_cells():
    """The rows of the first kinds of cells agree with the converters'."""
    rows = re.findall(r"^\| `(lj\.\w+.*?)` \|(.*)\|$", PAGE.text, re.MULTILINE)
    texts = {kind.text: name for name, kind in KINDS.items()}
    checked = 0
    for text, columns in rows:
        for library, column in zip(TABLE, columns.split("|"), strict=True):
            if text in texts:
                kind = texts[text]
                options = {"activation": "relu"} if library == "Haiku" and kind == "rnn" else {}
                part = Part(kind, 4, options, {})
                checked += 1
                if column.strip():
                    layout_of(part, library)
                else:
                    with pytest.raises(ValueError, match="expected"):
                        layout_of(part, library)
    assert checked == len(texts) * len(TABLE)
