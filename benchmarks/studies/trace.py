"""What does a trace cost beside the forward unroll?

    python -m benchmarks.studies.trace
    python -m benchmarks.studies.trace lstm gru "attention(heads=4, window=32)"

Prints medians of paired rounds at B=32, T=200, D=128, H=128: the unroll by "auto", the trace with
everything, and the trace that keeps one gate.
"""

import sys
from functools import partial

import jax
from rich.console import Console
from rich.table import Table

import lstm_jax as lj
from benchmarks.harness.timing import alternate, median, paired_ratio

STEPS, ROWS, SIZE = 200, 32, 128
ROUNDS, SECONDS = 41, 20.0
CELLS = ("lstm", "gru", "rnn", "mgu", "slstm", "min_gru", "mlstm(heads=4)",
         "attention(heads=4, window=32)")  # fmt: skip


def measure(name: str) -> list[str]:
    """One row of the table."""
    cell = lj.cells.make(name, SIZE)
    params = cell.init(jax.random.key(0), SIZE)
    xs = jax.random.normal(jax.random.key(1), (STEPS, ROWS, SIZE))
    gate = cell.gates[0]
    programs = {
        "unroll": jax.jit(partial(lj.unroll, cell)),
        "trace": jax.jit(partial(lj.trace, cell)),
        "one gate": jax.jit(partial(lj.trace, cell, keep=(gate,))),
    }

    def call(program):
        return lambda: jax.block_until_ready(program(params, xs))

    calls = {which: call(program) for which, program in programs.items()}
    times = alternate(calls, ROUNDS, SECONDS)
    unroll = times["unroll"]
    return [
        name,
        f"{median(unroll):.1f}",
        *(f"{paired_ratio(times[which], unroll):.2f}" for which in ("trace", "one gate")),
    ]


def main(names: list[str]) -> None:
    """Prints the table."""
    device = jax.devices()[0].device_kind
    title = f"forward, T={STEPS}, B={ROWS}, D=H={SIZE} on {device}, jax {jax.__version__}"
    table = Table("cell", "unroll, ms", "trace", "one gate", title=title)
    for name in names or CELLS:
        table.add_row(*measure(name))
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
