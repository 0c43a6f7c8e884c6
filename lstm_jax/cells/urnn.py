"""The uRNN and the EURNN, whose complex recurrence keeps the norm.

Sources: Arjovsky, Shah & Bengio 2016, "Unitary Evolution Recurrent Neural Networks", section 4;
Jing et al. 2017, see ``lstm_jax/cells/unitary_matrices.py``.
"""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax.cells.complex_numbers import (
    ComplexState,
    complex_gates,
    draw_parts,
    draw_readout,
    modrelu,
    pack,
    parts,
    readout,
)
from lstm_jax.cells.unitary_matrices import SMALL_INPUTS, UNITARY_MATRICES, cayley, fft, rotations
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import plain_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.numerics import like, product
from lstm_jax.core.recipes import factory


@factory
def urnn(
    size: int,
    *,
    state_size: int | None = None,
    recurrence: str = "fft",
    capacity: int = 2,
    seed: int = 0,
) -> Cell[ComplexState]:
    """The unitary evolution RNN: ``h = modReLU(W h + x V)``, with complex h and V, and W unitary.

    It is for carrying information over very many steps, since neither states nor gradients shrink
    or grow, at the price that it hardly forgets. Arjovsky et al. 2016, section 4, with the modReLU
    ``relu(|z| + b_mod) z / |z|`` (eq. 8). The paper learns the first state too, as
    ``lj.learned_state`` does.

    Params, all real: ``w_x [D, 2N]``, the real and the imaginary part of V; ``b_mod [N]``; those of
    W; and ``w_y [2N, H]``, ``b_y [H]`` for the output ``y = [Re h; Im h] w_y + b_y`` (eq. 9). State
    ``ComplexState(real, imag)``.

    Args:
        size: The size H of the output.
        state_size: The number N of complex units; by default H.
        recurrence: How W is made of free parameters. "fft": of diagonals, reflections and Fourier
            transforms (eq. 6), params ``phase_1, phase_2, phase_3 [N]``, ``reflection_1,
            reflection_2 [2N]``. "rotations": of rotations of neighbours, as in the EURNN (Jing et
            al. 2017), params ``theta, phi`` with one angle per pair, ``phase [N]``. "cayley": by
            the scaled Cayley transform of a skew-Hermitian matrix (Maduranga et al. 2019), which
            gives any unitary matrix, params ``skew [N, N]``, ``phase [N]``; it is computed once
            per sequence, in ``O(N^3)``. ``lj.scornn`` is the real cell of this kind.
        capacity: The number L of layers of rotations; N of them give any unitary matrix.
        seed: Draws the fixed permutation of "fft".
    """
    size = checking.positive_int("size", size)
    units = size if state_size is None else checking.positive_int("state_size", state_size)
    capacity = checking.positive_int("capacity", capacity)
    seed = checking.seed("seed", seed, 2**32)
    checking.choice("recurrence", recurrence, UNITARY_MATRICES)
    matrix = {
        "fft": lambda: fft(units, seed),
        "rotations": lambda: rotations(units, capacity),
        "cayley": lambda: cayley(units),
    }[recurrence]()
    axis = complex_gates(("cell",), units)

    def advance(params, state, x):
        z = product(x, params["w_x"]) + matrix.apply(params["w"], pack(*state))
        h = modrelu(z, params["b_mod"])
        return like(state, ComplexState(*parts(h))), readout(params, h), {"cell": h}

    def prepare(params, batch_shape, key):
        return params | {"w": matrix.prepare(params)}

    def init_params(key, input_size, dtype):
        key_x, key_w, key_y = jax.random.split(key, 3)
        if recurrence == "fft":
            w_x = draw_parts(key_x, input_size, axis, dtype)
        else:
            w_x = init.uniform(SMALL_INPUTS)(key_x, (input_size,), axis, dtype)
        return (
            {"w_x": w_x, "b_mod": jnp.zeros(units, dtype)}
            | matrix.init(key_w, dtype)
            | draw_readout(key_y, units, size, dtype)
        )

    cell = plain_cell(
        "urnn",
        size,
        axis,
        init=init_params,
        state=lambda zeros: ComplexState(zeros(units), zeros(units)),
        advance=advance,
    )
    return cell._replace(prepare=prepare)
