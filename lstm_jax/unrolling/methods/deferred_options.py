"""Which way the deferred method goes where several are open: by platform, form and size.

All is decided at trace time from shapes alone, so that one shape gives one program. What stands
here for the CPU was measured with ``python -m benchmarks.studies.choices``, which compares all ways
on many shapes and says where the one taken here is not the fastest; on other platforms nothing was.
"""

import math
from typing import NamedTuple

import jax
import jax.export

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.forms import Gated, Weights
from lstm_jax.core.typing import BatchShape
from lstm_jax.unrolling.blocks import even_block

PRODUCTS = ("apart", "joined", "hoisted")
KEEPS = ("products", "states")
# The fewest rows (of all steps of a block) for which a weight gradient's product runs at its
# full rate on a CPU, and how many of them a row of the weights takes: its sum is read and written
# once a block.
BLOCK_ROWS = 512
BLOCK_ROWS_A_WEIGHT_ROW = 2
# Weights of this many elements no longer stay in a core's cache from step to step.
LARGE_WEIGHTS = 2**21
FEW_ROWS = 8


class Deferred(NamedTuple):
    """How ``lj.unroll`` puts weight gradients off, as its ``method``; None: as measured.

    product: "apart" takes ``x w_x`` and ``h w_h`` in each step; "joined" ``[x, h] [w_x; w_h]`` in
        one product (cells that read the sum of the two alone); "hoisted" takes ``x w_x`` of a
        whole block of steps at once, before they are run.
    keep: what the forward pass keeps for the backward one: "products" the states and the
        pre-activations; "states" the states alone, and the backward pass takes the products of a
        block again, which needs less memory and a third more arithmetic.
    block: steps whose weight gradients are one product; T or more for all of them.
    """

    product: str | None = None
    keep: str | None = None
    block: int | None = None


class Choice(NamedTuple):
    """A ``Deferred`` with everything decided (block None: all steps), and why."""

    product: str
    keep: str
    block: int | None
    why: tuple[str, ...]


def check_options(argument: str, options: Deferred) -> None:
    """Refuses values that a ``Deferred`` does not take."""
    if options.product is not None:
        checking.choice(f"{argument}.product", options.product, PRODUCTS)
    if options.keep is not None:
        checking.choice(f"{argument}.keep", options.keep, KEEPS)
    if options.block is not None:
        checking.positive_int(f"{argument}.block", options.block)


def choose(
    form: Gated,
    weights: Weights,
    shape: BatchShape,
    options: Deferred,
    platform: str | None = None,
) -> Choice:
    """The way for inputs of ``shape [T, *batch, D]``; ``options`` come before the table."""
    platform = jax.default_backend() if platform is None else platform
    known = not any(jax.export.is_symbolic_dim(n) for n in shape[:-1])
    steps, rows = (shape[0], math.prod(shape[1:-1])) if known else (None, None)
    inputs, sources = weights.w_x.shape[0], weights.w_h.shape[0]
    why = []

    def decide(name: str, given: str | int | None, taken: str | int | None, reason: str):
        why.append(
            f"{name} {taken!r}: {reason}" if given is None else f"{name} {given!r}: as asked"
        )
        return taken if given is None else given

    product, reason = _product(platform, weights, rows)
    product = decide("product", options.product, product, reason)
    if product == "joined" and not reads_only_the_sum(form, weights):
        raise WrongValue(
            "method: expected 'apart' or 'hoisted', got product='joined', but the cell "
            "does not read z + r alone"
        )
    keep = decide("keep", options.keep, "products", "they cost more to compute than to read")
    block, reason = _block(platform, steps, rows, inputs + sources)
    block = decide("block", options.block, block, reason)
    return Choice(product, keep, block, tuple(why))


def reads_only_the_sum(form: Gated, weights: Weights) -> bool:
    return form.additive is True or form.additive == weights.w_x.shape[-1]


def _product(platform: str, weights: Weights, rows: int | None) -> tuple[str, str]:
    inputs, sources = weights.w_x.shape[0], weights.w_h.shape[0]
    if platform != "cpu":
        return "hoisted", f"fewer kernels a step (not measured on {platform})"
    if math.prod(weights.w_x.shape) >= LARGE_WEIGHTS:
        return "hoisted", "w_x is too large to stay in the cache from step to step"
    if rows is not None and rows <= FEW_ROWS and inputs >= 4 * sources:
        return "hoisted", "few rows of wide inputs make slow products, step by step"
    return "apart", "a product in the step leaves z in the cache for the gates"


def _block(
    platform: str, steps: int | None, rows: int | None, weight_rows: int
) -> tuple[int | None, str]:
    if platform != "cpu":
        return None, f"all steps at once (not measured on {platform})"
    if not rows or not steps:
        return None, "all steps at once, their number not being known"
    wanted = max(BLOCK_ROWS, BLOCK_ROWS_A_WEIGHT_ROW * weight_rows) / rows
    if wanted > steps / 2:
        return None, "all steps at once: they are few"
    block = even_block(wanted, steps)
    return block, f"{block * rows} rows a product: at the full rate, and in the cache"
