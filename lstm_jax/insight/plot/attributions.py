"""Attributions on text and on series."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.insight.plot.axes import COLOURS, PADDING, axes_or_new, finish_lines, pyplot
from lstm_jax.insight.plot.inputs import numbers, token_texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT_SIZE = 11.0


def attribution_text(
    values: Any, tokens: Sequence[Any], *, limit: float | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Tokens as running text, each on a background in the colour of its attribution.

        lj.insight.plot.attribution_text(values, "the cat sat".split())

    Args:
        values: The attribution of each token, ``[T]``.
        tokens: The tokens, T items.
        limit: The attribution of the full colour; by default the largest absolute value.
        ax: The axes to draw on; by default those of a new figure, as high as the text is long.
    """
    values = numbers("values", values, (1,))
    texts = token_texts(tokens, len(values))
    norm, colours = _scale(values, limit)
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="DejaVu Sans Mono")
    one = TextPath((0, 0), "m" * 10, size=FONT_SIZE, prop=font).get_extents().width / 10
    new = ax is None
    ax = axes_or_new(ax, 7.0, 1.5)
    across = 6.6 * 72 if new else ax.bbox.width * 72 / ax.figure.dpi
    x, line, pad, row = 0.0, 0, 3.0, 1.9 * FONT_SIZE
    for text, value in zip(texts, values, strict=True):
        width = one * len(text) + 2 * pad
        if x > 0 and x + width > across:
            x, line = 0.0, line + 1
        fill = colours(norm(value))
        ax.text(x + pad, -line * row, text, family=font.get_family(), fontsize=FONT_SIZE,
                color=_ink(fill), va="center", parse_math=False,
                bbox={"facecolor": fill, "edgecolor": "none", "pad": pad - 0.6})  # fmt: skip
        x += width + 3.0
    ax.set_xlim(-4, across + 4)
    ax.set_ylim(-(line + 0.8) * row, 0.8 * row)
    ax.set_axis_off()
    if new:
        figure: Any = ax.figure
        figure.set_figheight((line + 1.6) * row / 72 + 0.5)
    _colorbar(ax, norm, colours, "horizontal")
    return ax


def attribution_series(
    values: Any,
    xs: Any,
    *,
    names: Sequence[str] | None = None,
    limit: float | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """A series with a point at each step in the colour of its attribution.

        lj.insight.plot.attribution_series(values, xs)

    Args:
        values: The attributions, ``[T]`` or ``[T, D]``.
        xs: The series, of the same shape.
        names: The names of the D inputs.
        limit: The attribution of the full colour; by default the largest absolute value.
        ax: The axes to draw on; by default those of a new figure.
    """
    values, xs = numbers("values", values, (1, 2)), numbers("xs", xs, (1, 2))
    if values.shape != xs.shape:
        raise WrongValue(f"values: expected shape {xs.shape}, that of xs, got {values.shape}")
    columns, shares = xs.reshape(len(xs), -1).T, values.reshape(len(xs), -1).T
    if names is not None and len(names) != len(columns):
        raise WrongValue(f"names: expected {len(columns)}, one per input, got {len(names)}")
    norm, colours = _scale(values, limit)
    ax = axes_or_new(ax, 7.0, 3.2)
    steps = np.arange(len(xs))
    for i, (column, share) in enumerate(zip(columns, shares, strict=True)):
        line = ("-", "--", ":", "-.")[i % 4]
        ax.plot(steps, column, line, color="#9aa3a9", linewidth=1.0, zorder=1,
                label=names[i] if names is not None else None)  # fmt: skip
        ax.scatter(steps, column, c=share, cmap=colours, norm=norm, s=34, zorder=2,
                   edgecolors="#5b6770", linewidths=0.5)  # fmt: skip
    ax.set_xlabel("step")
    finish_lines(ax, dict.fromkeys(names or ()))
    _colorbar(ax, norm, colours, "vertical")
    return ax


def _scale(values: np.ndarray, limit: float | None) -> tuple[Any, Any]:
    """A colour scale from ``-limit`` to ``limit``, and its colours."""
    plt = pyplot()
    if limit is None:
        limit = float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values))) or 1.0
    elif checking.real("limit", limit) <= 0:
        raise WrongValue(f"limit: expected a number above 0, got {limit}")
    from matplotlib.colors import Normalize

    return Normalize(-limit, limit), plt.get_cmap(COLOURS).with_extremes(bad=PADDING)


def _ink(fill: tuple[float, ...]) -> str:
    """Black or white, whichever is easier to read on ``fill``."""
    red, green, blue = fill[:3]
    return "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black"


def _colorbar(ax: "Axes", norm: Any, colours: Any, orientation: str) -> None:
    from matplotlib.cm import ScalarMappable

    flat: Any = {"aspect": 40, "shrink": 0.4, "pad": 0.02} if orientation == "horizontal" else {}
    bar = ax.figure.colorbar(
        ScalarMappable(norm, colours), ax=ax, orientation=orientation, label="attribution", **flat
    )
    if orientation == "horizontal":
        ticks = [norm.vmin, 0.0, norm.vmax]
        bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
