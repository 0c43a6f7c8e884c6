"""How time and RAM scale with the shape: ``python -m benchmarks.studies.scaling``.

The number of time steps, the hidden size, the batch and the number of layers are varied one at a
time around a base shape, forward and backward on one device. In addition, one long sequence is
streamed in chunks, forward only, with the state carried from chunk to chunk. A killed run continues
with the same command.
"""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Annotated, Any

from benchmarks.harness import conduct, machine, stream, timing, work
from benchmarks.harness.build import Compiled, Disagreement, build, require_equal
from benchmarks.harness.command_line import run_command
from benchmarks.harness.config import Comparison
from benchmarks.harness.machine import use_all_cores
from benchmarks.harness.work import CELLS, Shape
from benchmarks.peers import PEERS, available, contenders, counterpart
from benchmarks.studies import scaling_report
from experiments.harness.report.console import make_console
from experiments.harness.run import provenance, run_folder
from lstm_jax._internal.errors import WrongValue


@dataclasses.dataclass(frozen=True)
class ScalingConfig:
    """What is varied, around which base.

    Args:
        cell: lstm or gru.
        base: Batch x time x input size x hidden size.
        steps: Numbers of time steps T.
        hidden: Hidden sizes H.
        batch: Batch sizes B.
        layers: Numbers of layers.
        peers: flax, haiku, equinox, keras, torch.
        rounds: Number of rounds; in each, every contender runs once.
        budget: Seconds for all rounds of one point; at least three rounds are run.
        keep_memory: Have the allocator keep freed memory (glibc only).
        stream_steps: Length of the streamed sequence; 0 for none.
        chunk: Steps in one chunk of it.
        stream_batch: Batch size of the streamed sequence.
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
            raise WrongValue("sizes and rounds: expected integers of 1 or more, got a smaller one")

    def fixed_options(self) -> dict[str, Any]:
        """The options that must stay the same in a run folder; further points may follow later."""
        fields = ("cell", "base", "peers", "rounds", "budget", "keep_memory")
        streamed = ("stream_steps", "chunk", "stream_batch")
        return {field: getattr(self, field) for field in (*fields, *streamed)}


def list_points(config: ScalingConfig) -> list[tuple[str, int, Comparison]]:
    """For each point, what is varied ("steps", ...), its value and the comparison; the base is on
    every axis."""
    base = Shape.parse(config.base)
    found = []
    for axis in ("steps", "hidden", "batch"):
        for value in getattr(config, axis):
            found.append((axis, value, Comparison(config.cell, base._replace(**{axis: value}), 1)))
    return found + [
        ("layers", value, Comparison(config.cell, base, value)) for value in config.layers
    ]


def measure(
    comparison: Comparison, peers: tuple[str, ...], rounds: int, budget: float
) -> dict[str, Any]:
    """Milliseconds of forward and backward, one per round, and temporary bytes, by contender."""
    given = work.make(comparison.cell, comparison.shape, comparison.layers)
    built = {name: build(name, given) for name in contenders(peers, comparison.cell)}
    for name, ready in built.items():
        reference = counterpart(name, comparison.cell)
        if name != reference:
            require_equal(name, ready, built[reference])
    times = timing.alternate({name: ready.both for name, ready in built.items()}, rounds, budget)
    return {
        "shape": str(comparison.shape),
        "layers": comparison.layers,
        "ms": {name: [round(value, 4) for value in values] for name, values in times.items()},
        "temporary_bytes": {
            name: ready.temporary_bytes
            for name, ready in built.items()
            if isinstance(ready, Compiled)
        },
    }


def plan(config: ScalingConfig, peers: tuple[str, ...]) -> list[conduct.Job]:
    jobs: list[conduct.Job] = []
    if config.stream_steps:  # first, while the process is still small
        base = Shape.parse(config.base)
        given = (config.cell, config.stream_batch, base.inputs, base.hidden)
        long = functools.partial(stream.measure, *given, config.stream_steps, config.chunk)
        jobs.append((f"{config.stream_steps} steps in chunks", "stream.json", long))
    measured = set()
    for axis, value, comparison in list_points(config):
        if comparison.file not in measured:  # the base is on every axis, and measured once
            measured.add(comparison.file)
            work = functools.partial(measure, comparison, peers, config.rounds, config.budget)
            jobs.append((f"{axis} {value}", comparison.file, work))
    return jobs


def run(config: ScalingConfig, out: Path, *, overwrite: bool) -> int:
    """Starts or continues the study in the folder ``out``; returns the exit code."""
    console = make_console(120)
    conduct.announce_allocator(console, config.keep_memory)
    installed, absent = available(config.peers)
    for reason in absent.values():
        console.print(f"left out: {reason}", highlight=False, soft_wrap=True)
    versions = conduct.peer_versions(installed)
    settings = {"benchmark": "scaling", **config.fixed_options(), "versions": versions}
    made_from = provenance.collect(program="benchmarks")
    try:
        with run_folder.open_folder(out, settings, made_from, overwrite=overwrite) as path:
            conduct.run_jobs(plan(config, installed), path, console)
            scaling_report.write_report(
                list_points(config), machine.describe(), settings, absent, path, console
            )
    except (run_folder.RunFolderError, Disagreement) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"saved in {out}", highlight=False, soft_wrap=True)
    return 0


def main(argv: list[str]) -> int:
    import tyro

    def command(
        config: Annotated[ScalingConfig, tyro.conf.arg(name="")],
        *,
        out: Path = Path("runs/scaling"),
        overwrite: bool = False,
    ) -> int:
        """Measures and reports.

        Args:
            config: What is varied.
            out: Run folder.
            overwrite: Start from scratch, and delete the run that is in the folder.
        """
        return run(config, out, overwrite=overwrite)

    program = "python -m benchmarks.studies.scaling"
    return run_command(command, argv, program=program, description=__doc__)


if __name__ == "__main__":
    use_all_cores()
    sys.exit(main(sys.argv[1:]))
