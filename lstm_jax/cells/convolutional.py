"""Convolutional recurrent cells, whose states and inputs are images (or lines, or volumes).

Sources: Shi, Chen, Wang, Yeung, Wong & Woo 2015, "Convolutional LSTM network: a machine learning
approach for precipitation nowcasting" (ConvLSTM, equation 3); Ballas, Yao, Pal & Courville 2016,
"Delving deeper into convolutional networks for learning video representations" (equations 8 to 11:
the reset gate before the convolution); Shi et al. 2017, "Deep learning for precipitation
nowcasting: a benchmark and a new model" (equation 1: after it).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.cells.norm import bias_after_norm, standardize, wants_norm
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import gated_cell, packed_params, plain_cell
from lstm_jax.core.cell import Cell, Grid
from lstm_jax.core.convolution import Convolution
from lstm_jax.core.gates import equal_gates
from lstm_jax.core.numerics import like
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import input_product
from lstm_jax.core.typing import Zeros

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
    of_x, of_h, kernels, grid = _convolutions(
        shape, kernel, recurrent_kernel, stride, dilation, padding
    )
    checking.flag("peephole", peephole)
    normed = wants_norm(norm)
    forget_bias = checking.real("forget_bias", forget_bias)
    axis = equal_gates(("input", "forget", "cell", "output"), size, {"forget": 1}, writes="input")
    squashed = equal_gates(("input", "forget", "output"), size)

    def pointwise(vectors, state, z, r):
        if normed:
            z = standardize(z) * vectors["scale_x"] + vectors["b"]
            r = standardize(r) * vectors["scale_h"]
        pre = axis.split(z + r)
        peep = squashed.split(vectors["p"]) if peephole else {}

        def gate(name: str, c: jax.Array) -> jax.Array:
            return jax.nn.sigmoid(pre[name] + peep[name] * c if peephole else pre[name])

        i, f, g = gate("input", state.c), gate("forget", state.c), jnp.tanh(pre["cell"])
        c = f * state.c + i * g
        o = gate("output", c)
        h = o * jnp.tanh(standardize(c) * vectors["scale_c"] + vectors["bias_c"] if normed else c)
        return ConvLSTMState(h, c), h, {"input": i, "forget": f, "cell": g, "output": o}

    def init_params(key, input_size, dtype):
        params = init.packed(key, input_size, axis, dtype, b=init.forget_bias(forget_bias),
                             kernel_x=kernels[0], kernel_h=kernels[1])  # fmt: skip
        if peephole:
            params["p"] = jnp.zeros((*grid.outputs, squashed.width), dtype)
        if normed:
            params |= {"scale_x": jnp.ones(axis.width, dtype),
                       "scale_h": jnp.ones(axis.width, dtype),
                       "scale_c": jnp.ones(size, dtype),
                       "bias_c": jnp.zeros(size, dtype)}  # fmt: skip
        return params

    def zero_state(zeros: Zeros) -> ConvLSTMState:
        return ConvLSTMState(zeros(*grid.outputs, size), zeros(*grid.outputs, size))

    return gated_cell(
        "conv_lstm",
        size,
        axis,
        init=init_params,
        state=zero_state,
        pointwise=pointwise,
        split=bias_after_norm if normed else packed_params,
        additive=not normed,
        product_x=of_x,
        product_h=of_h,
        grid=grid,
    )


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
    of_x, of_h, kernels, grid = _convolutions(
        shape, kernel, recurrent_kernel, stride, dilation, padding
    )
    checking.flag("reset_after", reset_after)
    normed = wants_norm(norm)
    axis = equal_gates(("reset", "update", "candidate"), size, {"update": 1})

    def normalise(packed, scale):
        gates, candidate = jnp.split(packed, [2 * size], axis=-1)
        return jnp.concatenate([standardize(gates), standardize(candidate)], axis=-1) * scale

    def blend(state, reset, update, candidate):
        h = update * state.h + (1.0 - update) * candidate
        return ConvGRUState(h), h, {"reset": reset, "update": update, "candidate": candidate}

    def pointwise(vectors, state, z, r):
        if normed:
            z = normalise(z, vectors["scale_x"]) + vectors["b"]
            r = normalise(r, vectors["scale_h"])
        of_input, recurrent = axis.split(z), axis.split(r)
        reset = jax.nn.sigmoid(of_input["reset"] + recurrent["reset"])
        update = jax.nn.sigmoid(of_input["update"] + recurrent["update"])
        inner = reset * (recurrent["candidate"] + vectors["b_h"])
        return blend(state, reset, update, jnp.tanh(of_input["candidate"] + inner))

    def advance(params, state, x):
        weights, vectors = split(params)
        z = input_product(weights, x, of_x)
        u_gates, u_candidate = jnp.split(weights.w_h, [2 * size], axis=-1)
        r = of_h(state.h, u_gates)
        if normed:
            z = normalise(z, vectors["scale_x"]) + vectors["b"]
            s_gates, s_candidate = jnp.split(vectors["scale_h"], [2 * size])
            r = standardize(r) * s_gates
        pre, (r_reset, r_update) = axis.split(z), jnp.split(r, 2, axis=-1)
        reset = jax.nn.sigmoid(pre["reset"] + r_reset)
        update = jax.nn.sigmoid(pre["update"] + r_update)
        recurrent = of_h(reset * state.h, u_candidate)
        if normed:
            recurrent = standardize(recurrent) * s_candidate
        new, y, gates = blend(state, reset, update, jnp.tanh(pre["candidate"] + recurrent))
        return like(state, new), y.astype(weights.w_x.dtype), gates

    split = bias_after_norm if normed else packed_params

    def init_params(key, input_size, dtype):
        params = init.packed(key, input_size, axis, dtype, kernel_x=kernels[0], kernel_h=kernels[1])
        if reset_after:
            params["b_h"] = jnp.zeros(size, dtype)
        if normed:
            params |= {"scale_x": jnp.ones(3 * size, dtype), "scale_h": jnp.ones(3 * size, dtype)}
        return params

    def zero_state(zeros: Zeros) -> ConvGRUState:
        return ConvGRUState(zeros(*grid.outputs, size))

    if reset_after:
        return gated_cell("conv_gru", size, axis, init=init_params, state=zero_state,
                          pointwise=pointwise, split=split,
                          additive=False if normed else 2 * size,
                          product_x=of_x, product_h=of_h, grid=grid)  # fmt: skip
    return plain_cell("conv_gru", size, axis, init=init_params, state=zero_state, advance=advance,
                      grid=grid)  # fmt: skip


def _convolutions(
    shape: Sizes,
    kernel: Sizes,
    recurrent_kernel: Sizes | None,
    stride: Sizes,
    dilation: Sizes,
    padding: str,
) -> tuple[Convolution, Convolution, tuple[tuple[int, ...], tuple[int, ...]], Grid]:
    """The convolutions of x and of h, their kernels, and the spatial axes, from checked options."""
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
    return of_x, Convolution((1,) * axes, (1,) * axes), (kernel_x, kernel_h), Grid(places, outputs)
