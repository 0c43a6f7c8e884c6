"""When a run has solved its task: on held-out data at each measurement, or, as the papers of the
1990s have it, on the stream of training sequences, each judged before it is learnt from."""

import numpy as np

from lstm_jax.tasks import Success


class Window:
    """The errors of the last ``rows`` training sequences of each run, over chunks of steps."""

    def __init__(self, success: Success, runs: int):
        self.success = success
        self.recent = np.full((runs, success.rows), np.inf, np.float32)

    def solved(self, errors: np.ndarray, seen: int) -> list[int | None]:
        """Takes in the errors ``[runs, sequences]`` of a chunk. For each run, the number of
        sequences to success, or None: where no window that ends in this chunk meets the criterion.

        seen: sequences of each run before this chunk.
        """
        rows = self.success.rows
        every = np.concatenate([self.recent, errors], axis=1, dtype=np.float32)
        self.recent = every[:, -rows:]
        ends = [self._first(run) for run in every]
        counted = 0 if self.success.window_counts else rows
        return [None if end is None else seen + end - counted for end in ends]

    def _first(self, errors: np.ndarray) -> int | None:
        """How many of the new ``errors [rows + new]`` have been seen when the criterion is met."""
        success, rows = self.success, self.success.rows
        good = np.isfinite(errors) & (errors < success.limit)
        last_bad = np.maximum.accumulate(np.where(good, -1, np.arange(errors.size)))
        for end in range(rows + 1, errors.size + 1):
            if last_bad[end - 1] < end - rows:
                mean = errors[end - rows : end].mean(dtype=np.float64)
                if mean < success.mean_limit:
                    return end - rows
        return None
