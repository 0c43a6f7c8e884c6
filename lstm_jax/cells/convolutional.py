"""Convolutional recurrent cells, whose states and inputs are images (or lines, or volumes).

Sources: Shi, Chen, Wang, Yeung, Wong & Woo 2015, "Convolutional LSTM network: a machine learning
approach for precipitation nowcasting" (ConvLSTM, equation 3); Ballas, Yao, Pal & Courville 2016,
"Delving deeper into convolutional networks for learning video representations" (equations 8 to 11:
the reset gate before the convolution); Shi et al. 2017, "Deep learning for precipitation
nowcasting: a benchmark and a new model" (equation 1: after it).
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.cells.gru import gru_cell
from lstm_jax.cells.lstm import lstm_cell
from lstm_jax.cells.products import Products
from lstm_jax.core.cell import Cell, Grid
from lstm_jax.core.convolution import Convolution
from lstm_jax.core.gates import equal_gates
from lstm_jax.core.recipes import factory

Sizes = int | Sequence[int]


class ConvLSTMState(NamedTuple):
    """The output h and the cell state c, ``[*batch, *places, H]``."""

    h: Float[Array, "... H"]
    c: Float[Array, "... H"]


class ConvGRUState(NamedTuple):
    """The output h, ``[*batch, *places, H]``."""

    h: Float[Array, "... H"]


@factory
def conv_lstm(
    size: int,
    shape: Sizes,
    kernel: Sizes = 3,
    *,
    recurrent_kernel: Sizes | None = None,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: str = "same",
    peephole: bool = False,
    norm: str | None = None,
    forget_bias: float = 1.0,
) -> Cell[ConvLSTMState]:
    """The ConvLSTM: the LSTM with convolutions in place of products (Shi et al. 2015, eq. 3).

        cell = lj.conv_lstm(16, (64, 64))      # 16 channels of 64 x 64 places
        params = cell.init(key, 1)             # for images of one channel
        state, ys = lj.unroll(cell, params, xs)  # xs [T, *batch, 64, 64, 1]

    Images have ``*shape`` places of D channels; one, two or three axes. A place of h is computed
    from the places of x and of the last h near it, by weights that all places share.

    Params, in the order input, forget, cell, output: ``w_x [*kernel, D, 4H]``,
    ``w_h [*recurrent_kernel, H, 4H]``, ``b [4H]``; with ``peephole`` also ``p [*places, 3H]``,
    initially zero, for input, forget and output, as in the paper one weight per place and channel;
    with ``norm`` also ``scale_x, scale_h [4H]`` and ``scale_c, bias_c [H]``. State
    ``ConvLSTMState(h, c)``; output ``h [*batch, *places, H]``, where ``*places`` is ``*shape``
    unless there is a stride or ``padding="valid"``.

    Args:
        size: The number H of channels.
        shape: The sizes of the spatial axes of the input, such as ``(64, 64)``.
        kernel: The places of the input that one place reads, along each axis or all; with
            ``padding="same"`` an odd number.
        recurrent_kernel: The same for h, always odd; by default ``kernel``.
        stride: The distance of the places at which the input is read, along each axis or all.
        dilation: The distance of the places of ``kernel``, along each axis or all.
        padding: "same" for zeros around the input, so that there are ``ceil(shape / stride)``
            places; "valid" for places whose kernel is inside the input.
        peephole: Whether the input and forget gates also read ``c_{t-1}``, and the output gate
            ``c_t``, at their own place.
        norm: "layer" for layer normalisation of both convolutions and of the cell state, over the
            channels of each place.
        forget_bias: The initial bias of the forget gate.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    size = checking.positive_int("size", size)
    convolutions = _convolutions(shape, kernel, recurrent_kernel, stride, dilation, padding)
    axis = equal_gates(("input", "forget", "cell", "output"), size, {"forget": 1}, writes="input")
    return lstm_cell(
        "conv_lstm", size, axis, ConvLSTMState, convolutions,
        forget_bias=checking.real("forget_bias", forget_bias),
        peephole=checking.flag("peephole", peephole), norm=norm,
    )  # fmt: skip


