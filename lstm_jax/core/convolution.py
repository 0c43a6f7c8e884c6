"""The convolution, as a product of a gated form."""

import dataclasses
import math

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
        axes = len(self.stride)
        spatial = "XYZ"[:axes]
        rows, order = _rows_first(x, axes + 1)
        y = jax.lax.conv_general_dilated(
            rows.astype(w.dtype),
            w,
            self.stride,
            self.padding,
            rhs_dilation=self.dilation,
            dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
            preferred_element_type=jnp.promote_types(w.dtype, jnp.float32),
        )
        return _rows_back(y, x, order, axes + 1)

    def shape(self, kernel: tuple[int, ...], places: tuple[int, ...]) -> tuple[int, ...]:
        """The spatial shape of the output, for an input with ``places``."""
        sizes = zip(places, kernel, self.stride, self.dilation, strict=True)
        if self.padding == "SAME":
            return tuple(-(-n // s) for n, _, s, _ in sizes)
        return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sizes)


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
