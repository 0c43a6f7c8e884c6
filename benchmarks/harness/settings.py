"""What is measured, and with how much patience."""

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
class Settings:
    """What is compared, and how often.

    Args:
        cells: lstm, gru.
        shapes: Batch x time x input size x hidden size.
        layers: Heights of the stack.
        peers: flax, haiku, equinox, keras, torch; those that are not installed are left out.
        rounds: In each round every contender runs once.
        budget: Seconds for the rounds of one shape, forward and backward each; three rounds at
            least.
        keep_memory: Have the allocator keep freed memory, for every contender (glibc only).
        latency: Measure one step at batch 1.
        memory: Measure peak memory, each contender in a process of its own.
        allocator: Measure what keeping freed memory is worth, in two processes.
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
            raise WrongValue("layers and rounds: take integers of 1 or more")

    def decides(self) -> dict[str, Any]:
        """What a run folder must agree on; cells, shapes, layers and sections may come later."""
        fields = ("peers", "rounds", "budget", "keep_memory")
        return {field: getattr(self, field) for field in fields}


class Key(NamedTuple):
    """One comparison."""

    cell: str
    shape: Shape
    layers: int

    def __str__(self) -> str:
        return f"{self.cell} {self.shape}" + (f", {self.layers} layers" if self.layers > 1 else "")

    @property
    def file(self) -> str:
        return f"{self.cell}_{self.shape}_{self.layers}.json"


def keys(settings: Settings) -> Iterator[Key]:
    for shape in settings.shapes:
        for cell in settings.cells:
            for layers in settings.layers:
                yield Key(cell, Shape.parse(shape), layers)
