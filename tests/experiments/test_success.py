"""The window over training sequences, against a check of every window in the stream."""

import numpy as np
import pytest

from experiments.harness.run.success import ErrorWindow
from lstm_jax.tasks import Success

ROWS = 4


def success(limit=0.5, mean_limit=0.3, window_counts=True):
    return Success(
        lambda answers, batch: answers, limit, mean_limit, ROWS, "a paper",
        on="training", window_counts=window_counts,
    )  # fmt: skip


def brute_force(errors, limit, mean_limit, window_counts, rows=ROWS):
    """Sequences to success of one stream, or None."""
    for end in range(rows, len(errors) + 1):
        window = [float(error) for error in errors[end - rows : end]]
        if all(np.isfinite(e) and e < limit for e in window) and sum(window) / rows < mean_limit:
            return end if window_counts else end - rows
    return None


def first_success(windows, errors, cuts):
    """The first success of each run, fed in chunks that end at ``cuts``."""
    found = [None] * len(errors)
    for begin, end in zip([0, *cuts], [*cuts, errors.shape[1]], strict=True):
        latest = windows.update(errors[:, begin:end], begin)
        found = [new if old is None else old for old, new in zip(found, latest, strict=True)]
    return found


@pytest.mark.parametrize("limit", [0.5, np.inf])
@pytest.mark.parametrize("mean_limit", [0.3, np.inf])
@pytest.mark.parametrize("window_counts", [True, False])
def test_random_streams_in_random_chunks(limit, mean_limit, window_counts):
    rng = np.random.default_rng(0)
    successes = []
    for _ in range(40):
        errors = rng.uniform(0, 0.7, (3, 30)).astype(np.float32)
        errors[rng.random(errors.shape) < 0.2] = rng.choice([np.nan, np.inf, 0.5, 2.0])
        cuts = sorted(rng.choice(np.arange(1, 30), rng.integers(0, 8), replace=False))
        window = ErrorWindow(success(limit, mean_limit, window_counts), 3)
        expected = [brute_force(run, limit, mean_limit, window_counts) for run in errors]
        assert first_success(window, errors, cuts) == expected
        successes += expected
    assert len(set(successes)) > 5


def test_a_window_that_goes_on_from_what_was_kept_tells_the_same():
    rng = np.random.default_rng(1)
    for cut in range(1, 12):
        errors = rng.uniform(0, 0.6, (5, 12)).astype(np.float32)
        whole, before, after = (ErrorWindow(success(), 5) for _ in range(3))
        expected = first_success(whole, errors, [cut])
        first = before.update(errors[:, :cut], 0)
        after.recent = before.recent.copy()
        second = after.update(errors[:, cut:], cut)
        assert [a if a is not None else b for a, b in zip(first, second, strict=True)] == expected
        np.testing.assert_array_equal(after.recent, whole.recent)


def test_what_stands_at_the_limit_is_not_below_it():
    at_limit, below = np.full((1, ROWS), 0.5, np.float32), np.full((1, ROWS), 0.25, np.float32)
    assert ErrorWindow(success(limit=0.5, mean_limit=np.inf), 1).update(at_limit, 0) == [None]
    assert ErrorWindow(success(limit=np.inf, mean_limit=0.25), 1).update(below, 0) == [None]
    assert ErrorWindow(success(limit=0.5, mean_limit=0.3), 1).update(below, 0) == [ROWS]
    assert ErrorWindow(success(window_counts=False), 1).update(below, 0) == [0]


def test_fewer_sequences_than_the_window_asks_for_solve_nothing():
    window = ErrorWindow(success(np.inf, np.inf), 1)
    assert window.update(np.zeros((1, ROWS - 1), np.float32), 0) == [None]
    assert window.update(np.zeros((1, 1), np.float32), ROWS - 1) == [ROWS]
