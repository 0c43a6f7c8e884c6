"""What a longer, wider or deeper net costs: how time and RAM grow with T, H, B and layers.

    python -m experiments cost

Reads the measurements of the benchmarks' scaling study (``python -m benchmarks.studies.scaling``),
by default those that are kept in the repository, and fits to each axis the power by which the cost
grows: 1 is in proportion, 2 is four times the cost of twice the size. Takes seconds, since nothing
is measured.

Expect: time grows with the power 1 of T, 0.9 of B, about 1 of the layers and 1.4 of H; RAM about in
proportion to each (results in experiments/results/cost).
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from experiments.general._cost_figures import AXES, draw_growth
from experiments.harness.run import run_folder
from experiments.harness.run.study import Column, Entry, Study, Trial
from lstm_jax._internal.errors import WrongValue

TIME = "5 s"
TIME_POWER, RAM_POWER = "power of time", "power of RAM"
LAST_TIME, LAST_RAM = "power of time, upper half", "power of RAM, upper half"
OURS = "lstm_jax"
KEPT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "scaling"


@dataclasses.dataclass(frozen=True)
class Config:
    results: Path | None = None
    """Folder of a run of the scaling study; by default the one that the repository keeps."""


def studies(config: Config) -> list[Study]:
    folder = config.results or KEPT
    file = folder / "results.json"
    if not file.is_file():
        raise WrongValue(f"results: expected a folder with results.json, got {folder}")
    measured = run_folder.read_json(file)
    settings = measured["settings"]
    return [
        Study(
            f"{settings['cell']} around {settings['base']}",
            "Nothing is trained: forward and backward on one device, around batch x time x input x "
            "hidden size, on "
            f"{measured['machine']['processor']}, {measured['machine']['cores']} cores.",
            [Column(name, None, 2) for name in (TIME_POWER, LAST_TIME, RAM_POWER, LAST_RAM)],
            [
                Entry(name, "net", functools.partial(fit_powers, measured, axis))
                for axis, name in AXES.items()
            ],
            {"results": file},
            findings=draw_growth,
        )
    ]


def fit_powers(measured: dict[str, Any], axis: str, trial: Trial) -> dict[str, float]:
    """The slopes of time and RAM against size, both as logarithms, by least squares: over all
    sizes, and over the upper half of them."""
    sizes, seconds, allocated = read_axis(measured, axis)
    trial.save_arrays("growth", size=sizes, seconds=seconds, bytes=allocated)
    half = len(sizes) // 2
    return {
        TIME_POWER: fit_power(sizes, seconds),
        LAST_TIME: fit_power(sizes[half:], seconds[half:]),
        RAM_POWER: fit_power(sizes, allocated),
        LAST_RAM: fit_power(sizes[half:], allocated[half:]),
    }


def read_axis(measured: dict[str, Any], axis: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes, median seconds of forward and backward, and bytes of temporary RAM."""
    points = sorted(
        (point["value"], float(np.median(point["ms"][OURS])) / 1e3, point["temporary_bytes"][OURS])
        for point in measured["points"]
        if point["axis"] == axis
    )
    sizes, seconds, allocated = (np.array(column, float) for column in zip(*points, strict=True))
    return sizes, seconds, allocated


def fit_power(sizes: np.ndarray, costs: np.ndarray) -> float:
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
