"""Fixed points in a plane."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_jax._internal.errors import WrongValue
from lstm_jax.insight.plot.axes import axes_or_new
from lstm_jax.insight.plot.inputs import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fixed_points(
    states: Any,
    stable: Any,
    trajectories: Iterable[Any] = (),
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Fixed points in the plane of their first two principal components.

        lj.insight.plot.fixed_points(points, stable, [states_of_a_run])

    Stable points are filled circles, unstable ones crosses. With fewer than three points the plane
    is that of the trajectories.

    Args:
        states: The points, ``[N, S]``.
        stable: Which of them are stable, ``[N]``.
        trajectories: Sequences of states ``[T, S]``, drawn as thin lines, with a dot at the end.
        ax: The axes to draw on; by default those of a new figure.
    """
    points = numbers("states", states, (2,))
    steady = np.asarray(stable)
    if steady.shape != points.shape[:1] or steady.dtype != bool:
        raise WrongValue(
            f"stable: expected {len(points)} booleans, one per point, got {steady.dtype} "
            f"of shape {steady.shape}"
        )
    paths = [numbers(f"trajectories[{i}]", path, (2,)) for i, path in enumerate(trajectories)]
    for i, path in enumerate(paths):
        if path.shape[1] != points.shape[1]:
            raise WrongValue(
                f"trajectories[{i}]: expected states of size {points.shape[1]}, got {path.shape}"
            )
    if len(points) == 0 and not paths:
        raise WrongValue("states: expected a point or a trajectory, got none")
    project, shares = principal_plane(
        points if len(points) > 2 else np.concatenate([points, *paths])
    )
    ax = axes_or_new(ax, 5.0, 4.4)
    for path in paths:
        x, y = project(path).T
        ax.plot(x, y, color="#7f8c96", linewidth=0.7, alpha=0.6, zorder=1)
        ax.plot(x[-1:], y[-1:], ".", color="#7f8c96", markersize=4, zorder=1)
    x, y = project(points).T
    ax.scatter(x[steady], y[steady], s=52, color="#2166ac", edgecolors="white", zorder=3,
               label=f"stable ({np.sum(steady)})")  # fmt: skip
    ax.scatter(x[~steady], y[~steady], s=46, color="#b2182b", marker="x", linewidths=1.6, zorder=2,
               label=f"unstable ({np.sum(~steady)})")  # fmt: skip
    for axis, share, name in zip((ax.xaxis, ax.yaxis), shares, ("first", "second"), strict=True):
        axis.set_label_text(f"{name} principal component ({share:.0%})")
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return ax


def principal_plane(
    states: np.ndarray,
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[float, float]]:
    """The projection ``[N, S] -> [N, 2]`` on the first two principal components of ``states``,
    and the share of the variance along each."""
    centre = states.mean(0)
    _, lengths, directions = np.linalg.svd(states - centre, full_matrices=False)
    plane = np.zeros((2, states.shape[1]))
    plane[: len(directions[:2])] = directions[:2]
    squares = np.concatenate([lengths**2, [0.0, 0.0]])
    total = squares.sum() or 1.0
    return lambda points: (points - centre) @ plane.T, (squares[0] / total, squares[1] / total)
