"""Which solver of the linear recurrence is fastest where: forward and backward, milliseconds.

    python -m benchmarks.linear_recurrence

A row a shape; the solvers take turns, and the median of their times counts. "all at once" is
``jax.lax.associative_scan``. Give shapes as T,B,H to time others: ``... 784,64,128 200,8,32``.
"""

import statistics
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from lstm_jax.unrolling.recurrence import Times, all_at_once, one_by_one, recurrence

CHUNK = 64


def in_chunks(a: jax.Array, b: jax.Array, h0: jax.Array, reverse: bool, times: Times) -> jax.Array:
    """A contender that the library does not have: a loop over chunks, each solved at once."""
    steps = a.shape[0]
    short = -steps % CHUNK
    beyond = [(short, 0) if reverse else (0, short)] + [(0, 0)] * (a.ndim - 1)

    def chunks(values: jax.Array, beyond_value: int) -> jax.Array:
        filled = jnp.pad(values, beyond, constant_values=beyond_value)
        return filled.reshape(-1, CHUNK, *values.shape[1:])

    def body(h: jax.Array, chunk: tuple) -> tuple[jax.Array, jax.Array]:
        hs = all_at_once(*chunk, h, reverse, times)
        return hs[0 if reverse else -1], hs

    hs = jax.lax.scan(body, h0, (chunks(a, 1), chunks(b, 0)), reverse=reverse)[1]
    hs = hs.reshape(-1, *b.shape[1:])
    return hs[short:] if reverse else hs[:steps]


SHAPES = [(64, 32, 128), (512, 32, 128), (784, 64, 128), (10_000, 4, 64), (100_000, 1, 64)]
SOLVERS = {
    "one by one": one_by_one,
    "all at once": all_at_once,
    f"in chunks of {CHUNK}": in_chunks,
}
ROUNDS = 9


def timed(shape: tuple[int, int, int], dtype: str) -> list[float]:
    """The median time of each solver, in the order of ``SOLVERS``."""
    steps, batch, size = shape
    keys = jax.random.split(jax.random.key(0), 5)
    real = [jax.random.normal(key, (steps, batch, size)) for key in keys[:4]]
    a, b, weights = jax.nn.sigmoid(real[0]), real[1], real[2]
    if dtype == "complex64":
        a, b = a * jnp.exp(1j * real[3]), b + 1j * real[3]
    h0 = jnp.zeros((batch, size), b.dtype)

    def loss(solver, a, b, h0):
        return jnp.vdot(weights, recurrence(a, b, h0, False, False, solver).real)

    programs = [jax.jit(jax.grad(partial(loss, s), (0, 1, 2))) for s in SOLVERS.values()]
    times: list[list[float]] = [[] for _ in programs]
    for round in range(ROUNDS + 1):
        for program, taken in zip(programs, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(program(a, b, h0))
            if round > 0:  # the first one compiles
                taken.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


def main(arguments: list[str]) -> None:
    shapes = [tuple(int(n) for n in argument.split(",")) for argument in arguments] or SHAPES
    where = f"{jax.devices()[0].device_kind}, jax {jax.__version__}"
    table = Table(title=f"forward + backward, ms (median of {ROUNDS}) on {where}")
    for column in ("T", "B", "H", "dtype", *SOLVERS):
        table.add_column(column, justify="right")
    for shape in shapes:
        for dtype in ("float32", "complex64"):
            medians = timed(shape, dtype)
            shown = [f"[bold]{m:.1f}[/]" if m == min(medians) else f"{m:.1f}" for m in medians]
            table.add_row(*map(str, shape), dtype, *shown)
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
