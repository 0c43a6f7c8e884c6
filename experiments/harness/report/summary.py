"""The results of a comparison as JSON, with everything that tables and figures show."""

from typing import Any

import numpy as np
import scipy.stats

from experiments.harness.run import best_rate
from experiments.harness.run.jobs import Job, describe_criterion
from lstm_jax.tasks import Score

RESAMPLES = 2000


def summarize(name: str, jobs: list[Job], results: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings of a comparison with their contenders, each at the rate chosen on validation
    data: ``test``, ``solved`` and ``further`` have one entry per seed at that rate, and ``runs``
    are the numbers of these runs for ``train.load_model``."""
    settings: dict[str, Any] = {}
    for job, result in zip(jobs, results, strict=True):
        setting = settings.setdefault(job.setting.task.name, _setting(job))
        kept = best_rate.runs_at(job, best_rate.best(job, result))
        further = result.get("further", {})
        setting["texts"] += further.get("texts", [])
        for title, scores in further.get("scores", {}).items():
            rows = setting["further"].setdefault(title, {})
            rows[job.contender] = {at: [values[k] for k in kept] for at, values in scores.items()}
        setting["contenders"].append(_contender(job, result, kept))
    return {"experiment": name, "settings": list(settings.values())}


def _setting(job: Job) -> dict[str, Any]:
    task, budget = job.setting.task, job.setting.budget
    return {
        "task": task.name,
        "score": task.score.name,
        "direction": task.score.direction,
        "chance": task.score.chance,
        "memoryless": task.score.memoryless,
        "scores": [
            {
                "score": other.name,
                "direction": other.direction,
                "chance": other.chance,
                "memoryless": other.memoryless,
            }
            for other in task.scores
        ],
        "success": None if task.success is None else describe_criterion(task.success),
        "lag": job.setting.lag,
        "batch_size": budget.batch_size,
        "until_solved": budget.until_solved,
        "seconds": budget.seconds,
        "contenders": [],
        "further": {},
        "texts": [],
        "figures": {},
    }


def _contender(job: Job, result: dict[str, Any], kept: list[int]) -> dict[str, Any]:
    task = job.setting.task
    others = result.get("scores", {})  # missing in runs of older versions
    return {
        "contender": job.contender,
        "hidden_size": job.model.size,
        "parameters": job.parameters,
        "learning_rate": job.learning_rates[kept[0]],
        "learning_rates": sorted(set(job.learning_rates)),
        "rate_source": job.rate_source,
        "runs": kept,
        "seeds": [job.seeds[k] for k in kept],
        **summarize_scores([result["test"][k] for k in kept], task.score),
        "scores": {
            other.name: summarize_scores([others[other.name][k] for k in kept], other)
            for other in task.scores
            if other.name in others
        },
        "solved": [result["solved"][k] for k in kept],
        "steps": result["steps"],
        "seconds": result["seconds"],
        "published": job.setting.published.get(job.contender),
    }


def summarize_scores(test: list[float | None], score: Score) -> dict[str, Any]:
    """A score of all runs, with the statistics that tables show."""
    worst_last = np.sort(score.or_worst(test))[:: -1 if score.higher_is_better else 1]
    return {
        "test": test,
        "median": finite_or_none(np.median(worst_last)),
        "interval": bootstrap_interval(test, score),
        "best": finite_or_none(worst_last[0]),
        "worst": finite_or_none(worst_last[-1]),
    }


def bootstrap_interval(values: list[float | None], score: Score) -> list[float] | None:
    """A 95 % bootstrap interval of the median over seeds; None for fewer than three seeds, and if
    one diverged."""
    return interval_of_median(score.or_worst(values))


def interval_of_median(scores: np.ndarray) -> list[float] | None:
    """A 95 % bootstrap interval of the median; None for fewer than three scores, and if one is not
    finite."""
    if scores.size < 3 or not np.isfinite(scores).all():
        return None
    if np.ptp(scores) == 0:
        return [float(scores[0])] * 2
    result = scipy.stats.bootstrap(
        (scores,), np.median, n_resamples=RESAMPLES, method="percentile",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return [float(bound) for bound in result.confidence_interval]


def finite_or_none(score: float) -> float | None:
    """``score`` for JSON, which has no NaN: None stands for a run that diverged."""
    return float(score) if np.isfinite(score) else None


def count_solved(contender: dict[str, Any]) -> int:
    """How many runs met the criterion of success."""
    return sum(count is not None for count in contender["solved"])


def median_sequences(contender: dict[str, Any]) -> float | None:
    """The median over runs of the sequences until success; None if half of them had none."""
    counts = [np.inf if count is None else count for count in contender["solved"]]
    return finite_or_none(np.median(counts))
