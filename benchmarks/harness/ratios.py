"""Ratios of times, for the tables and the figure."""

from typing import Any

from benchmarks.harness.measure import column_name
from benchmarks.harness.timing import geometric_mean, paired_ratio
from benchmarks.peers import OURS, PEERS, TORCH, Missing, counterpart

Result = dict[str, Any]


def device_counts(results: list[Result]) -> list[int]:
    """The numbers of devices that were measured: 1, and perhaps all."""
    names = {name for result in results for name in result["columns"]}
    return sorted(int(name.split("@")[1]) for name in names if name.startswith(f"{OURS}@"))


def times(result: Result, name: str, devices: int, program: str) -> list[float] | None:
    """Milliseconds, one per round; None if the contender was not measured."""
    columns = result["columns"]
    if name == TORCH:
        found = next((columns[key] for key in columns if key.startswith(f"{TORCH}@")), None)
    else:
        found = columns.get(column_name(name, devices))
    return None if found is None else found[f"{program}_ms"]


def ratio(result: Result, name: str, devices: int, program: str) -> float | None:
    """The contender's time over ours, on as many devices, for the same convention of the cell."""
    theirs = times(result, name, devices, program)
    if theirs is None:
        return None
    ours = times(result, our_counterpart(result, name), devices, program)
    return None if ours is None else paired_ratio(theirs, ours)


def our_counterpart(result: Result, name: str) -> str:
    """Which of our contenders a peer is compared with, even if the peer is not installed."""
    try:
        return counterpart(name, result["cell"])
    except Missing:
        return OURS


def fastest_jax_peer(result: Result, devices: int, program: str) -> tuple[str | None, float | None]:
    """The JAX peer with the smallest ratio, and that ratio, among those that compute our default
    cell; ratios to different cells of ours cannot be compared."""
    ratios = {
        name: value
        for name in PEERS
        if name != TORCH
        and our_counterpart(result, name) == OURS
        and (value := ratio(result, name, devices, program)) is not None
    }
    if not ratios:
        return None, None
    name = min(ratios, key=lambda name: ratios[name])
    return name, ratios[name]


def mean_ratio(results: list[Result], name: str, devices: int, program: str) -> float | None:
    """The geometric mean over the comparisons that have the contender on this many devices."""
    found = (ratio(result, name, devices, program) for result in results)
    return geometric_mean(value for value in found if value is not None)


def mean_fastest(results: list[Result], devices: int, program: str) -> float | None:
    found = (fastest_jax_peer(result, devices, program)[1] for result in results)
    return geometric_mean(value for value in found if value is not None)


def matrix_share(result: Result, name: str, devices: int) -> float | None:
    """FLOP/s of the matrix products, forward and backward, over those of a large product that was
    measured in the same rounds."""
    milliseconds = times(result, name, devices, "both")
    if milliseconds is None:
        return None
    return (
        result["gflop"]["both"]
        / (sorted(milliseconds)[len(milliseconds) // 2] / 1e3)
        / (result["matrix_gflops"])
    )
