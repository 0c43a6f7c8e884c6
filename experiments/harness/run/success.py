"""When a run has solved its task, by a criterion on the stream of training sequences.

Papers of the 1990s judge each training sequence before it is learnt from. (A criterion on held-out
data needs nothing from here: it is checked at each measurement.)
"""

import numpy as np

from lstm_jax.tasks import Success


class ErrorWindow:
    """The errors of the last ``rows`` training sequences of each run, over chunks of steps."""

    def __init__(self, success: Success, runs: int):
        self.success = success
        self.recent = np.full((runs, success.rows), np.inf, np.float32)

    def update(self, errors: np.ndarray, seen: int) -> list[int | None]:
        """Adds the errors of a chunk.

        Args:
            errors: ``[runs, sequences]``.
            seen: The number of sequences of each run before this chunk.

        Returns:
            For each run, the number of sequences until success, or None if no window that ends in
            this chunk meets the criterion.
        """
        rows = self.success.rows
        every = np.concatenate([self.recent, errors], axis=1, dtype=np.float32)
        self.recent = every[:, -rows:]
        ends = [self._first_success(run) for run in every]
        counted = 0 if self.success.window_counts else rows
        return [None if end is None else seen + end - counted for end in ends]

    def _first_success(self, errors: np.ndarray) -> int | None:
        """How many of the new errors in ``errors [rows + new]`` it takes to meet the criterion."""
        success, rows = self.success, self.success.rows
        good = np.isfinite(errors) & (errors < success.limit)
        last_bad = np.maximum.accumulate(np.where(good, -1, np.arange(errors.size)))
        for end in range(rows + 1, errors.size + 1):
            if last_bad[end - 1] < end - rows:
                mean = errors[end - rows : end].mean(dtype=np.float64)
                if mean < success.mean_limit:
                    return end - rows
        return None
