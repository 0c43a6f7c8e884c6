"""The results of a study as JSON, with everything that its table shows."""

import math
from typing import Any

import numpy as np

from experiments.harness.report.summary import finite_or_none, interval_of_median
from experiments.harness.run.study import SECONDS, Column, Entry, Results


def summarize(results: Results) -> dict[str, Any]:
    """The study with its entries.

    Each score has ``values``, one per trial (None for a trial that diverged or has no such score),
    its ``center`` and its ``spread``: of seeds the median and its 95 % interval, of folds the mean
    and the standard deviation. None stands for what cannot be computed.
    """
    study = results.study
    return {
        "study": study.name,
        "split": study.split,
        "over": study.over,
        "columns": [column._asdict() for column in study.columns],
        "entries": [summarize_entry(results, entry) for entry in study.entries],
        "published": [row._asdict() for row in study.published],
    }


def summarize_entry(results: Results, entry: Entry) -> dict[str, Any]:
    trials = [results.trials[entry.name, seed] for seed in entry.seeds]
    scores = {}
    for column in results.study.columns:
        given = [t for t in trials if column.name in t["scores"] or t["diverged"] is not None]
        if any(column.name in trial["scores"] for trial in trials):
            values = [trial["scores"].get(column.name) for trial in given]
            scores[column.name] = summarize_scores(values, column, results.study.over)
    return {
        "entry": entry.name,
        "kind": entry.kind,
        "parameters": entry.parameters,
        "trials": [int(seed) for seed in entry.seeds],
        "scores": scores,
        "diverged": {
            str(seed): trial["diverged"]
            for seed, trial in zip(entry.seeds, trials, strict=True)
            if trial["diverged"] is not None
        },
        SECONDS: float(np.median([trial[SECONDS] for trial in trials])),
    }


def summarize_scores(values: list[float | None], column: Column, over: str) -> dict[str, Any]:
    """The values of all trials with their center and spread; one that diverged is the worst."""
    worst = -math.inf if column.higher_is_better else math.inf
    scores = np.array([worst if value is None else value for value in values])
    if over == "folds":
        center = float(np.mean(scores))
        spread: Any = (
            float(np.std(scores)) if np.isfinite(scores).all() and len(scores) > 1 else None
        )
    else:
        center = float(np.median(scores)) if np.isfinite(scores).any() else worst
        spread = interval_of_median(scores)
    return {"values": values, "center": finite_or_none(center), "spread": spread}


def best_entries(summary: dict[str, Any], column: dict[str, Any]) -> set[str]:
    """The entries with the best center in a column, as far as its digits tell; none if there is
    nothing to compare. Numbers from the literature do not count: others measured them."""
    if column["higher_is_better"] is None:
        return set()
    centers = {
        row["entry"]: round(row["scores"][column["name"]]["center"], column["digits"])
        for row in summary["entries"]
        if row["scores"].get(column["name"], {}).get("center") is not None
    }
    if len(centers) < 2:
        return set()
    best = (max if column["higher_is_better"] else min)(centers.values())
    return {name for name, center in centers.items() if center == best}
