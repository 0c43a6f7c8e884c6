"""The table of a study over shapes: every contender's time, and its ratio to the first."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

import lstm_jax as lj
from benchmarks.harness.timing import alternate, median, paired_ratio, warm_up


def print_table(
    subject: str,
    axes: str,
    shapes: Sequence[str],
    make_calls: Callable[[Any], dict[str, Callable[[], Any]]],
    *,
    rounds: int,
    seconds: float,
) -> None:
    """Times and prints medians in milliseconds, and in brackets the ratios to the first contender:
    the median over paired rounds, and that of the fastest rounds.

    Args:
        subject: What is timed, such as "LSTM".
        axes: The names of the numbers of a shape, such as "B x T x D x H".
        shapes: The shapes, each its numbers with commas between them.
        make_calls: From the numbers of a shape, the calls by contender.
        rounds: As for ``alternate``.
        seconds: The budget of each shape.
    """
    lj.train.keep_freed_memory()
    warm_up()
    table: Table | None = None
    for text in shapes:
        calls = make_calls(tuple(int(n) for n in text.split(",")))
        times = alternate(calls, rounds, seconds)
        yardstick, first = next(iter(times.items()))
        if table is None:
            where = f"{jax.devices()[0].device_kind}, jax {jax.__version__}"
            title = f"{subject}, forward and backward, ms, and ratio to {yardstick}; {where}"
            table = Table(axes, *times, title=title)
        table.add_row(
            text.replace(",", " x "),
            *(
                f"{median(own):.2f} ({paired_ratio(own, first):.3f}, {min(own) / min(first):.3f})"
                for own in times.values()
            ),
        )
    Console(width=140).print(table)
