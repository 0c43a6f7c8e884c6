"""Is what the deferred method takes the fastest of its ways?

    python -m benchmarks.studies.choices

Every way (product, what is kept, steps a block) on many shapes, forward and backward to weights
and inputs, in turns; a row a shape. The way taken is marked, with how much longer it takes than
the fastest. Give shapes as B,T,D,H to time others, ``--cell gru`` for the other cell and
``--devices 1`` for one device: by default the batch is spread over all cores where it divides.
The decisions stand in ``lstm_jax/unrolling/choice.py``; on another kind of machine run this, and
change them there.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

import lstm_jax as lj
from benchmarks.harness import timing
from lstm_jax._internal.errors import WrongValue
from lstm_jax.unrolling.methods.deferred_options import Choice, choose, reads_only_the_sum

Shape = tuple[int, int, int, int]

SHAPES = (
    "64,784,1,128",
    "32,200,128,128",
    "20,35,200,200",
    "128,100,256,256",
    "1,500,64,64",
    "32,100,512,512",
    "1,500,512,64",
    "1,500,64,256",
    "4,500,512,128",
    "16,100,1024,128",
    "256,64,64,64",
    "16,64,512,1024",
)
ROUNDS = 7
SECONDS = 15.0


def ways(choice: Choice, steps: int, additive: bool) -> list[lj.Deferred]:
    """The way taken, then those that differ in one decision, blocks of half and twice the length,
    and all steps at once."""
    taken = lj.Deferred(choice.product, choice.keep, choice.block or steps)
    block = taken.block or steps
    others = [taken._replace(product=p) for p in ("apart", "joined", "hoisted")]
    others += [taken._replace(keep="states")]
    others += [taken._replace(block=n) for n in (block // 2, 2 * block, steps) if 0 < n <= steps]
    allowed = [way for way in others if additive or way.product != "joined"]
    return list(dict.fromkeys([taken, *allowed]))


def programs(cell: lj.Cell, shape: Shape, devices: int) -> tuple[list[lj.Deferred], list[Callable]]:
    """The ways and, for each, a call that waits for its result."""
    batch, steps, inputs, size = shape
    spread = jax.devices()[:devices] if batch % devices == 0 else jax.devices()[:1]
    params = cell.init(jax.random.key(0), inputs)
    xs = jax.random.normal(jax.random.key(1), (steps, batch, inputs))
    weights = jax.random.normal(jax.random.key(2), (steps, batch, size))
    form = cell.form
    if not isinstance(form, lj.core.Gated):
        raise WrongValue(f"cell: expected one of the gated form, got {cell.name}")
    local = (steps, batch // len(spread), inputs)
    split = form.split(params)[0]
    choice = choose(form, split, local, lj.Deferred())
    found = ways(choice, steps, reads_only_the_sum(form, split))

    def call(way: lj.Deferred) -> Callable:
        def loss(params: Any, xs: jax.Array, weights: jax.Array) -> jax.Array:
            return jnp.sum(weights * lj.unroll(cell, params, xs, method=way)[1])

        step = lj.data_parallel(loss, (0, 1), batch_axes=(None, 1, 1), reduce="sum", devices=spread)
        return lambda: jax.block_until_ready(step(params, xs, weights))

    return found, [call(way) for way in found]


def row(shape: Shape, found: Sequence[lj.Deferred], medians: Sequence[float]) -> list[str]:
    best = min(range(len(found)), key=lambda i: medians[i])
    others = sorted(range(1, len(found)), key=lambda i: medians[i])
    return [
        " x ".join(map(str, shape)),
        f"{named(found[0])}: {medians[0]:.1f}",
        "the fastest" if best == 0 else f"{100 * (medians[0] / medians[best] - 1):.0f} % longer",
        "; ".join(f"{named(found[i])}: {medians[i]:.1f}" for i in others),
    ]


def named(way: lj.Deferred) -> str:
    return f"{way.product}, {way.keep}, {way.block}"


def main(
    shapes: tyro.conf.Positional[tuple[str, ...]] = SHAPES,
    *,
    cell: str = "lstm",
    devices: int | None = None,
) -> None:
    """Times the ways of the deferred method.

    Args:
        shapes: Batch, time, input size, hidden size.
        cell: A registered cell of the gated form.
        devices: Over which the batch is spread; all if not given.
    """
    lj.train.keep_freed_memory()
    devices = devices or jax.local_device_count()
    title = f"{cell}, forward and backward, ms (median), {devices} devices, jax {jax.__version__}"
    table = Table("B x T x D x H", "taken", "against the fastest", "others", title=title)
    timing.warm_up()
    for text in track(shapes, description="shapes", console=Console(stderr=True)):
        batch, steps, inputs, size = (int(n) for n in text.split(","))
        shape = (batch, steps, inputs, size)
        found, calls = programs(lj.cells.make(cell, size), shape, devices)
        calls_by_name = {named(way): call for way, call in zip(found, calls, strict=True)}
        times = timing.alternate(calls_by_name, ROUNDS, SECONDS)
        table.add_row(*row(shape, found, [timing.median(times[named(way)]) for way in found]))
    Console().print(table)


if __name__ == "__main__":
    lj.use_cpu_cores()
    tyro.cli(main, args=sys.argv[1:], description=__doc__)
