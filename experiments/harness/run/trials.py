"""Runs the trials of studies, one after another; those that are finished are not run again.

STUDY/ENTRY/seed_N/   result.json once the trial is finished; before, whatever its function
                      keeps there to continue from, and seconds.json, the time so far
"""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.harness.run import run_folder
from experiments.harness.run.study import SECONDS, Entry, Results, Study, Trial, check, trial_path
from experiments.harness.run.trial_progress import TrialProgress
from lstm_jax import train
from lstm_jax._internal.errors import WrongValue

RESULT, CLOCK = "result.json", "seconds.json"
CLOCK_EVERY = 10.0  # seconds between notes of the time that a trial has taken so far


class PlannedTrial(NamedTuple):
    """One trial of one entry of one study."""

    study: Study
    entry: Entry
    seed: int

    @property
    def folder(self) -> str:
        return f"{self.study.folder}/{trial_path(self.entry.name, self.seed)}"

    @property
    def name(self) -> str:
        which = "" if len(self.entry.seeds) == 1 else f", {self.study.over[:-1]} {self.seed}"
        return f"{self.study.name}: {self.entry.name}{which}"


def plan(studies: list[Study]) -> list[PlannedTrial]:
    """All trials, in order.

    Raises:
        ValueError or TypeError: for studies that cannot be run or shown.
    """
    for study in studies:
        check(study)
    names = [study.folder for study in studies]
    if not names or len(set(names)) < len(names):
        raise WrongValue(f"studies: expected one or more, each of another name, got {names}")
    return [
        PlannedTrial(study, entry, seed)
        for study in studies
        for entry in study.entries
        for seed in entry.seeds
    ]


def config_of(name: str, config: Any, studies: list[Study]) -> dict[str, Any]:
    """The content of config.json: the configuration by study and entry.

    Args:
        name: of the experiment.
        config: its configuration, a dataclass.
        studies: the studies that it was made into.
    """
    options = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return {
        "experiment": name,
        **{
            study.name: {
                entry.name: {
                    **options,
                    "kind": entry.kind,
                    "parameters": entry.parameters,
                    "trials": [int(seed) for seed in entry.seeds],
                }
                for entry in study.entries
            }
            for study in studies
        },
    }


def run_trials(
    trials: list[PlannedTrial], path: Path, progress: TrialProgress
) -> dict[str, dict[str, Any]]:
    """The results of all trials, by folder.

    Args:
        trials: From ``plan``.
        path: The run folder.
        progress: The display.
    """
    files = {trial.folder: path / trial.folder / RESULT for trial in trials}
    results = {name: run_folder.read_json(file) for name, file in files.items() if file.exists()}
    progress.skip([trial for trial in trials if trial.folder in results])
    for trial in trials:
        if trial.folder not in results:
            results[trial.folder] = run_trial(trial, path / trial.folder, progress)
    return results


def run_trial(trial: PlannedTrial, folder: Path, progress: TrialProgress) -> dict[str, Any]:
    """Runs a trial, or what is left of it, and writes its result.

    Returns:
        The content of result.json: ``scores`` by column, None for those that are not finite;
        ``seconds``, over all starts; ``diverged``, the message if the loss was not finite, in which
        case there are no scores, and otherwise None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(folder / CLOCK)

    def show(fraction: float, text: str = "") -> None:
        clock.note()
        progress.show(trial, fraction, text)

    show(0.0)
    handed = Trial(int(trial.seed), folder, jax.random.key(trial.seed), show)
    diverged, scores = None, {}
    try:
        scores = dict(trial.entry.run(handed))
    except train.NonFiniteLoss as error:
        diverged = str(error)
        progress.warn(f"{trial.name}: {diverged}")
    except Exception as error:
        error.add_note(f"(in the trial {trial.name})")
        raise
    finally:
        clock.note(at_once=True)
    seconds = float(scores.pop(SECONDS, clock.seconds()))
    require_known(trial, scores)
    result = {
        "scores": {
            name: float(value) if math.isfinite(value) else None for name, value in scores.items()
        },
        SECONDS: seconds,
        "diverged": diverged,
    }
    run_folder.write_json(folder / RESULT, result)
    progress.print_result(trial, result)
    return result


def require_known(trial: PlannedTrial, scores: Mapping[str, float]) -> None:
    """Raises ValueError for scores that no column shows."""
    columns = [column.name for column in trial.study.columns]
    for name in scores:
        if name not in columns:
            raise WrongValue(
                f"scores of {trial.entry.name}: expected some of {', '.join(columns)}, got {name!r}"
            )


class Clock:
    """The seconds that a trial has taken, over all its starts."""

    def __init__(self, file: Path):
        self._file, self._begun, self._before = file, time.monotonic(), 0.0
        self._noted = self._begun
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # none, or half of one
            self._before = float(run_folder.read_json(file)[SECONDS])

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._begun

    def note(self, *, at_once: bool = False) -> None:
        """Writes the time to disk, now and then, so that little of it is lost by a kill."""
        now = time.monotonic()
        if at_once or now - self._noted > CLOCK_EVERY:
            self._noted = now
            run_folder.write_json(self._file, {SECONDS: round(self.seconds(), 3)})


def results_of(
    study: Study, trials: list[PlannedTrial], results: dict[str, dict[str, Any]], path: Path
) -> Results:
    """The results of one study."""
    of_study = {
        (trial.entry.name, trial.seed): results[trial.folder]
        for trial in trials
        if trial.study is study
    }
    return Results(study, path / study.folder, of_study)