@factory
def conv_gru(
    size: int,
    shape: Sizes,
    kernel: Sizes = 3,
    *,
    recurrent_kernel: Sizes | None = None,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: str = "same",
    reset_after: bool = True,
    norm: str | None = None,
) -> Cell[ConvGRUState]:
    """The ConvGRU: the GRU with convolutions in place of products.

        cell = lj.conv_gru(16, (64, 64))

    Params, in the order reset, update, candidate: ``w_x [*kernel, D, 3H]``,
    ``w_h [*recurrent_kernel, H, 3H]``, ``b [3H]``; with ``reset_after`` also ``b_h [H]``, the
    candidate's recurrent bias; with ``norm`` also ``scale_x, scale_h [3H]``. State
    ``ConvGRUState(h)``; output ``h [*batch, *places, H]``. Images and places are as in
    ``lj.conv_lstm``.

    Args:
        size: The number H of channels.
        shape: The sizes of the spatial axes of the input; see ``lj.conv_lstm``.
        kernel: The places of the input that one place reads.
        recurrent_kernel: The same for h, always odd; by default ``kernel``.
        stride: The distance of the places at which the input is read.
        dilation: The distance of the places of ``kernel``.
        padding: "same" or "valid".
        reset_after: Where the reset gate r acts on the candidate n. True: after the convolution,
            ``n = tanh(w_x * x + b + r (w_h * h + b_h))`` (Shi et al. 2017, eq. 1). False: before
            it, ``n = tanh(w_x * x + b + w_h * (r h))`` (Ballas et al. 2016, eq. 10).
        norm: "layer" for layer normalisation of both convolutions, separately for the gates and the
            candidate, over the channels of each place.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    size = checking.positive_int("size", size)
    convolutions = _convolutions(shape, kernel, recurrent_kernel, stride, dilation, padding)
    return gru_cell(
        "conv_gru", size, ConvGRUState, convolutions, reset_after=reset_after, norm=norm
    )


def _convolutions(
    shape: Sizes,
    kernel: Sizes,
    recurrent_kernel: Sizes | None,
    stride: Sizes,
    dilation: Sizes,
    padding: str,
) -> Products:
    """The convolutions of x and of h; ValueError for wrong options."""
    places = checking.sizes("shape", shape)
    if not 1 <= len(places) <= 3:
        raise WrongValue(f"shape: expected 1, 2 or 3 spatial axes, got {len(places)}")
    axes = len(places)
    checking.choice("padding", padding, ("same", "valid"))
    kernel_x = checking.sizes("kernel", kernel, axes)
    even_x = any(k % 2 == 0 for k in kernel_x)
    if even_x and padding == "same":
        raise WrongValue(
            "kernel: expected odd sizes with padding='same', since an even kernel has no middle "
            f"and shifts the image, got {kernel!r}"
        )
    if recurrent_kernel is None and even_x:
        raise WrongValue(
            f"recurrent_kernel: expected odd sizes beside the even kernel {kernel!r}, got None"
        )
    name, given = "recurrent_kernel", kernel if recurrent_kernel is None else recurrent_kernel
    kernel_h = checking.sizes(name, given, axes)
    if any(k % 2 == 0 for k in kernel_h):
        raise WrongValue(
            f"{name}: expected odd sizes, since an even kernel has no middle and would shift the "
            f"state at each step, got {given!r}"
        )
    of_x = Convolution(
        checking.sizes("stride", stride, axes),
        checking.sizes("dilation", dilation, axes),
        padding.upper(),
    )
    outputs = of_x.shape(kernel_x, places)
    if min(outputs) < 1:
        raise WrongValue(
            f"shape: expected at least the places of the kernel, {kernel!r} with dilation "
            f"{dilation!r}, got {shape!r}"
        )
    of_h = Convolution((1,) * axes, (1,) * axes)
    return Products(of_x, of_h, kernel_x, kernel_h, Grid(places, outputs))
