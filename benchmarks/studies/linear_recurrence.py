"""Which solver of the linear recurrence is fastest, and which method for whole linear cells?

    python -m benchmarks.studies.linear_recurrence

Prints the median times of contenders that take turns, one row per shape. "all at once" is
``jax.lax.associative_scan``. Pass shapes as T,B,H to time others: ``... 784,64,128 200,8,32``.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

import lstm_jax as lj
from lstm_jax.unrolling.methods.recurrence import (
    Solver,
    Times,
    all_at_once,
    linear_recurrence,
    one_by_one,
)

Shape = tuple[int, int, int]
CHUNK = 64


def in_chunks(a: jax.Array, b: jax.Array, h0: jax.Array, reverse: bool, times: Times) -> jax.Array:
    """A solver that the library does not have: a loop over chunks, each solved all at once."""
    a = a + jnp.zeros_like(b)
    steps = b.shape[0]
    short = -steps % CHUNK
    beyond = [(short, 0) if reverse else (0, short)] + [(0, 0)] * (a.ndim - 1)

    def chunks(values: jax.Array, beyond_value: int) -> jax.Array:
        filled = jnp.pad(values, beyond, constant_values=beyond_value)
        return filled.reshape(-1, CHUNK, *values.shape[1:])

    def body(h: jax.Array, chunk: tuple) -> tuple[jax.Array, jax.Array]:
        a, b = chunk
        hs = all_at_once(a, b, h, reverse, times)
        return hs[0 if reverse else -1], hs

    hs = jax.lax.scan(body, h0, (chunks(a, 1), chunks(b, 0)), reverse=reverse)[1]
    hs = hs.reshape(-1, *b.shape[1:])
    return hs[short:] if reverse else hs[:steps]


SHAPES: list[Shape] = [
    (64, 32, 128),
    (512, 32, 128),
    (784, 64, 128),
    (10_000, 4, 64),
    (100_000, 1, 64),
]
SOLVERS: dict[str, Solver] = {
    "one by one": one_by_one,
    "all at once": all_at_once,
    f"in chunks of {CHUNK}": in_chunks,
}
CELLS: dict[str, Callable[[int], lj.Cell]] = {"min_gru": lj.min_gru, "lru": lj.lru}
METHODS = ("scan", "associative")
ROUNDS = 9


def median_times(programs: Sequence[Callable], *args: Any) -> list[float]:
    """The median milliseconds of each program; the programs take turns."""
    times: list[list[float]] = [[] for _ in programs]
    for turn in range(ROUNDS + 1):
        for program, milliseconds in zip(programs, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(program(*args))
            if turn > 0:  # the first call compiles
                milliseconds.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(milliseconds) for milliseconds in times]


def time_solvers(shape: Shape, dtype: str) -> list[float]:
    """Times the recurrence alone, by each solver."""
    gate, value, weights, phase = jax.random.normal(jax.random.key(0), (4, *shape))
    a, b = jax.nn.sigmoid(gate), value
    if dtype == "complex64":
        a, b = a * jnp.exp(1j * phase), b + 1j * phase

    def loss(solver, a, b, h0):
        return jnp.vdot(weights, linear_recurrence(a, b, h0, False, False, solver).real)

    programs = [jax.jit(jax.grad(partial(loss, s), (0, 1, 2))) for s in SOLVERS.values()]
    return median_times(programs, a, b, jnp.zeros_like(b[0]))


def time_unrolls(shape: Shape, name: str) -> list[float]:
    """Times a whole cell with H inputs and H units, by each method."""
    cell = CELLS[name](shape[-1])
    params = cell.init(jax.random.key(0), shape[-1])
    xs, weights = jax.random.normal(jax.random.key(1), (2, *shape))

    def loss(method, params, xs):
        return jnp.vdot(weights, lj.unroll(cell, params, xs, method=method)[1])

    programs = [jax.jit(jax.grad(partial(loss, m), (0, 1))) for m in METHODS]
    return median_times(programs, params, xs)


def make_table(
    measure: Callable, rows: Sequence[str], contenders: Iterable[str], shapes: list[Shape]
) -> Table:
    where = f"{jax.devices()[0].device_kind}, jax {jax.__version__}"
    result = Table(title=f"forward + backward, ms (median of {ROUNDS}) on {where}")
    for column in ("T", "B", "H", "", *contenders):
        result.add_column(column, justify="right")
    for shape in shapes:
        for row in rows:
            times = measure(shape, row)
            cells = [f"[bold]{t:.1f}[/]" if t == min(times) else f"{t:.1f}" for t in times]
            result.add_row(*map(str, shape), row, *cells)
    return result


def main(arguments: list[str]) -> None:
    shapes = [parse_shape(argument) for argument in arguments] or SHAPES
    console = Console()
    console.print(make_table(time_solvers, ("float32", "complex64"), SOLVERS, shapes))
    console.print(make_table(time_unrolls, tuple(CELLS), METHODS, shapes))


def parse_shape(argument: str) -> Shape:
    steps, batch, size = (int(n) for n in argument.split(","))
    return steps, batch, size


if __name__ == "__main__":
    main(sys.argv[1:])
