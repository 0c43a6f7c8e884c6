"""Does the deferred method choose its fastest options?

    python -m benchmarks.studies.choices

Times all options (product, what is stored, steps per block) on many shapes, forward and backward to
weights and inputs, in turns. The table has one row per shape, with the chosen options and how much
longer they take than the fastest. Pass shapes as B,T,D,H to time others, ``--cell gru`` for another
cell and ``--devices 1`` for one device; by default the batch is spread over all cores if it can be
divided. The choices are made in ``lstm_jax/unrolling/methods/deferred_options.py``; on a different
kind of machine, run this and adjust them there.
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


def list_options(choice: Choice, steps: int, additive: bool) -> list[lj.Deferred]:
    """The chosen options, followed by those that differ from them in one choice: the product, what
    is stored, or blocks of half and twice the length and of all steps."""
    chosen = lj.Deferred(choice.product, choice.keep, choice.block or steps)
    block = chosen.block or steps
    others = [chosen._replace(product=p) for p in ("apart", "joined", "hoisted")]
    others += [chosen._replace(keep="states")]
    others += [chosen._replace(block=n) for n in (block // 2, 2 * block, steps) if 0 < n <= steps]
    allowed = [one for one in others if additive or one.product != "joined"]
    return list(dict.fromkeys([chosen, *allowed]))


def compile_options(
    cell: lj.Cell, shape: Shape, devices: int
) -> tuple[list[lj.Deferred], list[Callable]]:
    """The options and, for each, a call that waits for its result."""
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
    found = list_options(choice, steps, reads_only_the_sum(form, split))

    def make_call(options: lj.Deferred) -> Callable:
        def loss(params: Any, xs: jax.Array, weights: jax.Array) -> jax.Array:
            return jnp.sum(weights * lj.unroll(cell, params, xs, method=options)[1])

        step = lj.data_parallel(loss, (0, 1), batch_axes=(None, 1, 1), reduce="sum", devices=spread)
        return lambda: jax.block_until_ready(step(params, xs, weights))

    return found, [make_call(options) for options in found]


def make_row(shape: Shape, found: Sequence[lj.Deferred], medians: Sequence[float]) -> list[str]:
    best = min(range(len(found)), key=lambda i: medians[i])
    others = sorted(range(1, len(found)), key=lambda i: medians[i])
    return [
        " x ".join(map(str, shape)),
        f"{option_label(found[0])}: {medians[0]:.1f}",
        "the fastest" if best == 0 else f"{100 * (medians[0] / medians[best] - 1):.0f} % longer",
        "; ".join(f"{option_label(found[i])}: {medians[i]:.1f}" for i in others),
    ]


def option_label(options: lj.Deferred) -> str:
    return f"{options.product}, {options.keep}, {options.block}"


def main(
    shapes: tyro.conf.Positional[tuple[str, ...]] = SHAPES,
    *,
    cell: str = "lstm",
    devices: int | None = None,
) -> None:
    """Times the options of the deferred method.

    Args:
        shapes: Batch, time steps, input size, hidden size, as B,T,D,H.
        cell: A registered cell of the gated form.
        devices: Number of devices over which the batch is spread; all if not given.
    """
    lj.train.keep_freed_memory()
    devices = devices or jax.local_device_count()
    title = f"{cell}, forward and backward, ms (median), {devices} devices, jax {jax.__version__}"
    table = Table("B x T x D x H", "chosen", "against the fastest", "others", title=title)
    timing.warm_up()
    for text in track(shapes, description="shapes", console=Console(stderr=True)):
        batch, steps, inputs, size = (int(n) for n in text.split(","))
        shape = (batch, steps, inputs, size)
        found, calls = compile_options(lj.cells.make(cell, size), shape, devices)
        calls_by_name = {option_label(one): call for one, call in zip(found, calls, strict=True)}
        times = timing.alternate(calls_by_name, ROUNDS, SECONDS)
        table.add_row(
            *make_row(shape, found, [timing.median(times[option_label(one)]) for one in found])
        )
    Console().print(table)


if __name__ == "__main__":
    lj.use_cpu_cores()
    tyro.cli(main, args=sys.argv[1:], description=__doc__)
