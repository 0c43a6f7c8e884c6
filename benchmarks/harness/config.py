"""The options of a benchmark, and the comparisons that they stand for."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.harness.work import CELLS, Shape
from benchmarks.peers import PEERS
from lstm_jax._internal.errors import WrongValue

SHAPES = (
    "64x784x1x128",
    "32x200x128x128",
    "20x35x200x200",
    "128x100x256x256",
    "1x500x64x64",
    "32x100x512x512",
)


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """The options of ``python -m benchmarks``.

    Args:
        cells: lstm, gru.
        shapes: Batch x time x input size x hidden size.
        layers: Numbers of layers.
        peers: flax, haiku, equinox, keras, torch; those that are not installed are left out.
        rounds: Number of rounds; in each, every contender runs once.
        budget: Seconds for all rounds of one shape, for forward and for forward and backward each;
            at least three rounds are run.
        keep_memory: Have the allocator keep freed memory, for every contender (glibc only).
        latency: Measure the latency of one step at batch 1.
        memory: Measure peak RAM, each contender in its own process.
        allocator: Measure the speedup from keeping freed memory, in two processes.
    """

    cells: tuple[str, ...] = CELLS
    shapes: tuple[str, ...] = SHAPES
    layers: tuple[int, ...] = (1, 2)
    peers: tuple[str, ...] = PEERS
    rounds: int = 15
    budget: float = 20.0
    keep_memory: bool = True
    latency: bool = True
    memory: bool = True
    allocator: bool = True

    def __post_init__(self) -> None:
        for cell in self.cells:
            if cell not in CELLS:
                raise WrongValue(f"cells: expected {', '.join(CELLS)}, got {cell!r}")
        for shape in self.shapes:
            Shape.parse(shape)
        for name in self.peers:
            if name not in PEERS:
                raise WrongValue(f"peers: expected {', '.join(PEERS)}, got {name!r}")
        if min((*self.layers, self.rounds)) < 1:
            got = f"{', '.join(map(str, self.layers))} and {self.rounds}"
            raise WrongValue(f"layers and rounds: expected integers of 1 or more, got {got}")

    def fixed_options(self) -> dict[str, Any]:
        """The options that must stay the same in a run folder; further cells, shapes, layers and
        sections may be added later."""
        fields = ("peers", "rounds", "budget", "keep_memory")
        return {field: getattr(self, field) for field in fields}


class Comparison(NamedTuple):
    """One cell, shape and number of layers, on which contenders are compared."""

    cell: str
    shape: Shape
    layers: int

    def __str__(self) -> str:
        return f"{self.cell} {self.shape}" + (f", {self.layers} layers" if self.layers > 1 else "")

    @property
    def file(self) -> str:
        return f"{self.cell}_{self.shape}_{self.layers}.json"


def list_comparisons(settings: BenchmarkConfig) -> Iterator[Comparison]:
    for shape in settings.shapes:
        for cell in settings.cells:
            for layers in settings.layers:
                yield Comparison(cell, Shape.parse(shape), layers)
