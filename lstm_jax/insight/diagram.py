"""A picture of a cell, drawn from its equations."""

import dataclasses
import html
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell, without_memory
from lstm_jax.core.typing import Params
from lstm_jax.insight.drawing.conveyor_gru import draw_gru
from lstm_jax.insight.drawing.conveyor_lstm import draw_lstm
from lstm_jax.insight.drawing.equations import Shapes, graph_of, parts_of, shapes_of
from lstm_jax.insight.drawing.families import match_gru, match_lstm
from lstm_jax.insight.drawing.layered import draw_layered
from lstm_jax.insight.drawing.live import check_trace, shown_values
from lstm_jax.insight.drawing.picture import Picture
from lstm_jax.insight.drawing.svg import colour, document, text
from lstm_jax.wrappers.shapes import only_input_size

LAYOUTS = ("auto", "conveyor", "layers")
HEAD = 34.0  # the room for a title
LEGEND = 40.0


@dataclasses.dataclass(frozen=True)
class Diagram:
    """A picture of a cell. A notebook shows it.

    Each element with a value is a group ``<g data-value="gate:forget">`` with an outline and a text
    of class "name", and with one of class "number" if there is room for it, so that a script can
    change number and colour. The names are
    "gate:NAME", "state:FIELD" (after the step), "previous:FIELD" (before it), "input" and
    "output". The parts of a chain or of a bidirectional layer are groups ``<g data-part="0">``.

    Attributes:
        svg: The picture as an SVG document.
        values: The names of the elements with a value; in a part, "0/gate:forget".
    """

    svg: str = dataclasses.field(repr=False)
    values: tuple[str, ...]

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the SVG document to a file."""
        Path(path).write_text(self.svg, encoding="utf-8")


def diagram(
    cell: Cell,
    params: Params | None = None,
    *,
    input_size: int | None = None,
    trace: Any = None,
    step: int | None = None,
    row: int | tuple[int, ...] = (),
    unit: int | None = None,
    layout: str = "auto",
    numbers: bool | None = None,
) -> Diagram:
    """Draws a cell, from the equations of its step.

        lj.insight.diagram(lj.lstm(128, peephole=True)).save("lstm.svg")
        trace = lj.trace(cell, params, xs)  # xs [T, B, D]
        lj.insight.diagram(cell, trace=trace, step=3, row=(0,), unit=5)

    Every operation of the step is in the picture, except those that change the form of an array
    alone, and masks of places that are not in use. Normalisation, softmax and the like are one
    element each. A cell whose equations are those of an LSTM or GRU, with any of their options, is
    drawn as in textbooks, with the state on a line along the top (after C. Olah 2015,
    "Understanding LSTM Networks"); any other is drawn in layers from left to right (Sugiyama,
    Tagawa & Toda 1981). The layers of a chain are drawn below each other. Noise is not drawn.

    The cost is that of tracing one step, without compiling it: some tens of milliseconds.

    Args:
        cell: Any cell or layer.
        params: Its params, of which only the shapes are read, for the input size.
        input_size: The input size D; by default that of ``params``, or any that the cell accepts.
        trace: The trace of a run, whose values are shown; by default there are none.
        step: The step to show.
        row: The index of the row to show, one number per batch axis.
        unit: The unit to show; by default the mean over the units. Blue is -1 and below, white 0,
            red 1 and above. A gate of a head stands for the units of the head. States with further
            axes, such as a matrix memory, and those of another size than the gates are shown by
            their Euclidean norm, without a colour.
        layout: "auto" as described; "conveyor" for the textbook layout, or "layers" for the other.
        numbers: Whether there is room for numbers; by default if there is a trace. A script can
            then fill them in.

    Raises:
        ValueError, TypeError: For a wrong argument, such as a step outside the trace, or the
            textbook layout for a cell of another family.
    """
    cell_checks.cell("cell", cell, memory=True)
    checking.choice("layout", layout, LAYOUTS)
    size = _input_size(cell, params, input_size)
    at = None if trace is None else check_trace(trace, step, row)
    tall = trace is not None if numbers is None else checking.flag("numbers", numbers)
    pictures = list(_pictures("", cell, shapes_of(cell, size), layout, trace, tall=tall))
    body, values, width, y = [], [], 0.0, 0.0
    for name, title, picture, own in pictures:
        shown = {} if at is None else shown_values(own, at, unit)
        drawn, w, h = picture.svg(shown)
        body.append(
            f'<g transform="translate(0 {y + HEAD:.1f})" data-part="{html.escape(name)}">'
            f"{text(18, -12, title, size=14, attributes=START)}{drawn}</g>"
        )
        values += [f"{name}/{box.value}" if name else box.value
                   for box in picture.boxes if box.value]  # fmt: skip
        width, y = max(width, w, 60.0 + 9.0 * len(title)), y + h + HEAD
    if at is not None:
        body.append(f'<g transform="translate(0 {y:.1f})">{_legend(at, unit)}</g>')
        y += LEGEND
    return Diagram(document("".join(body), width, y, cell.name), tuple(values))


START = 'text-anchor="start" font-weight="bold"'


def _input_size(cell: Cell, params: Params | None, given: int | None) -> int:
    if given is not None:
        given = checking.positive_int("input_size", given)
    if params is None:
        return given or only_input_size(cell) or 2
    cell = without_memory(cell)
    size = given or cell_checks.input_size_of(cell, params)
    cell_checks.params(cell, params, "input_size", size)
    return size


def _pictures(
    prefix: str, cell: Cell, shapes: Shapes, layout: str, trace: Any, *, tall: bool
) -> Iterator[tuple[str, str, Picture, Any]]:
    """The name of each part, its title, its picture and its trace."""
    parts = parts_of(cell, shapes)
    if not parts:
        yield prefix, f"{prefix} {cell.name}".strip(), _draw(cell, shapes, layout, tall), trace
    for name, inner, own in parts:
        path = f"{prefix}/{name}" if prefix else name
        of_part = None
        if trace is not None:
            if name not in trace.parts:
                raise WrongValue(
                    f"trace: expected the trace of {cell.name}, with the part {name}, "
                    f"got the parts {', '.join(trace.parts) or 'none'}"
                )
            of_part = trace.parts[name]
        yield from _pictures(path, inner, own, layout, of_part, tall=tall)


def _draw(cell: Cell, shapes: Shapes, layout: str, tall: bool) -> Picture:
    graph = graph_of(cell, shapes)
    if layout != "layers":
        lstm = match_lstm(graph)
        if lstm is not None:
            return draw_lstm(lstm, tall=tall)
        gru = match_gru(graph)
        if gru is not None:
            return draw_gru(gru, tall=tall)
        if layout == "conveyor":
            raise WrongValue(
                "layout: expected 'auto' or 'layers' for a cell that is neither an LSTM nor a GRU, "
                f"{cell.name}, got 'conveyor'"
            )
    return draw_layered(graph, tall=tall)


def _legend(at: tuple[int, ...], unit: int | None) -> str:
    """Which values are shown, and the colour scale."""
    step, *row = at
    where = f"step {step}"
    if row:
        where += f", row {', '.join(map(str, row))}"
    where += ", mean over the units" if unit is None else f", unit {unit}"
    stops = [f'<stop offset="{i * 25}%" stop-color="{colour(i / 2 - 1)}"/>' for i in range(5)]
    return (
        f'<defs><linearGradient id="scale">{"".join(stops)}</linearGradient></defs>'
        '<rect x="34" y="8" width="120" height="10" fill="url(#scale)" stroke="#5b6770"/>'
        f"{text(22, 17, '−1', size=11)}{text(162, 17, '1', size=11)}"
        f"{text(182, 17, where, size=12, attributes=LEFT)}"
    )


LEFT = 'text-anchor="start" class="where"'
