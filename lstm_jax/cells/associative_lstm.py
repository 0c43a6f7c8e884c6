"""The Associative LSTM: a holographic memory with redundant copies.

Source: Danihelka, Wayne, Uria, Kalchbrenner & Graves 2016, "Associative Long Short-Term Memory",
the sections "Redundant Associative Memory" and "Associative LSTM".
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax.cells.complex_numbers import (
    draw_readout,
    modulus,
    multiply,
    pack,
    parts,
    readout,
    scale,
)
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import plain_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.numerics import like, product
from lstm_jax.core.recipes import factory


class AssociativeLSTMState(NamedTuple):
    """The real and the imaginary parts of h, and of the copies of the memory c."""

    h_real: Float[Array, "*batch N"]
    h_imag: Float[Array, "*batch N"]
    c_real: Float[Array, "*batch copies N"]
    c_imag: Float[Array, "*batch copies N"]


@factory
def associative_lstm(
    size: int,
    copies: int = 4,
    *,
    state_size: int | None = None,
    forget_bias: float = 1.0,
    seed: int = 0,
) -> Cell[AssociativeLSTMState]:
    """The Associative LSTM: ``c_s = f c_s + (P_s k) (i u)``, ``h = o bound(mean_s (P_s q) c_s)``.

    It is for storing and looking up pairs of keys and values: memory grows with the number of
    copies, and params do not. All of c, the written value u, the key k of the write and the key q
    of the read are complex vectors, multiplied number by number. The copies s have fixed
    permutations P_s of the keys, so that the noise of what else is stored differs from copy to copy
    and cancels in the mean. Danihelka et al. 2016, the section "Associative LSTM".

    k, q and u are ``bound(x w_x + h w_h + b)``, where bound divides numbers of a modulus above 1 by
    it; the gates i, f and o are real, one per complex number.

    Params, in the order input, forget, output (each N), in_key, out_key, cell (each 2N, real parts
    first): ``w_x [D, 9N]``, ``w_h [2N, 9N]``, ``b [9N]``; ``w_y [2N, H]``, ``b_y [H]`` for the
    output ``y = [Re h; Im h] w_y + b_y``. State ``AssociativeLSTMState(h_real, h_imag, c_real,
    c_imag)``, the last two ``[*batch, copies, N]``.

    Args:
        size: The size H of the output.
        copies: The number of copies of the memory.
        state_size: The number N of complex units; by default H.
        forget_bias: The initial bias of the forget gate.
        seed: Draws the permutations.
    """
    size = checking.positive_int("size", size)
    copies = checking.positive_int("copies", copies)
    units = size if state_size is None else checking.positive_int("state_size", state_size)
    forget_bias = checking.real("forget_bias", forget_bias)
    # RandomState, whose numbers are the same in all versions of NumPy: saved weights rely on them.
    random = np.random.RandomState(checking.seed("seed", seed, 2**32))
    orders = np.stack([random.permutation(units) for _ in range(copies)]).astype(np.int32)
    axis = GateAxis(
        ("input", "forget", "output", "in_key", "out_key", "cell"),
        (units, units, units, 2 * units, 2 * units, 2 * units),
        (("forget", 1),),
        ("input",),
    )

    def permute(key):
        """The key ``[*batch, 2N]`` of each copy: ``[*batch, copies, 2N]``."""
        return pack(*(part[..., orders] for part in parts(key)))

    def advance(params, state, x):
        h, c = pack(state.h_real, state.h_imag), pack(state.c_real, state.c_imag)
        z = axis.split(product(x, params["w_x"]) + product(h, params["w_h"]) + params["b"])
        i, f, o = (jax.nn.sigmoid(z[gate]) for gate in ("input", "forget", "output"))
        k, q, u = (bound(z[vector]) for vector in ("in_key", "out_key", "cell"))
        c = scale(f[..., None, :], c) + multiply(permute(k), scale(i, u)[..., None, :])
        h = scale(o, bound(jnp.mean(multiply(permute(q), c), axis=-2)))
        new = AssociativeLSTMState(*parts(h), *parts(c))
        gates = {"input": i, "forget": f, "output": o, "in_key": k, "out_key": q, "cell": u}
        return like(state, new), readout(params, h), gates

    def init_params(key, input_size, dtype):
        key_cell, key_y = jax.random.split(key)
        packed = init.packed(
            key_cell,
            input_size,
            axis,
            dtype,
            source_size=2 * units,
            w_h=init.glorot(),
            b=init.forget_bias(forget_bias),
        )
        return packed | draw_readout(key_y, units, size, dtype)

    def empty(zeros):
        h, c = (units,), (copies, units)
        return AssociativeLSTMState(zeros(*h), zeros(*h), zeros(*c), zeros(*c))

    return plain_cell(
        "associative_lstm", size, axis, init=init_params, state=empty, advance=advance
    )


def bound(z: jax.Array) -> jax.Array:
    """Divides the numbers of a packed vector whose modulus is above 1 by it."""
    return scale(1.0 / jnp.maximum(modulus(z)[0], 1.0), z)
