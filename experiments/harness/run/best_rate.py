"""The learning rate at which a contender is reported, chosen on validation data."""

import math
from typing import Any

import numpy as np

from experiments.harness.run.jobs import Job


def means(job: Job, result: dict[str, Any]) -> dict[float, float | None]:
    """The mean validation score over seeds at each rate; None if a run diverged.

    It is the mean, not the median, since a rate at which one seed in three fails is a bad choice.
    """
    scores = np.array(result["validation"], float)
    rates = np.array(job.learning_rates)
    means = {
        rate: float(scores[rates == rate].mean()) for rate in dict.fromkeys(job.learning_rates)
    }
    return {rate: mean if math.isfinite(mean) else None for rate, mean in means.items()}


def best(job: Job, result: dict[str, Any]) -> float:
    """The rate with the best mean validation score; if runs end as soon as they solve the task, the
    rate at which most runs do, and the mean decides between equals."""
    sign = 1.0 if job.setting.task.score.higher_is_better else -1.0

    def quality(rate: float, mean: float | None) -> tuple[int, float]:
        pairs = zip(job.learning_rates, result["solved"], strict=True)
        solved = sum(at == rate and count is not None for at, count in pairs)
        counts = solved if job.setting.budget.until_solved else 0
        return counts, -math.inf if mean is None else sign * mean

    by_rate = means(job, result)
    return max(by_rate, key=lambda rate: quality(rate, by_rate[rate]))


def runs_at(job: Job, rate: float) -> list[int]:
    """The indices of the runs at this rate."""
    return [run for run, at in enumerate(job.learning_rates) if at == rate]
