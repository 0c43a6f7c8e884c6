"""What the pictures of the LSTM and GRU families share: boxes, straight lines, a frame."""

import itertools

from lstm_jax.insight.drawing.graph import Node
from lstm_jax.insight.drawing.picture import Picture
from lstm_jax.insight.drawing.svg import Box

TOP = 40.0  # the line of the state


class Drawing:
    """Adds boxes and lines to a picture by what they are."""

    def __init__(self, tall: bool) -> None:
        self.picture = Picture()
        self.tall = tall

    def add(self, kind: str, label: str, x: float, y: float, value: str = "") -> Box:
        """Adds a box."""
        box = Box(kind, label, value, x, y, self.tall and value not in ("", "input"))
        self.picture.boxes.append(box)
        return box

    def circle(self, label: str, x: float, y: float) -> Box:
        """Adds an operation without parameters."""
        return self.add("circle", label, x, y)

    def function(self, node: Node | str, x: float, y: float) -> Box:
        """Adds a function of one value."""
        if isinstance(node, str):
            return self.add("function", node, x, y)
        return self.add("product" if node.weighted else "function", node.label, x, y)

    def line(self, *points: tuple[float, float], arrow: bool = True, dashed: bool = False) -> None:
        """Adds a line of straight pieces."""
        self.picture.line(list(points), arrow=arrow, curved=False, dashed=dashed)

    def dot(self, x: float, y: float) -> None:
        """Marks the place where a line branches."""
        self.picture.dots.append((x, y))

    def row(self, functions: tuple[Node, ...], end: float, y: float) -> list[Box]:
        """Adds functions side by side, the last one with its right side at ``end``."""
        boxes: list[Box] = []
        for node in reversed(functions):
            box = self.function(node, 0.0, y)
            box.x = end - box.width / 2
            end -= box.width + 26.0
            boxes.insert(0, box)
        return boxes

    def connect(self, *boxes: Box) -> None:
        """Lines between boxes that stand side by side."""
        for before, after in itertools.pairwise(boxes):
            self.line(right(before), left(after))

    def draw_frame(self, end: float, above: float) -> None:
        """The outline around everything but the inputs and outputs."""
        boxes = self.picture.boxes
        inner = [box for box in boxes if box.kind != "end"]
        low = max(box.y + box.height / 2 for box in boxes) + 16.0
        start = min(*(box.x - box.width / 2 for box in inner), *(x for x, _ in self.picture.dots))
        self.picture.frame = (start - 18.0, above, end, low)


def top(box: Box) -> tuple[float, float]:
    """The middle of the upper side."""
    return box.x, box.y - box.height / 2


def bottom(box: Box) -> tuple[float, float]:
    """The middle of the lower side."""
    return box.x, box.y + box.height / 2


def left(box: Box) -> tuple[float, float]:
    """The middle of the left side."""
    return box.x - box.width / 2, box.y


def right(box: Box) -> tuple[float, float]:
    """The middle of the right side."""
    return box.x + box.width / 2, box.y
