"""What all figures share: colours, panels, and saving; the benchmarks use it too."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # a file, never a window

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_jax._internal import storage

# Okabe & Ito's colour-blind-safe palette; the dashes keep lines apart in print without colour.
STYLES = (
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#E69F00", (0, (5, 1, 1, 1, 1, 1))),
    ("#56B4E9", (0, (8, 2))),
    ("#000000", (0, (1, 3))),
)


def assign_styles(contenders: list[str]) -> dict[str, tuple[str, Any]]:
    """A colour and dashes for each contender; after the last colour, the colours start again with
    other dashes."""
    count = len(STYLES)
    return {
        name: (STYLES[i % count][0], STYLES[(i + 3 * (i // count)) % count][1])
        for i, name in enumerate(contenders)
    }


def style_panel(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25, linewidth=0.5)


def save_figure(figure: Figure, path: Path) -> None:
    """Saves the figure in the format of the path's suffix, as a whole file or not at all."""
    with storage.replacing(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix("."))
