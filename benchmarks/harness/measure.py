"""One comparison: builds all contenders, checks them against ours, and times them in turns."""

import os
from collections.abc import Callable
from typing import Any

import jax

from benchmarks.harness import timing, work
from benchmarks.harness.build import Compiled, Ready, build, require_equal
from benchmarks.harness.config import BenchmarkConfig, Comparison
from benchmarks.peers import TORCH, contenders, counterpart

PROGRAMS = ("forward", "both")
MATRIX = "matrix product"


def column_name(name: str, devices: int) -> str:
    return f"{name}@{devices}"


def measure(
    comparison: Comparison, peers: tuple[str, ...], settings: BenchmarkConfig
) -> dict[str, Any]:
    """Times and sizes of one comparison, as JSON.

    The entry ``columns`` has one entry per contender and number of devices ("flax@1", "flax@2"),
    with times in milliseconds, one per round.

    Raises:
        Disagreement: before timing, if a contender's results differ from ours.
    """
    given = work.make(comparison.cell, comparison.shape, comparison.layers)
    built = build_columns(given, peers)
    for name, ready in built.items():
        contender = name.split("@")[0]
        reference = column_name(counterpart(contender, comparison.cell), 1)
        if name != reference:
            require_equal(contender, ready, built[reference])

    columns = {name: compile_facts(ready) for name, ready in built.items()}
    product, flops = timing.matrix_product()
    matrix: list[float] = []
    for program in PROGRAMS:
        calls: dict[str, Callable[[], object]] = {
            name: getattr(ready, program) for name, ready in built.items()
        }
        times = timing.alternate({**calls, MATRIX: product}, settings.rounds, settings.budget)
        matrix += times.pop(MATRIX)
        for name, values in times.items():
            columns[name][f"{program}_ms"] = [round(value, 4) for value in values]
    passes = work.matmul_flops(comparison.cell, comparison.shape, comparison.layers)
    return {
        "cell": comparison.cell,
        "shape": str(comparison.shape),
        "layers": comparison.layers,
        "gflop": {"forward": passes / 1e9, "both": 3 * passes / 1e9},
        "matrix_gflops": flops / timing.median(matrix) / 1e6,
        "columns": columns,
    }


def build_columns(given: work.Work, peers: tuple[str, ...]) -> dict[str, Ready]:
    """Every contender on one device and, if the batch can be divided among them, on all devices.

    PyTorch has one column: its threads use all cores anyway, as XLA's do on one device.
    """
    built: dict[str, Ready] = {}
    counts = [1]
    if jax.device_count() > 1 and given.shape.batch % jax.device_count() == 0:
        counts.append(jax.device_count())
    for name in contenders(peers, given.cell):
        if name == TORCH:
            built[column_name(name, os.cpu_count() or 1)] = build(name, given)
            continue
        for count in counts:
            built[column_name(name, count)] = build(name, given, jax.devices()[:count])
    return built


def compile_facts(ready: Ready) -> dict[str, Any]:
    """Seconds of compilation, and temporary bytes on each device, of a JAX contender."""
    if not isinstance(ready, Compiled):
        return {}
    return {
        "compile_seconds": round(ready.compile_seconds, 3),
        "temporary_bytes": ready.temporary_bytes,
    }
