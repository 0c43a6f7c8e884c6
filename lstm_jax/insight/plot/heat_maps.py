"""Gates and states as heat maps over units and time."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.insight.drawing.equations import field_names
from lstm_jax.insight.drawing.live import check_row
from lstm_jax.insight.plot.axes import COLOURS, PADDING, pyplot
from lstm_jax.insight.plot.inputs import token_texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 60  # of more tokens than this, not all are written

Map = tuple[np.ndarray, float]  # [units, T], and the value of the full colour


def trace(
    trace: Any,
    tokens: Sequence[Any] | None = None,
    *,
    row: int | tuple[int, ...] = (),
    units: Iterable[int] | None = None,
    names: Iterable[str] | None = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Gates and states over time as heat maps, one below the other, with the tokens along them.

        figure = lj.insight.plot.trace(trace, "hello", row=(0,), names=("forget", "c"))

    Each map has the units from top to bottom and time from left to right. Blue is below zero,
    red above; gates share the scale from -1 to 1, and each state has its own. The padding is grey.

    Args:
        trace: What ``lj.trace`` returns.
        tokens: What was read at each step, T items; they are written as text.
        row: The index of the row to show, one number per batch axis.
        units: The units to show; by default all.
        names: The gates and fields to show, such as ``("forget", "c")``, in this order; in a part
            of a chain "0/forget". By default all that have one number per unit.
        figure: The figure to draw on; by default a new one.

    Returns:
        The figure, with one axes per map.

    Raises:
        ValueError, TypeError: For tokens of another number, and for a name, row or unit that the
            trace does not have.
    """
    plt = pyplot()
    mask, maps = collect_maps(trace, row)
    chosen = choose_maps(maps, names, None if units is None else list(units))
    texts = None if tokens is None else token_texts(tokens, len(mask))
    if figure is None:
        tall = sum(0.6 + min(1.6, 0.09 * len(values)) for values, _ in chosen.values())
        figure = plt.figure(figsize=(min(4 + 0.16 * len(mask), 16), tall + 0.6),
                            layout="constrained")  # fmt: skip
    heights = [max(4, min(len(values), 18)) for values, _ in chosen.values()]
    axes = figure.subplots(len(chosen), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    colours = plt.get_cmap(COLOURS).with_extremes(bad=PADDING)
    for ax, (name, (values, limit)) in zip(axes, chosen.items(), strict=True):
        shown = np.ma.masked_array(values, np.broadcast_to(~mask, values.shape))
        image = ax.imshow(shown, aspect="auto", interpolation="nearest", cmap=colours,
                          vmin=-limit, vmax=limit)  # fmt: skip
        ax.set_title(name, loc="left", fontsize=10)
        ax.set_ylabel("unit", fontsize=9)
        ax.set_yticks(range(0, len(values), max(1, len(values) // 4)))
        if units is not None:
            ax.set_yticks(range(len(values)), [str(unit) for unit in units], fontsize=8)
        figure.colorbar(image, ax=ax, pad=0.01, aspect=max(6, len(values) // 2))
    _label_steps(axes[-1], texts)
    return figure


def _label_steps(ax: "Axes", texts: list[str] | None) -> None:
    """Writes the tokens under the steps, or every so many of them."""
    if texts is None:
        ax.set_xlabel("step")
        return
    every = -(-len(texts) // MOST_LABELS)
    places = range(0, len(texts), max(every, 1))
    upright = max((len(text) for text in texts), default=0) > 2
    ax.set_xticks(list(places), [texts[i] for i in places], rotation=90 if upright else 0)
    for label in ax.get_xticklabels():
        label.set_parse_math(False)


def collect_maps(trace: Any, row: int | tuple[int, ...]) -> tuple[np.ndarray, dict[str, Map]]:
    """The mask of valid steps ``[T]`` of a row, and its gates and states by name."""
    places = check_row(trace, row)
    at: Any = (slice(None), *places)
    return np.asarray(trace.mask)[at], dict(_maps(trace, at, ""))


def _maps(trace: Any, at: Any, prefix: str) -> Iterable[tuple[str, Map]]:
    valid = np.asarray(trace.mask)[at]

    def largest(values: np.ndarray) -> float:
        return float(np.max(np.abs(values[valid]), initial=0.0, where=np.isfinite(values[valid])))

    for name, gate in trace.gates.items():
        values = np.asarray(gate, np.float64)[at]
        yield prefix + name, (_units_first(values), max(1.0, largest(values)))
    if not trace.parts:  # otherwise the states are those of the parts
        leaves = jax.tree.leaves(trace.states)
        for name, leaf in zip(field_names(trace.states), leaves, strict=True):
            values = np.asarray(leaf, np.float64)[at]
            label = f"{name} (state)" if name in trace.gates else name
            yield prefix + label, (_units_first(values), largest(values) or 1.0)
    for name, part in trace.parts.items():
        yield from _maps(part, at, f"{prefix}{name}/")


def _units_first(values: np.ndarray) -> np.ndarray:
    """``[T, ...]`` to ``[..., T]``."""
    return np.moveaxis(values, 0, -1)


def choose_maps(
    maps: dict[str, Map], names: Iterable[str] | None, units: list[int] | None
) -> dict[str, Map]:
    """The maps of ``names``, with one line per unit; by default those with one axis of units."""
    if isinstance(names, str):
        raise WrongType(f"names: expected a tuple of names, got {names!r}")
    if names is None:
        names = [name for name, (values, _) in maps.items() if values.ndim == 2]
    chosen = {}
    for name in names:
        values, limit = maps[checking.choice("names", name, maps)]
        values = values.reshape(-1, values.shape[-1])
        if units is not None:
            values = values[[checking.seed("units", unit, len(values)) for unit in units]]
        chosen[name] = values, limit
    if not chosen:
        raise WrongValue("names: expected one name or more, got none")
    return chosen
