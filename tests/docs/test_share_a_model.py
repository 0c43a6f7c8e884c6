"""The page on saving and exporting is true: its programs run, with and without lstm_jax."""

import subprocess
import sys

import jax
import numpy as np
import pytest

import lstm_jax as lj
from tests.pages import Page

pytest.importorskip("safetensors")
pytest.importorskip("onnxruntime")

PAGE = Page("docs/how_to/share_a_model.md")
ELSEWHERE = {"import jax.export": ["lstm_jax"], "import onnxruntime": ["lstm_jax", "jax"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the page's own programs have run."""
    path = tmp_path_factory.mktemp("page")
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for block in PAGE.blocks("python"):
            if not any(word in block for word in ELSEWHERE):
                exec(block, names)
    return path, names


def test_the_model_comes_back(folder):
    path, names = folder
    assert names["loaded"] == names["cell"]
    jax.tree.map(np.testing.assert_array_equal, names["weights"], names["params"])
    assert names["information"].notes == {"sensors": ["a", "b", "c"]}
    assert "python train.py --epochs 20" in (path / "model.md").read_text()
    assert isinstance(names["state"][0], lj.LSTMState)


@pytest.mark.parametrize("word", ELSEWHERE)
def test_a_program_runs_without_lstm_jax(folder, word):
    path, names = folder
    xs = np.linspace(-1, 1, 5 * 2 * 3, dtype=np.float32).reshape(5, 2, 3)
    _, ys = lj.unroll(names["cell"], names["params"], xs)
    np.save(path / "expected.npy", ys)
    missing = "".join(f"sys.modules[{name!r}] = None\n" for name in ELSEWHERE[word])
    check = "np.testing.assert_allclose(ys, np.load('expected.npy'), atol=1e-5)\n"
    if word == "import jax.export":
        check += "np.testing.assert_allclose(y, ys[-1], atol=1e-5)\n"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{missing}{PAGE.block(word)}{check}"],
        cwd=path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
