"""The options of the deferred method, and their choice by platform, form and size.

The choice depends only on shapes at trace time, so that one shape gives one program. The rules for
the CPU were measured with ``python -m benchmarks.studies.choices``, which compares all options on
many shapes and lists those where the choice is not the fastest. On other platforms nothing was
measured.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.export

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.forms import Gated, Weights
from lstm_jax.core.numerics import product as matrix_product
from lstm_jax.core.typing import BatchShape
from lstm_jax.unrolling.blocks import even_block

PRODUCTS = ("apart", "joined", "hoisted")
KEEPS = ("products", "states")
# The rows of a block, over all its steps, for which the product of a weight gradient runs at its
# full rate on a CPU: at least BLOCK_ROWS, and more for weights with many rows, since the sum is
# read and written once per block.
BLOCK_ROWS = 512
BLOCK_ROWS_PER_WEIGHT_ROW = 2
# Weights with this many elements do not stay in a core's cache from step to step.
LARGE_WEIGHTS = 2**21
FEW_ROWS = 8


class Deferred(NamedTuple):
    """The method "deferred" with options, as the ``method`` of ``lj.unroll``.

        state, ys = lj.unroll(cell, params, xs, method=lj.Deferred(keep="states"))

    Options that are None are chosen by platform, form and size.

    Attributes:
        product: "apart" computes ``x w_x`` and ``h w_h`` in each step. "joined" computes
            ``[x, h] [w_x; w_h]`` as one product, for cells that read only the sum of the two.
            "hoisted" computes ``x w_x`` for a whole block of steps before they are run.
        keep: What the forward pass keeps for the backward one. "products" keeps the states and the
            pre-activations. "states" keeps the states only, and the backward pass recomputes the
            products of a block: less RAM, and a third more arithmetic.
        block: The steps whose weight gradients are one product; T or more for all steps.
    """

    product: str | None = None
    keep: str | None = None
    block: int | None = None


class Choice(NamedTuple):
    """The chosen options, with the reasons; ``block`` is None for all steps."""

    product: str
    keep: str
    block: int | None
    why: tuple[str, ...]


def check_options(argument: str, options: Deferred) -> None:
    """Checks the values of a ``Deferred``."""
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
    """Chooses the options for inputs of ``shape [T, *batch, D]``, except those in ``options``."""
    platform = jax.default_backend() if platform is None else platform
    known = not any(jax.export.is_symbolic_dim(n) for n in shape[:-1])
    steps, rows = (shape[0], math.prod(shape[1:-1])) if known else (None, None)
    inputs, sources = _rows_of(weights.w_x), _rows_of(weights.w_h)
    why = []

    def decide(name: str, given: str | int | None, default: str | int | None, reason: str) -> Any:
        if given is None:
            why.append(f"{name} {default!r}: {reason}")
            return default
        why.append(f"{name} {given!r}: as requested")
        return given

    product, reason = _product(platform, form, weights, rows)
    product = decide("product", options.product, product, reason)
    if product == "joined" and not _is_matrices(form):
        raise WrongValue(
            "method: expected product 'apart' or 'hoisted' for a cell whose products are "
            "convolutions, got 'joined'"
        )
    if product == "joined" and not reads_only_the_sum(form, weights):
        raise WrongValue(
            "method: expected product 'apart' or 'hoisted' for a cell that does not read only "
            "z + r, got 'joined'"
        )
    keep = decide("keep", options.keep, "products", "they cost more to compute than to read")
    block, reason = _block(platform, steps, rows, inputs + sources)
    block = decide("block", options.block, block, reason)
    return Choice(product, keep, block, tuple(why))


def reads_only_the_sum(form: Gated, weights: Weights) -> bool:
    """Whether the cell reads only ``z + r``, in all columns."""
    return form.additive is True or form.additive == weights.w_x.shape[-1]


def _rows_of(w: jax.Array) -> int:
    """The numbers that are multiplied and summed for one number of the result."""
    return math.prod(w.shape[:-1])


def _is_matrices(form: Gated) -> bool:
    return form.product_x is matrix_product and form.product_h is matrix_product


def _product(platform: str, form: Gated, weights: Weights, rows: int | None) -> tuple[str, str]:
    inputs, sources = _rows_of(weights.w_x), _rows_of(weights.w_h)
    if platform != "cpu":
        return "hoisted", f"fewer kernels per step (not measured on {platform})"
    if math.prod(weights.w_x.shape) >= LARGE_WEIGHTS:
        return "hoisted", "w_x is too large to stay in the cache from step to step"
    if rows is not None and rows <= FEW_ROWS and inputs >= 4 * sources:
        return "hoisted", "products of few rows of wide inputs are slow in each step"
    return "apart", "a product in each step leaves z in the cache for the gates"


def _block(
    platform: str, steps: int | None, rows: int | None, weight_rows: int
) -> tuple[int | None, str]:
    if platform != "cpu":
        return None, f"all steps at once (not measured on {platform})"
    if not rows or not steps:
        return None, "all steps at once, since their number is not known"
    wanted = max(BLOCK_ROWS, BLOCK_ROWS_PER_WEIGHT_ROW * weight_rows) / rows
    if wanted > steps / 2:
        return None, "all steps at once: they are few"
    block = even_block(wanted, steps)
    return block, f"{block * rows} rows per product: at the full rate, and in the cache"
