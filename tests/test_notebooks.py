"""The notebooks run, with a small budget, and are kept with their outputs."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import flags

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WHICH_CELL = ROOT / "notebooks" / "01_which_cell_remembers_longest.ipynb"
INSIDE = ROOT / "notebooks" / "02_inside_a_cell.ipynb"
VANISHING = ROOT / "notebooks" / "03_where_gradients_vanish.ipynb"
WHAT_IT_REMEMBERS = ROOT / "notebooks" / "04_what_a_trained_net_remembers.ipynb"
OWN_DATA = ROOT / "notebooks" / "05_train_on_your_own_sequences.ipynb"
KINDS = ("image/png", "text/markdown", "text/plain")  # the richest first

pytestmark = pytest.mark.xdist_group("notebooks")  # each is executed once for all tests


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cell):
    """For each output its kind, or the name of the stream that was printed to."""
    return [
        output.get("name") or next(kind for kind in KINDS if kind in output.data)
        for output in cell.outputs
    ]


def output_of(notebook, last):
    """The output of the one cell with this last line."""
    (cell,) = [cell for cell in code_cells(notebook) if cell.source.splitlines()[-1] == last]
    return ast.literal_eval(cell.outputs[-1].data["text/plain"])


def executed(path, root):
    """The notebook at ``path``, executed in ``notebooks`` of a folder that links to the packages,
    so that any file that it writes beside itself is found."""
    folder = root / "notebooks"
    folder.mkdir()
    for name in ("experiments", "lstm_jax"):
        (root / name).symlink_to(ROOT / name)
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTEBOOK_BUDGET", "4")
        patch.setenv("XLA_FLAGS", " ".join(flags))
        patch.setenv("JAX_PLATFORMS", "cpu")
        resources = {"metadata": {"path": str(folder)}}
        # Raises where a cell does: the asserts in it are tests.
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    assert not list(folder.iterdir())
    return notebook


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    return {path: executed(path, tmp_path_factory.mktemp(path.stem)) for path in NOTEBOOKS}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_what_it_puts_out(path, notebooks):
    kept = nbformat.read(path, as_version=4)
    nbformat.validate(kept)
    pairs = list(zip(code_cells(kept), code_cells(notebooks[path]), strict=True))
    assert [cell.execution_count for cell, _ in pairs] == list(range(1, len(pairs) + 1))
    for one, other in pairs:
        assert outputs(one) == outputs(other), one.source


@pytest.mark.slow
def test_its_three_cells_recall(notebooks):
    kept = nbformat.read(WHICH_CELL, as_version=4)
    for notebook, least in ((kept, 0.99), (notebooks[WHICH_CELL], 0.5)):
        accuracy = output_of(notebook, "accuracy")
        assert set(accuracy) == {"rnn", "gru", "lstm"}
        assert least < min(accuracy.values()) and max(accuracy.values()) <= 1


@pytest.mark.slow
def test_its_nets_show_what_the_text_says(notebooks):
    kept = nbformat.read(WHAT_IT_REMEMBERS, as_version=4)
    assert output_of(kept, "hits") >= 0.99
    stable, saddles, *_ = output_of(kept, "directions")
    assert (stable, saddles) == (8, 12)
    assert 0 <= output_of(notebooks[WHAT_IT_REMEMBERS], "hits") <= 1


def test_the_stored_outputs_show_what_the_text_says():
    inside, vanishing = (nbformat.read(path, as_version=4) for path in (INSIDE, VANISHING))
    assert output_of(inside, "round(float(accuracy), 3)") > 0.99
    last = "{name: round(float(accuracy), 2) for name, (_, _, accuracy) in trained.items()}"
    accuracy = output_of(vanishing, last)
    assert accuracy["LSTM, forget bias 5"] > 0.9
    assert max(accuracy["GRU"], accuracy["LSTM, forget bias 1"]) < 0.2
    last = '{name: f"{curve[LAG]:.0e}" for name, curve in start.items()}'
    left = {name: float(text) for name, text in output_of(vanishing, last).items()}
    own = nbformat.read(OWN_DATA, as_version=4)
    errors = output_of(own, "errors")
    net = errors.pop("LSTM")
    assert all(net[i] < min(other[i] for other in errors.values()) for i in range(3))
    assert all(
        0.7 < share < 0.9 for share in output_of(own, "inside.mean(axis=0).round(2).tolist()")
    )
    assert min(left, key=left.get) == "ReLU RNN" and max(left, key=left.get) == list(left)[-1]
