"""The learning rate at which a contender is told, chosen on validation data."""

import math
from typing import Any

import numpy as np

from experiments.harness.run.jobs import Job


def means(job: Job, result: dict[str, Any]) -> dict[float, float | None]:
    """The mean validation score of the seeds at each rate; None where a run diverged.

    The mean and not the median: a rate at which one seed in three fails is no good choice.
    """
    scores = np.array(result["validation"], float)
    at = np.array(job.learning_rates)
    found = {rate: float(scores[at == rate].mean()) for rate in dict.fromkeys(job.learning_rates)}
    return {rate: mean if math.isfinite(mean) else None for rate, mean in found.items()}


def best(job: Job, result: dict[str, Any]) -> float:
    """The rate at which most runs solve the task, where runs end with that; of such rates, and
    elsewhere, the one with the best mean. Test data play no part."""
    sign = 1.0 if job.setting.task.score.higher_is_better else -1.0

    def worth(rate: float, mean: float | None) -> tuple[int, float]:
        pairs = zip(job.learning_rates, result["solved"], strict=True)
        solved = sum(at == rate and count is not None for at, count in pairs)
        counts = solved if job.setting.budget.until_solved else 0
        return counts, -math.inf if mean is None else sign * mean

    found = means(job, result)
    return max(found, key=lambda rate: worth(rate, found[rate]))


def runs_of(job: Job, rate: float) -> list[int]:
    """The runs at this rate."""
    return [run for run, at in enumerate(job.learning_rates) if at == rate]
