"""The convolution, as a product of a gated form."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Convolution:
    """``x [..., X, Y, D]`` convolved with ``w [K, L, D, N]``, to ``[..., X', Y', N]``.

    A function of two arrays that is linear in each, as ``lj.core.product`` is, and at the same
    precision: in the dtype of the weights, summed in float32 or wider. As in other libraries the
    kernel is not flipped (a cross-correlation).

    Attributes:
        stride: The distance of the places of the output, by spatial axis.
        dilation: The distance of the places that the kernel reads, by spatial axis.
        padding: "SAME" for an output of ``ceil(X / stride)`` places, with zeros around the input;
            "VALID" for places at which the kernel is inside the input.
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str = "SAME"

    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        return _convolve(x, w, self.stride, self.padding, rhs_dilation=self.dilation)

    def shape(self, kernel: tuple[int, ...], places: tuple[int, ...]) -> tuple[int, ...]:
        """The spatial shape of the output, for an input with ``places``."""
        sizes = zip(places, kernel, self.stride, self.dilation, strict=True)
        if self.padding == "SAME":
            return tuple(-(-n // s) for n, _, s, _ in sizes)
        return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sizes)

    def transpose(self, w: jax.Array) -> jax.Array:
        """The weights by which ``to_inputs`` convolves: flipped, with ``[N, D]`` as last axes."""
        return jnp.swapaxes(jnp.flip(w, range(len(self.stride))), -1, -2)

    def to_inputs(
        self, d: jax.Array, w_transposed: jax.Array, places: tuple[int, ...]
    ) -> jax.Array:
        """The cotangent ``[..., *places, D]`` of x, from that of the output.

        As JAX's transpose of a convolution, but with weights that can be transposed once for all
        steps of a loop: on a CPU, four times as fast.
        """
        kernel, outputs = w_transposed.shape[: len(places)], d.shape[-1 - len(places) : -1]
        padding = []
        for n, m, k, s, gap, (before, _) in zip(
            places, outputs, kernel, self.stride, self.dilation, self._margins(kernel, places),
            strict=True,
        ):  # fmt: skip
            left = (k - 1) * gap - before
            padding.append((left, n + before - (m - 1) * s - 1))
        ones = (1,) * len(places)
        return _convolve(
            d, w_transposed, ones, padding, lhs_dilation=self.stride, rhs_dilation=self.dilation
        )

    def windows(self, x: jax.Array, kernel: tuple[int, ...]) -> list[jax.Array]:
        """For each place of the kernel the inputs that it reads, ``[..., X', Y', D]``."""
        axes = len(kernel)
        places = x.shape[-1 - axes : -1]
        margins = self._margins(kernel, places)
        padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1 - axes) + margins + [(0, 0)])
        read = []
        for offsets in itertools.product(*map(range, kernel)):
            starts = [o * gap for o, gap in zip(offsets, self.dilation, strict=True)]
            sizes = zip(starts, self.shape(kernel, places), self.stride, strict=True)
            index = tuple(slice(first, first + (m - 1) * s + 1, s) for first, m, s in sizes)
            read.append(padded[(..., *index, slice(None))])
        return read

    def _margins(self, kernel: tuple[int, ...], places: tuple[int, ...]) -> list[tuple[int, int]]:
        """The zeros before and after the input, by spatial axis."""
        reach = [(k - 1) * gap + 1 for k, gap in zip(kernel, self.dilation, strict=True)]
        return [*jax.lax.padtype_to_pads(places, reach, self.stride, self.padding)]


def _convolve(
    x: jax.Array,
    w: jax.Array,
    stride: tuple[int, ...],
    padding: str | Sequence[tuple[int, int]],
    *,
    lhs_dilation: tuple[int, ...] | None = None,
    rhs_dilation: tuple[int, ...],
) -> jax.Array:
    """The convolution over the axes of x before the last, for any number of axes before these."""
    axes = len(stride)
    spatial = "XYZ"[:axes]
    rows, order = _rows_first(x, axes + 1)
    y = jax.lax.conv_general_dilated(
        rows.astype(w.dtype),
        w,
        stride,
        padding,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        preferred_element_type=jnp.promote_types(w.dtype, jnp.float32),
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
    )
    return _rows_back(y, x, order, axes + 1)


def _rows_first(x: jax.Array, features: int) -> tuple[jax.Array, tuple[int, ...]]:
    """``x [..., *features]`` with one leading axis, and the order in which the axes were joined.

    On an Explicit mesh, only the first of the joined axes can be one that is spread over devices.
    """
    lead = x.ndim - features
    order = tuple(range(lead))
    if lead == 1:
        return x, order
    sharding = jax.typeof(x).sharding
    if sharding.mesh.are_all_axes_explicit:
        order = tuple(sorted(order, key=lambda axis: sharding.spec[axis] is None))
    if order != tuple(range(lead)):
        x = x.transpose(*order, *range(lead, x.ndim))
    return x.reshape(math.prod(x.shape[:lead]), *x.shape[lead:]), order


def _rows_back(y: jax.Array, x: jax.Array, order: tuple[int, ...], features: int) -> jax.Array:
    """``y``, whose one leading axis is split and ordered as those of ``x``."""
    if len(order) == 1:
        return y
    y = y.reshape(*(x.shape[axis] for axis in order), *y.shape[1:])
    if order == tuple(range(len(order))):
        return y
    back = [order.index(axis) for axis in range(len(order))]
    return y.transpose(*back, *range(len(order), y.ndim))
