"""Shapes and colours of the diagrams, as SVG."""

import dataclasses
import html
import itertools
import math
import re

FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
SIZE = 13  # of the text, in pixels
STYLE = {
    "circle": ("#fbe3e4", "#b4555b"),  # an operation without parameters: fill and line
    "function": ("#fdf3cf", "#b08a1e"),  # an activation
    "product": ("#dfecd8", "#5c8a4a"),  # a product with parameters
    "value": ("#ffffff", "#5b6770"),  # a gate
    "end": ("#e3edf7", "#4a78a8"),  # an input, a state, an output
}
LINE = "#37414a"
MISSING = "#ffffff"
LOW, MIDDLE, HIGH = (33, 102, 172), (247, 247, 247), (178, 24, 43)


@dataclasses.dataclass
class Box:
    """A node of the diagram, by its centre.

    Attributes:
        kind: A key of ``STYLE``.
        label: The text, in which ``_{...}`` is a subscript.
        value: The name of the value that it shows, such as "gate:forget", or "".
        x: The centre.
        y: The centre.
        tall: Whether there is room for a number below the text.
    """

    kind: str
    label: str
    value: str = ""
    x: float = 0.0
    y: float = 0.0
    tall: bool = False

    @property
    def width(self) -> float:
        """The width of the outline."""
        if self.kind == "circle":
            return 28.0
        widest = max(text_width(self.label), 34.0 if self.value else 16.0)
        return widest + 16.0

    @property
    def height(self) -> float:
        """The height of the outline."""
        return 38.0 if self.tall else 28.0


@dataclasses.dataclass
class Shown:
    """A number on a box.

    Attributes:
        number: The number.
        text: The number as text.
        coloured: Whether the box has its colour, which a count or a norm has not.
    """

    number: float
    text: str
    coloured: bool = True


def colour(value: float) -> str:
    """Blue for -1, white for 0, red for 1; other numbers as the nearest of these ends."""
    if not math.isfinite(value):
        return MISSING
    end = HIGH if value > 0 else LOW
    share = min(abs(value), 1.0)
    mixed = (round(m + share * (e - m)) for m, e in zip(MIDDLE, end, strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def text_width(label: str, size: float = SIZE) -> float:
    """The width of a label, estimated without a font."""
    plain, small = re.sub(r"_\{.*?\}", "", label), "".join(re.findall(r"_\{(.*?)\}", label))
    return size * (0.62 * len(plain) + 0.46 * len(small))


def text(x: float, y: float, label: str, *, size: float = SIZE, attributes: str = "") -> str:
    """A text centred at (x, y); ``_{...}`` is a subscript, everything else is escaped."""
    pieces = re.split(r"_\{(.*?)\}", label)
    spans = [html.escape(pieces[0])]
    for subscript, rest in zip(pieces[1::2], pieces[2::2], strict=True):
        spans.append(f'<tspan dy="3" font-size="75%">{html.escape(subscript)}</tspan>')
        if rest:
            spans.append(f'<tspan dy="-3">{html.escape(rest)}</tspan>')
    anchor = "" if "text-anchor" in attributes else ' text-anchor="middle"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{anchor}'
        f"{' ' + attributes if attributes else ''}>{''.join(spans)}</text>"
    )


def box_svg(box: Box, shown: Shown | None = None) -> str:
    """The outline and the text of a box; one with a value has a line for the number."""
    fill, line = STYLE[box.kind]
    dark = False
    if shown is not None and shown.coloured:
        fill = colour(shown.number)
        dark = abs(shown.number) > 0.6
    paint = f'fill="{fill}" stroke="{line}" stroke-width="1.3"'
    w, h = box.width, box.height
    if box.kind == "circle":
        shape = f'<circle cx="{box.x:.1f}" cy="{box.y:.1f}" r="{w / 2:.1f}" {paint}/>'
    else:
        radius = 4 if box.kind in ("function", "product") else h / 2.4
        shape = (
            f'<rect x="{box.x - w / 2:.1f}" y="{box.y - h / 2:.1f}" width="{w:.1f}" '
            f'height="{h:.1f}" rx="{radius:.1f}" {paint}/>'
        )
    ink = ' fill="#ffffff"' if dark else ""
    if not box.value:
        size = 17 if box.kind == "circle" and len(box.label) == 1 else SIZE
        return (
            f'<g class="node">{shape}{text(box.x, box.y + size * 0.36, box.label, size=size)}</g>'
        )
    name = text(box.x, box.y + (-4.0 if box.tall else 4.5), box.label, attributes='class="name"')
    number = ""
    if box.tall:
        words = "" if shown is None else shown.text
        role = 'class="number" data-role="value"'
        number = text(box.x, box.y + 12.5, words, size=11.5, attributes=role)
    exact = "" if shown is None else f' data-number="{shown.number:.6g}"'
    return (
        f'<g class="node" data-value="{html.escape(box.value)}"{exact}{ink}>'
        f"{shape}{name}{number}</g>"
    )


def path_svg(
    points: list[tuple[float, float]],
    *,
    arrow: bool = True,
    curved: bool = True,
    dashed: bool = False,
) -> str:
    """A line through ``points``: smooth from left to right, or of straight pieces with round
    corners."""
    x0, y0 = points[0]
    steps = [f"M{x0:.1f},{y0:.1f}"]
    if curved:
        for (xa, ya), (xb, yb) in itertools.pairwise(points):
            middle = (xa + xb) / 2
            if abs(ya - yb) < 0.5:
                steps.append(f"L{xb:.1f},{yb:.1f}")
            else:
                steps.append(f"C{middle:.1f},{ya:.1f} {middle:.1f},{yb:.1f} {xb:.1f},{yb:.1f}")
    else:
        for before, corner, after in zip(points, points[1:], points[2:]):  # noqa: B905
            (xa, ya), (xb, yb) = toward(corner, before, 8.0), toward(corner, after, 8.0)
            steps.append(f"L{xa:.1f},{ya:.1f}Q{corner[0]:.1f},{corner[1]:.1f} {xb:.1f},{yb:.1f}")
        steps.append(f"L{points[-1][0]:.1f},{points[-1][1]:.1f}")
    end = ' marker-end="url(#arrow)"' if arrow else ""
    end += ' stroke-dasharray="5 3"' if dashed else ""
    return f'<path d="{"".join(steps)}" fill="none" stroke="{LINE}" stroke-width="1.4"{end}/>'


def toward(
    start: tuple[float, float], end: tuple[float, float], length: float
) -> tuple[float, float]:
    """The point ``length`` away from ``start``, at most half of the way to ``end``."""
    distance = math.dist(start, end) or 1.0
    share = min(length / distance, 0.5)
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def document(body: str, width: float, height: float, description: str) -> str:
    """A whole SVG document."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="{FONT}" fill="#1d2328">'
        f"<title>{html.escape(description)}</title>"
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6.5" '
        f'markerHeight="6.5" orient="auto"><path d="M0,0.5L8,4L0,7.5Z" fill="{LINE}"/></marker>'
        f'</defs><rect width="100%" height="100%" fill="#ffffff"/>{body}</svg>'
    )
