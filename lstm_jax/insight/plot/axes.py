"""Matplotlib, which is imported on the first call, and the axes that are drawn on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = "RdBu_r"  # blue below zero, white at zero, red above
PADDING = "#d9d9d9"


def pyplot() -> Any:
    """``matplotlib.pyplot``; without Matplotlib an error that names the extra."""
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise ModuleNotFoundError(
            'lj.insight.plot needs matplotlib: pip install "lstm_jax[experiments]"',
            name="matplotlib",
        ) from error
    return plt


def axes_or_new(ax: "Axes | None", width: float, height: float) -> "Axes":
    """``ax``, or the axes of a new figure of that size in inches."""
    plt = pyplot()
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def finish_lines(ax: "Axes", lines: Mapping[str, Any]) -> None:
    """A light grid, and a legend if the lines have names."""
    from matplotlib.ticker import MaxNLocator

    if isinstance(ax.xaxis.get_major_locator(), MaxNLocator):  # steps are whole numbers
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if any(lines):
        ax.legend(frameon=False)
