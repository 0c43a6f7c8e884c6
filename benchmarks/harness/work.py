"""The work that all contenders do: a shape, and the same weights and inputs as NumPy arrays."""

from typing import NamedTuple

import numpy as np

from lstm_jax._internal.errors import WrongValue

CELLS = ("lstm", "gru")
GATES = {"lstm": 4, "gru": 3}
SEED = 20240607

Layer = dict[str, np.ndarray]


class Shape(NamedTuple):
    batch: int
    steps: int
    inputs: int
    hidden: int

    @classmethod
    def parse(cls, text: str) -> "Shape":
        """From "64x784x1x128": batch, time steps, input size, hidden size."""
        sizes = text.split("x")
        if len(sizes) != 4 or not all(size.isdecimal() and int(size) > 0 for size in sizes):
            raise WrongValue(f"shapes: expected BxTxDxH such as 64x784x1x128, got {text!r}")
        return cls(*map(int, sizes))

    def __str__(self) -> str:
        return "x".join(map(str, self))


class Work(NamedTuple):
    """The weights and inputs; the loss is sum(ys * r), with gradients to all weights and to xs.

    layers: the weights of each layer, with lstm_jax's names and gate order: ``w_x [D, G*H]``,
        ``w_h [H, G*H]``, ``b [G*H]``. The GRU's recurrent candidate bias is zero for all, since
        Flax does not have it.
    xs, r: ``[T, B, D]`` and ``[T, B, H]``.
    """

    cell: str
    shape: Shape
    layers: list[Layer]
    xs: np.ndarray
    r: np.ndarray


def make(cell: str, shape: Shape, layers: int) -> Work:
    """Draws float32 arrays, which depend only on the arguments."""
    rng = np.random.default_rng([SEED, CELLS.index(cell), *shape, layers])
    bound = shape.hidden**-0.5  # PyTorch's initial weights

    def weights(inputs: int) -> Layer:
        width = GATES[cell] * shape.hidden
        return {
            "w_x": rng.uniform(-bound, bound, (inputs, width)).astype(np.float32),
            "w_h": rng.uniform(-bound, bound, (shape.hidden, width)).astype(np.float32),
            "b": rng.uniform(-bound, bound, width).astype(np.float32),
        }

    sizes = [shape.inputs] + [shape.hidden] * (layers - 1)
    xs = rng.standard_normal((shape.steps, shape.batch, shape.inputs), np.float32)
    r = rng.standard_normal((shape.steps, shape.batch, shape.hidden), np.float32)
    return Work(cell, shape, [weights(size) for size in sizes], xs, r)


def matmul_flops(cell: str, shape: Shape, layers: int) -> float:
    """FLOPs of the matrix products of one forward pass; the backward pass has twice as many."""
    width = GATES[cell] * shape.hidden
    sources = (shape.inputs + shape.hidden) + (layers - 1) * 2 * shape.hidden
    return 2.0 * shape.batch * shape.steps * sources * width
