"""What is installed: the wheel, its version, and what importing it loads."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import lstm_jax
from tests.pages import ROOT, Page

# What cells do not need: the experiments' libraries, and those that only lj.train and lj.nnx use.
NOT_LOADED = ("flax", "optax", "orbax", "chex", "matplotlib", "sklearn", "scipy", "grain", "rich",
              "tyro", "pooch", "torch", "keras", "onnx", "onnxruntime", "safetensors")  # fmt: skip


def run(code, **environment):
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=os.sep,
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_loads_no_library_that_a_cell_does_not_need():
    loaded = run("import sys, lstm_jax; print(*sys.modules)", PYTHONPATH=str(ROOT)).split()
    assert "lstm_jax.cells.lstm" in loaded and "jax" in loaded
    assert not set(NOT_LOADED) & set(loaded)


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [lstm_jax.__version__]
    released = re.findall(r"^## ([\d.]+)", Page("CHANGELOG.md").text, re.MULTILINE)
    assert released[0] == lstm_jax.__version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since setuptools would find files of earlier builds in this folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lstm_jax", source / "lstm_jax", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", folder, source], check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.mark.slow
def test_the_wheel_has_the_library_and_nothing_else(wheel):
    assert wheel.name == f"lstm_jax-{lstm_jax.__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert "lstm_jax/py.typed" in names and "lstm_jax/insight/static/explorer.js" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"lstm_jax", f"lstm_jax-{lstm_jax.__version__}.dist-info"}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "lstm_jax").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}


@pytest.mark.slow
def test_the_readme_runs_on_the_installed_wheel(wheel, tmp_path):
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            tmp_path,
            wheel,
        ],
        check=True,
    )
    example = Page("README.md").block("value_and_grad")
    code = f"{example}\nimport lstm_jax\nprint(lstm_jax.__file__)"
    assert run(code, PYTHONPATH=str(tmp_path)).split()[-1].startswith(str(tmp_path))
