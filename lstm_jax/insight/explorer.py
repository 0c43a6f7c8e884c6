"""An interactive view of a trace, in one HTML file."""

import html
import importlib.resources
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.insight import explorer_data
from lstm_jax.insight.diagram import diagram
from lstm_jax.insight.traces import Trace

SCRIPTS = ("data.js", "search.js", "maps.js", "parts.js", "moving.js", "finding.js", "explorer.js")


@dataclass(frozen=True)
class Explorer:
    """A page that shows a trace: what :func:`lstm_jax.insight.explorer` returns.

    A notebook shows it in a frame. ``save`` writes it as one file that needs no network.

    Attributes:
        html: The page.
        height: The height of the frame in a notebook, in pixels.
    """

    html: str = field(repr=False)
    height: int = 760

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the page as one HTML file, and returns its path."""
        path = Path(path)
        path.write_text(self.html, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        page = html.escape(self.html, quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts" title="A trace over time" '
            f'style="width: 100%; height: {self.height}px; border: 1px solid #d0d7de"></iframe>'
        )


def explorer(
    trace: Trace,
    tokens: Sequence[Any] | None = None,
    attribution: Any = None,
    *,
    cell: Any = None,
    row: int | tuple[int, ...] = (),
    names: Sequence[str] | None = None,
    title: str | None = None,
    max_units: int = 512,
    height: int = 760,
) -> Explorer:
    """An interactive page that shows one row of a trace.

        trace = lj.trace(cell, params, xs)
        page = lj.insight.explorer(trace, tokens=words, cell=cell)
        page.save("trace.html")  # or leave `page` on the last line of a notebook's cell

    The page has a slider over time; a heat map of every gate, state, output and attention weight
    (units by steps) beside the tokens, with the padding in grey; the values of a chosen unit, and
    the diagram of the cell with them; the attribution of each token; and a search. Mark some steps,
    by dragging over the tokens, and it lists the units that are active in all of them (LSTMVis,
    Strobelt et al. 2018) and the other moments where most of these units are active. A unit is
    active where its value reaches a threshold. With "not active just before and after" the units
    must be below the threshold at the steps next to the marked ones, where there are any in the
    same segment. A moment is a run of steps of one segment in which at least the chosen share of
    the units is active.

    Values are kept in 16 bits: what is shown and searched is rounded to 1/65,532 of the range of
    its map. NaN and infinities are kept. The page takes 2.7 bytes per value: 1.2 MB for an LSTM
    with T = 500 and H = 128.

    Args:
        trace: A ``Trace``. Each layer of a chain, and each direction of a bidirectional layer, is a
            part that can be chosen.
        tokens: One string or number per step of the row, or per step that is not padding. A string
            is a sequence of characters. They are shown as text, whatever they contain.
        attribution: How much each step contributed to an output, ``[T]``, or each of D inputs at
            each step, ``[T, D]``; T may be the steps that are not padding. With ``[T, D]`` the
            page shows the sum over D, and each of the D.
        cell: The cell that was traced, for its diagram. Without it the page has none.
        row: The row to show, if the trace has batch axes: an index for each of them.
        names: The names of the D inputs of ``attribution``.
        title: The title of the page.
        max_units: States with more values per step than this are left out, and the page says so.
        height: The height of the frame in a notebook, in pixels.

    Returns:
        The page: in a notebook it shows itself, and ``save(path)`` writes it to a file.

    Raises:
        TypeError: For a trace that is not a ``Trace``, and for tokens, names or a cell of a wrong
            type.
        ValueError: For a trace with batch axes without ``row``, a row that it does not have, and
            tokens, an attribution, names or a cell of another size.
    """
    shown = explorer_data.one_row(trace, row)
    max_units = checking.positive_int("max_units", max_units)
    height = checking.positive_int("height", height)
    if title is not None and not isinstance(title, str):
        raise WrongType(f"title: expected a string, got {title!r}")
    mask = np.asarray(shown.mask)
    parts = explorer_data.parts_of(shown, max_units)
    data = {
        "steps": len(mask),
        "valid": "".join("1" if valid else "0" for valid in mask),
        "resets": explorer_data.segment_starts(shown),
        "tokens": explorer_data.read_tokens(tokens, mask),
        "attribution": explorer_data.read_attribution(attribution, names, mask),
        "parts": parts,
        "diagram": _draw(cell, shown, parts),
    }
    return Explorer(_fill_template(data, title or "A trace over time"), height)


def _draw(cell: Any, trace: Trace, parts: list[dict[str, Any]]) -> str | None:
    """The diagram of a cell and of its parts, with room for numbers, which the page fills in."""
    if cell is None:
        return None
    cell_checks.cell("cell", cell, memory=True)
    drawn = diagram(cell, numbers=True)
    names = {part["name"] for part in parts if len(parts) == 1 or part["name"]}
    size = trace.outputs.shape[-1]
    if cell.size != size or {name.rpartition("/")[0] for name in drawn.values} != names:
        raise WrongValue(
            f"cell: expected the cell of the trace, with outputs of size {size} and the parts "
            f"{', '.join(sorted(names)) or 'none'}, got {cell.name} of size {cell.size}"
        )
    return drawn.svg


def _fill_template(data: dict[str, Any], title: str) -> str:
    static = importlib.resources.files("lstm_jax.insight") / "static"
    pieces = {
        "title": html.escape(title),
        "style": (static / "explorer.css").read_text("utf-8"),
        "script": "\n".join((static / name).read_text("utf-8") for name in SCRIPTS),
        "data": as_script_text(data),
    }
    template = (static / "explorer.html").read_text("utf-8")
    # In one pass, so that nothing is looked for in what was filled in.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: pieces[found[1]], template)


def as_script_text(data: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever its strings contain."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
