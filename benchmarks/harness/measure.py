"""One comparison: all contenders built, held against ours, and timed in turns."""

import os
from collections.abc import Callable
from typing import Any

import jax

from benchmarks.harness import timing, work
from benchmarks.harness.build import Compiled, Ready, build, require_equal
from benchmarks.harness.settings import Key, Settings
from benchmarks.peers import TORCH, base, entrants

PROGRAMS = ("forward", "both")
MATRIX = "matrix product"


def column(name: str, devices: int) -> str:
    return f"{name}@{devices}"


def measure(key: Key, peers: tuple[str, ...], settings: Settings) -> dict[str, Any]:
    """Times and sizes of one comparison, as JSON. Raises Disagreement before anything is timed.

    columns: by contender and devices ("flax@1", "flax@2"); times in milliseconds, one a round.
    """
    given = work.make(key.cell, key.shape, key.layers)
    built = built_columns(given, peers)
    for name, ready in built.items():
        contender = name.split("@")[0]
        reference = column(base(contender, key.cell), 1)
        if name != reference:
            require_equal(contender, ready, built[reference])

    columns = {name: facts(ready) for name, ready in built.items()}
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
    passes = work.products_flops(key.cell, key.shape, key.layers)
    return {
        "cell": key.cell,
        "shape": str(key.shape),
        "layers": key.layers,
        "gflop": {"forward": passes / 1e9, "both": 3 * passes / 1e9},
        "matrix_gflops": flops / timing.median(matrix) / 1e6,
        "columns": columns,
    }


def built_columns(given: work.Work, peers: tuple[str, ...]) -> dict[str, Ready]:
    """Every contender on one device and, where there are more rows than one, on all of them.

    PyTorch has one column: its threads are on all cores anyway, as XLA's are on one device.
    """
    built: dict[str, Ready] = {}
    counts = [1]
    if jax.device_count() > 1 and given.shape.batch % jax.device_count() == 0:
        counts.append(jax.device_count())
    for name in entrants(peers, given.cell):
        if name == TORCH:
            built[column(name, os.cpu_count() or 1)] = build(name, given)
            continue
        for count in counts:
            built[column(name, count)] = build(name, given, jax.devices()[:count])
    return built


def facts(ready: Ready) -> dict[str, Any]:
    """What is known before timing: seconds of compilation, temporary bytes on each device."""
    if not isinstance(ready, Compiled):
        return {}
    return {
        "compile_seconds": round(ready.compile_seconds, 3),
        "temporary_bytes": ready.temporary_bytes,
    }
