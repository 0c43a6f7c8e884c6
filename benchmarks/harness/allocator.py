"""The speedup from keeping freed memory: the first shape, in two processes, with and without."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness.config import BenchmarkConfig, Comparison
from benchmarks.harness.timing import median
from experiments.harness.run import run_folder

SECTIONS_OFF = ("--no-latency", "--no-memory", "--no-allocator")


def measure(
    comparison: Comparison, peers: tuple[str, ...], settings: BenchmarkConfig, path: Path
) -> dict[str, Any]:
    """Median milliseconds, forward and backward on one device, by contender."""
    times = {
        keep: run_in_subprocess(comparison, peers, settings, path, keep) for keep in (True, False)
    }
    return {
        "cell": comparison.cell,
        "shape": str(comparison.shape),
        "layers": comparison.layers,
        "kept_ms": times[True],
        "given_back_ms": times[False],
    }


def run_in_subprocess(
    comparison: Comparison,
    peers: tuple[str, ...],
    settings: BenchmarkConfig,
    path: Path,
    keep: bool,
) -> dict[str, float]:
    """Runs the benchmark for this shape alone, in a folder inside the run folder."""
    out = path / ("kept" if keep else "given_back")
    command = [sys.executable, "-m", "benchmarks", "--cells", comparison.cell]
    command += ["--shapes", str(comparison.shape)]
    command += ["--layers", str(comparison.layers), "--rounds", str(settings.rounds)]
    command += ["--budget", str(settings.budget), "--peers", *peers]
    command += ["--keep-memory" if keep else "--no-keep-memory", *SECTIONS_OFF]
    done = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    columns = run_folder.read_json(out / "measured" / comparison.file)["columns"]
    return {
        name.split("@")[0]: median(facts["both_ms"])
        for name, facts in columns.items()
        if name.endswith("@1") or name.startswith("torch@")
    }
