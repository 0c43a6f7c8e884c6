"""Lines over time or over the lag."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.insight.plot.axes import axes_or_new, finish_lines
from lstm_jax.insight.plot.inputs import numbers, series_by_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gradient_norms(
    norms: Any,
    *,
    against: str = "time",
    ax: "Axes | None" = None,
) -> "Axes":
    """Norms of gradients at each step, on a logarithmic scale.

        lj.insight.plot.gradient_norms({"lstm": a, "rnn": b}, against="lag")

    Args:
        norms: The norms ``[T]``, or several by name. A norm of zero is not drawn.
        against: "time" for the step itself; "lag" for how many steps it lies before the last one.
        ax: The axes to draw on; by default those of a new figure.
    """
    checking.choice("against", against, ("time", "lag"))
    lines = series_by_name("norms", norms)
    ax = axes_or_new(ax, 6.0, 3.6)
    for name, values in lines.items():
        steps = np.arange(len(values))
        x = len(values) - 1 - steps if against == "lag" else steps
        positive = np.where(values > 0, values, np.nan)
        ax.plot(x, positive, label=name or None, linewidth=1.6)
    ax.set_yscale("log")
    ax.set_xlabel("lag in steps" if against == "lag" else "step")
    ax.set_ylabel("norm of the gradient")
    finish_lines(ax, lines)
    return ax


def memory_curve(r2: Any, lags: Any = None, *, ax: "Axes | None" = None) -> "Axes":
    """How well an input of k steps ago can be read from the state (Jaeger 2001).

        lj.insight.plot.memory_curve(r2)

    The sum of the curve, the memory capacity, stands in the legend.

    Args:
        r2: The share of variance that is explained at each lag ``[K]``, or several by name.
        lags: The lags ``[K]``; by default 1 to K.
        ax: The axes to draw on; by default those of a new figure.
    """
    lines = series_by_name("r2", r2)
    given = None if lags is None else numbers("lags", lags, (1,))
    for values in lines.values():
        if given is not None and len(given) != len(values):
            raise WrongValue(f"lags: expected {len(values)}, as many as r2, got {len(given)}")
    ax = axes_or_new(ax, 6.0, 3.6)
    for name, values in lines.items():
        x = np.arange(1, len(values) + 1) if given is None else given
        label = f"{name + ', ' if name else ''}capacity {np.nansum(values):.1f}"
        (line,) = ax.plot(x, values, label=label, marker="o", markersize=3.5)
        ax.fill_between(x, 0, values, color=line.get_color(), alpha=0.12, linewidth=0)
    ax.set_ylim(0, 1.05)
    ax.set_xlabel("lag in steps")
    ax.set_ylabel("r²")
    finish_lines(ax, dict.fromkeys([*lines, "capacity"]))
    return ax
