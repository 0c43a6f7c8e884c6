"""What a comparison found, as JSON: all that tables and figures show."""

from typing import Any

import numpy as np
import scipy.stats

from experiments.harness.run import best_rate
from experiments.harness.run.jobs import Job, criterion
from lstm_jax.tasks import Score

RESAMPLES = 2000


def summarize(name: str, jobs: list[Job], results: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings of a comparison with their contenders, each at the rate that validation data
    chose: ``test``, ``solved`` and ``further`` have one entry a seed at that rate; ``runs`` are
    the numbers by which ``train.load_model`` knows these."""
    settings: dict[str, Any] = {}
    for job, result in zip(jobs, results, strict=True):
        setting = settings.setdefault(job.setting.task.name, _setting(job))
        kept = best_rate.runs_of(job, best_rate.best(job, result))
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
        "success": None if task.success is None else criterion(task.success),
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
    others = result.get("scores", {})  # runs of older versions have none
    return {
        "contender": job.contender,
        "hidden_size": job.model.size,
        "parameters": job.parameters,
        "learning_rate": job.learning_rates[kept[0]],
        "learning_rates": sorted(set(job.learning_rates)),
        "rate_source": job.rate_source,
        "runs": kept,
        "seeds": [job.seeds[k] for k in kept],
        **of_runs([result["test"][k] for k in kept], task.score),
        "scores": {
            other.name: of_runs([others[other.name][k] for k in kept], other)
            for other in task.scores
            if other.name in others
        },
        "solved": [result["solved"][k] for k in kept],
        "steps": result["steps"],
        "seconds": result["seconds"],
        "published": job.setting.published.get(job.contender),
    }


def of_runs(test: list[float | None], score: Score) -> dict[str, Any]:
    """A score of all runs, and what tables say of it."""
    worst_last = np.sort(score.or_worst(test))[:: -1 if score.higher_is_better else 1]
    return {
        "test": test,
        "median": finite(np.median(worst_last)),
        "interval": interval(test, score),
        "best": finite(worst_last[0]),
        "worst": finite(worst_last[-1]),
    }


def interval(values: list[float | None], score: Score) -> list[float] | None:
    """A 95 % bootstrap interval of the median over the seeds; None of fewer than three seeds, and
    where one diverged."""
    scores = score.or_worst(values)
    if scores.size < 3 or not np.isfinite(scores).all():
        return None
    if np.ptp(scores) == 0:
        return [float(scores[0])] * 2
    found = scipy.stats.bootstrap(
        (scores,), np.median, n_resamples=RESAMPLES, method="percentile",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return [float(bound) for bound in found.confidence_interval]


def finite(score: float) -> float | None:
    """For JSON: None is the score of a run that diverged."""
    return float(score) if np.isfinite(score) else None


def solved(contender: dict[str, Any]) -> int:
    """How many runs met the criterion of success."""
    return sum(count is not None for count in contender["solved"])


def sequences(contender: dict[str, Any]) -> float | None:
    """The median over all runs of the sequences to success; None where half never came there."""
    counts = [np.inf if count is None else count for count in contender["solved"]]
    return finite(np.median(counts))
