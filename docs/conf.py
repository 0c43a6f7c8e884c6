"""How Sphinx builds these pages: `make docs`."""

import pkgutil
import re
import shutil
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(DOCS))

import docstrings  # noqa: E402
from sphinx.pycode import ModuleAnalyzer  # noqa: E402

import lstm_jax  # noqa: E402

project = "lstm_jax"
author = "the authors of lstm_jax"
copyright = "the authors of lstm_jax, Apache-2.0"
release = version = lstm_jax.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

html_theme = "sphinx_book_theme"
html_title = "lstm_jax"
html_theme_options = {"navbar_persistent": [], "show_navbar_depth": 1, "show_toc_level": 2}
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # a notebook is shown with the outputs that it is kept with

add_module_names = True
autodoc_member_order = "bysource"
autodoc_docstring_signature = False
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_attr_annotations = False  # "*batch H" would be read as emphasis
toc_object_entries_show_parents = "hide"


def copy_notebooks() -> None:
    """Sphinx reads what lies in this folder, and the notebooks lie beside it."""
    (DOCS / "notebooks").mkdir(exist_ok=True)
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = notebook.read_text(encoding="utf-8")
        text = re.sub(r"\.\./experiments/results/(\w+)/report\.md", r"../results/\1.md", text)
        copied = DOCS / "notebooks" / notebook.name
        if not copied.exists() or copied.read_text(encoding="utf-8") != text:
            copied.write_text(text, encoding="utf-8")
            shutil.copystat(notebook, copied)


def to_built_pages(app: Any, name: str, source: list[str]) -> None:
    """Links are written for readers of the repository. Here the notebooks are among the pages, and
    a report stands where it is included."""
    text = source[0].replace("](../../notebooks/", "](../notebooks/")
    source[0] = re.sub(r"\[([^]]+)\]\(\.\./\.\./\w+/results/[^)]+\.md\)", r"`\1`", text)


def hide_overloads() -> None:
    """A function has one signature here, its own; overloads are for type checkers."""
    for module in pkgutil.walk_packages(lstm_jax.__path__, "lstm_jax."):
        source = ModuleAnalyzer.for_module(module.name)
        if "@overload" in source.code:
            source.analyze()
            source.overloads.clear()


def setup(app: Any) -> None:
    copy_notebooks()
    hide_overloads()
    app.connect("source-read", to_built_pages)
    # Before napoleon, which reads the sections that this writes.
    app.connect("autodoc-process-docstring", docstrings.sections, priority=400)
    app.connect("autodoc-process-signature", docstrings.short_types)
    app.connect("autodoc-skip-member", docstrings.skip_bare_fields)
