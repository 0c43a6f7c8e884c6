"""What a gated cell multiplies its weights by: rows with matrices, or images with kernels."""

from typing import NamedTuple

from lstm_jax.core.cell import NO_GRID, Grid
from lstm_jax.core.forms import Product
from lstm_jax.core.numerics import product


class Products(NamedTuple):
    """The two products of a gated cell, by default those of matrices.

    Attributes:
        x: The product of the input and ``w_x``.
        h: The product of the last output and ``w_h``.
        kernel_x: The axes of ``w_x`` before the last two.
        kernel_h: The axes of ``w_h`` before the last two.
        grid: The spatial axes of inputs and outputs.
    """

    x: Product = product
    h: Product = product
    kernel_x: tuple[int, ...] = ()
    kernel_h: tuple[int, ...] = ()
    grid: Grid = NO_GRID


MATRICES = Products()
