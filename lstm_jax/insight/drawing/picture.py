"""A drawing of boxes and lines, which becomes SVG once the values to show are known."""

import dataclasses
from typing import NamedTuple

from lstm_jax.insight.drawing.svg import Box, Shown, box_svg, path_svg, text

MARGIN = 18.0


class Line(NamedTuple):
    """A line, whether it ends in an arrow, is curved (see ``path_svg``) and is dashed."""

    points: list[tuple[float, float]]
    arrow: bool
    curved: bool
    dashed: bool


@dataclasses.dataclass
class Picture:
    """Boxes, lines and texts in coordinates of their own.

    Attributes:
        boxes: The nodes.
        lines: The lines between them.
        notes: Texts beside the lines, with the place of their centre.
        dots: Where lines branch.
        frame: The outline of the cell, ``(left, top, right, bottom)``, or None.
    """

    boxes: list[Box] = dataclasses.field(default_factory=list)
    lines: list[Line] = dataclasses.field(default_factory=list)
    notes: list[tuple[float, float, str]] = dataclasses.field(default_factory=list)
    dots: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    frame: tuple[float, float, float, float] | None = None

    def line(
        self,
        points: list[tuple[float, float]],
        *,
        arrow: bool = True,
        curved: bool = True,
        dashed: bool = False,
    ) -> None:
        """Adds a line."""
        self.lines.append(Line(points, arrow, curved, dashed))

    def svg(self, shown: dict[str, Shown]) -> tuple[str, float, float]:
        """``(body, width, height)``, moved so that everything is inside, with a margin."""
        left, top, right, bottom = self.bounds()
        parts = []
        if self.frame is not None:
            a, b, c, d = self.frame
            parts.append(
                f'<rect class="frame" x="{a:.1f}" y="{b:.1f}" width="{c - a:.1f}" '
                f'height="{d - b:.1f}" rx="16" fill="#f4f6f4" stroke="#c3cbc3"/>'
            )
        parts += [path_svg(p, arrow=a, curved=c, dashed=d) for p, a, c, d in self.lines]
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="#37414a"/>'
                  for x, y in self.dots]  # fmt: skip
        parts += [box_svg(box, shown.get(box.value)) for box in self.boxes]
        parts += [text(x, y, label, size=11) for x, y, label in self.notes]
        x, y = MARGIN - left, MARGIN - top
        body = f'<g transform="translate({x:.1f} {y:.1f})">{"".join(parts)}</g>'
        return body, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN

    def bounds(self) -> tuple[float, float, float, float]:
        """The smallest rectangle around everything: left, top, right, bottom."""
        xs = [box.x + side * box.width / 2 for box in self.boxes for side in (-1, 1)]
        ys = [box.y + side * box.height / 2 for box in self.boxes for side in (-1, 1)]
        for points, *_ in self.lines:
            xs += [x for x, _ in points]
            ys += [y for _, y in points]
        if self.frame is not None:
            xs += [self.frame[0], self.frame[2]]
            ys += [self.frame[1], self.frame[3]]
        return min(xs), min(ys), max(xs), max(ys)
