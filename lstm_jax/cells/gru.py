"""Gated recurrent units: the GRU in both conventions, and the minimal gated unit."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax.cells.norm import bias_after_norm, standardize, wants_norm
from lstm_jax.cells.products import MATRICES, Products
from lstm_jax.core import initializers as init
from lstm_jax.core.activations import Activation
from lstm_jax.core.activations import activation as get_activation
from lstm_jax.core.builders import gated_cell, packed_params, plain_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.gates import equal_gates
from lstm_jax.core.numerics import like, product
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import input_product
from lstm_jax.core.typing import StateT, Zeros


class GRUState(NamedTuple):
    """The output h."""

    h: Float[Array, "*batch H"]


@factory
def gru(
    size: int,
    *,
    reset_after: bool = True,
    norm: str | None = None,
    gate_activation: str = "sigmoid",
    activation: str = "tanh",
) -> Cell[GRUState]:
    """The gated recurrent unit: ``h = u h + (1 - u) n`` (Cho et al. 2014, eq. 5 to 8).

    Params, in the order reset, update, candidate: ``w_x [D, 3H]``, ``w_h [H, 3H]``, ``b [3H]``;
    with ``reset_after`` also ``b_h [H]``, the candidate's recurrent bias; with ``norm`` also
    ``scale_x, scale_h [3H]``. State ``GRUState(h)``; output ``h``.

    Args:
        size: The hidden size H.
        reset_after: Where the reset gate r acts on the candidate n. True: after the product,
            ``n = act(x w + b + r (h w_h + b_h))``, as in cuDNN, PyTorch and Keras' default.
            False: before it, ``n = act(x w + b + (r h) w_h)``, as in the paper (eq. 8).
        norm: "layer" for layer normalisation of both products, separately for the gates and the
            candidate (Ba et al. 2016, supplement).
        gate_activation: The activation of the gates, by name; see ``lj.rnn``.
        activation: The activation of the candidate, by name.
    """
    size = checking.positive_int("size", size)
    gate_act = get_activation("gate_activation", gate_activation)
    act = get_activation("activation", activation)
    return gru_cell(
        "gru", size, GRUState, reset_after=reset_after, norm=norm, gate_act=gate_act, act=act
    )


def gru_cell(
    name: str,
    size: int,
    make_state: Callable[[jax.Array], StateT],
    products: Products = MATRICES,
    *,
    reset_after: bool,
    norm: str | None,
    gate_act: Activation = jax.nn.sigmoid,
    act: Activation = jnp.tanh,
) -> Cell[StateT]:
    """The GRU by any two products; see ``gru`` and ``conv_gru``."""
    checking.flag("reset_after", reset_after)
    normed = wants_norm(norm)
    axis = equal_gates(("reset", "update", "candidate"), size, {"update": 1})
    split = bias_after_norm if normed else packed_params

    def normalise(packed, scale):
        gates, candidate = jnp.split(packed, [2 * size], axis=-1)
        return jnp.concatenate([standardize(gates), standardize(candidate)], axis=-1) * scale

    def blend(state, reset, update, candidate):
        h = update * state.h + (1.0 - update) * candidate
        return make_state(h), h, {"reset": reset, "update": update, "candidate": candidate}

    def pointwise(vectors, state, z, r):
        if normed:
            z = normalise(z, vectors["scale_x"]) + vectors["b"]
            r = normalise(r, vectors["scale_h"])
        of_x, of_h = axis.split(z), axis.split(r)
        reset = gate_act(of_x["reset"] + of_h["reset"])
        update = gate_act(of_x["update"] + of_h["update"])
        candidate = act(of_x["candidate"] + reset * (of_h["candidate"] + vectors["b_h"]))
        return blend(state, reset, update, candidate)

    def advance(params, state, x):
        weights, vectors = split(params)
        z = input_product(weights, x, products.x)
        u_gates, u_candidate = jnp.split(weights.w_h, [2 * size], axis=-1)
        r = products.h(state.h, u_gates)
        if normed:
            z = normalise(z, vectors["scale_x"]) + vectors["b"]
            s_gates, s_candidate = jnp.split(vectors["scale_h"], [2 * size])
            r = standardize(r) * s_gates
        pre, (r_reset, r_update) = axis.split(z), jnp.split(r, 2, axis=-1)
        reset, update = gate_act(pre["reset"] + r_reset), gate_act(pre["update"] + r_update)
        recurrent = products.h(reset * state.h, u_candidate)
        if normed:
            recurrent = standardize(recurrent) * s_candidate
        new, y, gates = blend(state, reset, update, act(pre["candidate"] + recurrent))
        return like(state, new), y.astype(weights.w_x.dtype), gates

    def init_params(key, input_size, dtype):
        params = init.packed(key, input_size, axis, dtype, kernel_x=products.kernel_x,
                             kernel_h=products.kernel_h)  # fmt: skip
        if reset_after:
            params["b_h"] = jnp.zeros(size, dtype)
        if normed:
            params |= {"scale_x": jnp.ones(3 * size, dtype), "scale_h": jnp.ones(3 * size, dtype)}
        return params

    def zero_state(zeros: Zeros) -> StateT:
        return make_state(zeros(*products.grid.outputs, size))

    if reset_after:
        return gated_cell(name, size, axis, init=init_params, state=zero_state,
                          pointwise=pointwise, split=split, additive=False if normed else 2 * size,
                          product_x=products.x, product_h=products.h,
                          grid=products.grid)  # fmt: skip
    return plain_cell(name, size, axis, init=init_params, state=zero_state, advance=advance,
                      grid=products.grid)  # fmt: skip


@factory
def mgu(size: int) -> Cell[GRUState]:
    """The minimal gated unit: ``h = (1 - f) h + f tanh(x w + (f h) w_h + b)``.

    Zhou et al. 2016, "Minimal gated unit for recurrent neural networks", section 3. Its one gate
    both resets and updates.

    Params, in the order forget, candidate: ``w_x [D, 2H]``, ``w_h [H, 2H]``, ``b [2H]``. State
    ``GRUState(h)``; output ``h``.

    Args:
        size: The hidden size H.
    """
    size = checking.positive_int("size", size)
    # The sign is -1 since an open gate overwrites the memory, although the paper calls it forget.
    axis = equal_gates(("forget", "candidate"), size, {"forget": -1})

    def advance(params, state, x):
        weights, _ = packed_params(params)
        z = axis.split(input_product(weights, x))
        u = axis.split(weights.w_h)
        f = jax.nn.sigmoid(z["forget"] + product(state.h, u["forget"]))
        candidate = jnp.tanh(z["candidate"] + product(f * state.h, u["candidate"]))
        h = (1.0 - f) * state.h + f * candidate
        gates = {"forget": f, "candidate": candidate}
        return like(state, GRUState(h)), h.astype(weights.w_x.dtype), gates

    return plain_cell(
        "mgu",
        size,
        axis,
        init=lambda key, input_size, dtype: init.packed(key, input_size, axis, dtype),
        state=lambda zeros: GRUState(zeros(size)),
        advance=advance,
    )
