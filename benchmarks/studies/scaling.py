"""How time and memory grow: ``python -m benchmarks.studies.scaling``.

Time steps, hidden size, batch and layers are varied one at a time around a base shape, forward and
backward on one device; and one long sequence is streamed in chunks, forward, with the state
carried from chunk to chunk. A killed run goes on with the same command.
"""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console

from benchmarks.__main__ import INTERRUPTED, use_all_cores
from benchmarks.harness import conduct, machine, stream, timing, work
from benchmarks.harness.build import Compiled, Disagreement, build, require_equal
from benchmarks.harness.settings import Key
from benchmarks.harness.work import CELLS, Shape
from benchmarks.peers import PEERS, available, base, entrants
from benchmarks.studies import scaling_report
from experiments.harness.run import provenance, run_folder
from lstm_jax._internal.errors import ArgumentError, WrongValue


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What is varied around what.

    Args:
        cell: lstm or gru.
        base: Batch x time x input size x hidden size.
        steps: Time steps T.
        hidden: Hidden sizes H.
        batch: Batch sizes B.
        layers: Heights of the stack.
        peers: flax, haiku, equinox, keras, torch.
        rounds: In each round every contender runs once.
        budget: Seconds for the rounds of one point; three rounds at least.
        keep_memory: Have the allocator keep freed memory (glibc only).
        stream_steps: Length of the streamed sequence; 0 for none.
        chunk: Steps of one chunk of it.
        stream_batch: Rows that are streamed side by side.
    """

    cell: str = "lstm"
    base: str = "32x200x64x128"
    steps: tuple[int, ...] = (25, 50, 100, 200, 400, 800, 1600)
    hidden: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    batch: tuple[int, ...] = (1, 4, 16, 32, 64, 128, 256)
    layers: tuple[int, ...] = (1, 2, 4, 8)
    peers: tuple[str, ...] = ("flax",)
    rounds: int = 7
    budget: float = 10.0
    keep_memory: bool = True
    stream_steps: int = 1_000_000
    chunk: int = 1_000
    stream_batch: int = 8

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise WrongValue(f"cell: expected {', '.join(CELLS)}, got {self.cell!r}")
        Shape.parse(self.base)
        for name in self.peers:
            if name not in PEERS:
                raise WrongValue(f"peers: expected {', '.join(PEERS)}, got {name!r}")
        sizes = (*self.steps, *self.hidden, *self.batch, *self.layers)
        if min((*sizes, self.rounds, self.chunk, self.stream_batch)) < 1 or self.stream_steps < 0:
            raise WrongValue("sizes and rounds: take integers of 1 or more")

    def decides(self) -> dict[str, Any]:
        """What a run folder must agree on; further points may come later."""
        fields = ("cell", "base", "peers", "rounds", "budget", "keep_memory")
        streamed = ("stream_steps", "chunk", "stream_batch")
        return {field: getattr(self, field) for field in (*fields, *streamed)}


def points(sweep: Sweep) -> list[tuple[str, int, Key]]:
    """What is varied ("steps", ...), its value, and the comparison; the base is in each sweep."""
    base = Shape.parse(sweep.base)
    found = []
    for axis in ("steps", "hidden", "batch"):
        for value in getattr(sweep, axis):
            found.append((axis, value, Key(sweep.cell, base._replace(**{axis: value}), 1)))
    return found + [("layers", value, Key(sweep.cell, base, value)) for value in sweep.layers]


def measure(key: Key, peers: tuple[str, ...], rounds: int, budget: float) -> dict[str, Any]:
    """Milliseconds of forward and backward, one a round, and temporary bytes, by contender."""
    given = work.make(key.cell, key.shape, key.layers)
    built = {name: build(name, given) for name in entrants(peers, key.cell)}
    for name, ready in built.items():
        reference = base(name, key.cell)
        if name != reference:
            require_equal(name, ready, built[reference])
    times = timing.alternate({name: ready.both for name, ready in built.items()}, rounds, budget)
    return {
        "shape": str(key.shape),
        "layers": key.layers,
        "ms": {name: [round(value, 4) for value in values] for name, values in times.items()},
        "temporary_bytes": {
            name: ready.temporary_bytes
            for name, ready in built.items()
            if isinstance(ready, Compiled)
        },
    }


def plan(sweep: Sweep, peers: tuple[str, ...]) -> list[conduct.Job]:
    jobs: list[conduct.Job] = []
    if sweep.stream_steps:  # first, before anything else has made the process large
        base = Shape.parse(sweep.base)
        given = (sweep.cell, sweep.stream_batch, base.inputs, base.hidden)
        long = functools.partial(stream.measure, *given, sweep.stream_steps, sweep.chunk)
        jobs.append((f"{sweep.stream_steps} steps in chunks", "stream.json", long))
    measured = set()
    for axis, value, key in points(sweep):
        if key.file not in measured:  # the base is in every sweep, and measured once
            measured.add(key.file)
            work = functools.partial(measure, key, peers, sweep.rounds, sweep.budget)
            jobs.append((f"{axis} {value}", key.file, work))
    return jobs


def run(sweep: Sweep, out: Path, *, overwrite: bool) -> int:
    """Runs, or goes on with, the sweep in the folder ``out``: the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    conduct.announce_memory(console, sweep.keep_memory)
    here, absent = available(sweep.peers)
    for reason in absent.values():
        console.print(f"left out: {reason}", highlight=False, soft_wrap=True)
    config = {"benchmark": "sweep", **sweep.decides(), "versions": conduct.versions(here)}
    made_from = provenance.collect(program="benchmarks")
    try:
        with run_folder.open_folder(out, config, made_from, overwrite=overwrite) as path:
            conduct.run(plan(sweep, here), path, console)
            scaling_report.report(points(sweep), machine.describe(), config, absent, path, console)
    except (run_folder.RunFolderError, Disagreement) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"kept in {out}", highlight=False, soft_wrap=True)
    return 0


def main(argv: list[str]) -> int:
    import tyro

    def command(
        sweep: Annotated[Sweep, tyro.conf.arg(name="")],
        *,
        out: Path = Path("runs/sweep"),
        overwrite: bool = False,
    ) -> int:
        """Measures and reports.

        Args:
            sweep: What is varied.
            out: Run folder.
            overwrite: Start afresh, and lose the run that is in the folder.
        """
        return run(sweep, out, overwrite=overwrite)

    try:
        return tyro.cli(
            command, args=argv, prog="python -m benchmarks.studies.scaling", description=__doc__
        )
    except ArgumentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = " ".join(["python -m benchmarks.studies.scaling", *argv])
        print(f"\nstopped; the same command goes on from here: {again}", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    use_all_cores()
    sys.exit(main(sys.argv[1:]))
