"""Constant forecasts of a short series: the smallest study.

    python -m experiments tiny_study

Expect a mean that is better than zero.
"""

import dataclasses
import os
import time
from pathlib import Path

import numpy as np

from experiments.harness.report import epochs
from experiments.harness.run.study import Column, Entry, Findings, Published, Results, Study, Trial
from lstm_jax import train
from lstm_jax._internal import storage

TIME = "1 s"
ERROR, EPOCH = "test RMSE", "best epoch"


@dataclasses.dataclass(frozen=True)
class Config:
    seeds: int = 3
    """Trials of each net."""
    epochs: int = 4
    """Steps of each net."""
    diverging: tuple[int, ...] = ()
    """Seeds whose loss is not finite."""
    over: str = "seeds"
    """What the trials differ in."""


def read(config: Config) -> np.ndarray:
    """The series; the last two values are the test data."""
    return np.array([2.0, 4, 3, 5, 3])


def studies(config: Config) -> list[Study]:
    series = read(config)
    seen, test = series[:-2], series[-2:]

    def rmse(forecast: float) -> float:
        return float(np.sqrt(np.mean((test - forecast) ** 2)))

    def net(trial: Trial) -> dict[str, float]:
        if trial.seed in config.diverging:
            raise train.NonFiniteLoss("the loss is nan at step 2")
        at, first = trial.checkpoint / "state.npz", 0
        if at.exists():
            first = int(np.load(at)["epoch"])
        else:
            at.parent.mkdir(exist_ok=True)
        log = os.environ.get("TINY_STUDY_LOG")
        for epoch in range(first, config.epochs):
            trial.show(epoch / config.epochs, f"epoch {epoch + 1} of {config.epochs}")
            if log:
                with Path(log).open("a") as lines:
                    lines.write(f"{trial.seed} {epoch}\n")
            time.sleep(float(os.environ.get("TINY_STUDY_SLEEP", "0")))
            with storage.replacing(at) as file:
                np.savez(file, epoch=epoch + 1)
        forecast = float(np.mean(seen)) + 0.1 * trial.seed
        trial.save_arrays("forecast", forecast=forecast)
        trial.save_arrays("history", loss=1 / np.arange(1, config.epochs + 1 + trial.seed))
        trial.save_net({"forecast": np.float32(forecast)}, epochs=config.epochs)
        return {ERROR: rmse(forecast), EPOCH: config.epochs}

    return [
        Study(
            "constants",
            split="All but the last two values are seen; the last two are the test data.",
            columns=[Column(ERROR, higher_is_better=False, digits=2), Column(EPOCH, digits=0)],
            entries=[
                Entry("zero", "baseline", lambda trial: {ERROR: rmse(0.0)}),
                Entry("last value", "baseline", lambda trial: {ERROR: rmse(seen[-1])}),
                Entry("net", "net", net, seeds=range(config.seeds), parameters=1),
            ],
            data={"series": series},
            published=[
                Published("oracle", "a paper 1997", {ERROR: 0.5}),
                Published("rumour", "somebody", {ERROR: 0.25}, checked=False),
            ],
            over=config.over,
            findings=find,
        )
    ]


def find(results: Results) -> Findings:
    forecast = float(results.arrays("net", "forecast")["forecast"])
    figure = epochs.draw_epochs(results, {"loss": "training loss"}, lines={"goal": 0.5}, log=True)
    table = ("Forecasts", ["entry", "forecast"], [["net", f"{forecast:.1f}"]])
    return Findings([f"The net says {forecast:.1f}."], [table], {"loss by epoch": figure})
