"""What ``lj.insight.fixed_points`` returns."""

import dataclasses

import numpy as np

from lstm_jax.core.typing import State


@dataclasses.dataclass(frozen=True)
class Points:
    """Points of the state space, P of them, those with the fewest unstable directions first.

    All arrays are NumPy's and of float64, whatever JAX's settings are.

    Attributes:
        states: The states, ``[P, ...]`` in each leaf.
        vectors: The states as vectors, ``[P, N]``.
        q: ``|F(s) - s|^2 / 2``, ``[P]``.
        eigenvalues: Of the Jacobian of F, the largest in size first, complex ``[P, N]``.
        found: How many starts ended in each, ``[P]``.
        distances: From each to the nearest start, ``[P]``. Points far from all starts may play no
            part in what the net does.
    """

    states: State
    vectors: np.ndarray
    q: np.ndarray
    eigenvalues: np.ndarray
    found: np.ndarray
    distances: np.ndarray

    def __len__(self) -> int:
        return len(self.q)

    @property
    def unstable(self) -> np.ndarray:
        """The number of unstable directions, of eigenvalues above 1 in size, ``[P]``."""
        return np.sum(np.abs(self.eigenvalues) > 1, axis=-1)

    @property
    def stable(self) -> np.ndarray:
        """Whether all eigenvalues are below 1 in size, ``[P]``."""
        return np.all(np.abs(self.eigenvalues) < 1, axis=-1)


@dataclasses.dataclass(frozen=True)
class FixedPoints(Points):
    """The fixed points, and beside them the slow points and the starts that ended in neither.

    Every start is counted once: in ``found``, in ``slow.found`` or in ``unconverged``.

    Attributes:
        slow: Points that the state leaves slowly, with q above the tolerance and at most
            ``slow_tolerance``.
        unconverged: The number of starts that ended at a larger q, or at NaN.
        ends: Where the starts ended, ``[starts, N]``.
        q_of_ends: q there, ``[starts]``.
    """

    slow: Points
    unconverged: int
    ends: np.ndarray
    q_of_ends: np.ndarray
