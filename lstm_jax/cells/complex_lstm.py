"""The complex LSTM: real gates, which turn no phases, and a complex memory.

Source: Wolter & Yao 2018, "Complex Gated Recurrent Neural Networks", section 4, whose gates and
activations these are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax.cells.complex_numbers import (
    complex_activation,
    complex_gates,
    draw_parts,
    draw_readout,
    pack,
    parts,
    readout,
    real_gate,
    scale,
)
from lstm_jax.cells.complex_recurrence import RECURRENCES, Recurrent
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import plain_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.numerics import like, product
from lstm_jax.core.recipes import factory


class ComplexLSTMState(NamedTuple):
    """The real and the imaginary parts of the output h and the cell state c."""

    h_real: Float[Array, "*batch N"]
    h_imag: Float[Array, "*batch N"]
    c_real: Float[Array, "*batch N"]
    c_imag: Float[Array, "*batch N"]


@factory
def complex_lstm(
    size: int,
    *,
    state_size: int | None = None,
    recurrence: str = "free",
    activation: str = "hirose",
    forget_bias: float = 1.0,
) -> Cell[ComplexLSTMState]:
    """The complex LSTM: ``c = f c + i act(x V + W h + b)``, ``h = o act(c)``, with complex h, c, V
    and W, and real gates i, f and o.

    It is for signals with phases, over which additive memory cells keep amplitude and phase. It is
    to ``lj.lstm`` what the cell of Wolter & Yao 2018, section 4, is to the GRU: see
    ``lj.complex_gru`` for the gates, the output and the activations.

    Params, all real, with the real and then the imaginary part of each of the gates input, forget,
    output and cell: ``w_x [D, 8N]``, ``w_h [N, 8N]``, ``b [8N]``; ``mix [3]``, for the gates input,
    forget and output; ``b_mod`` or ``m [2N]`` of the two activations; ``w_y [2N, H]``, ``b_y [H]``.
    With a unitary recurrence, ``w_h [N, 6N]`` has no cell gate, and W has params of its own: see
    ``lj.urnn``. State ``ComplexLSTMState(h_real, h_imag, c_real, c_imag)``.

    Args:
        size: The size H of the output.
        state_size: The number N of complex units; by default H.
        recurrence: The matrix W, as in ``lj.complex_gru``.
        activation: "hirose" or "modrelu".
        forget_bias: The initial bias of the forget gate.
    """
    size = checking.positive_int("size", size)
    units = size if state_size is None else checking.positive_int("state_size", state_size)
    checking.choice("recurrence", recurrence, RECURRENCES)
    act = complex_activation("activation", activation)
    forget_bias = checking.real("forget_bias", forget_bias)
    axis = complex_gates(
        ("input", "forget", "output", "cell"), units, keeps={"forget": 1}, writes="input"
    )
    recurrent = Recurrent(axis, "cell", units, recurrence)

    def advance(params, state, x):
        h, c = pack(state.h_real, state.h_imag), pack(state.c_real, state.c_imag)
        z = axis.split(product(x, params["w_x"]) + params["b"])
        r = recurrent.gates(params, h)
        of_cell, of_output = parts(params[act.entry])
        i, f, o = (
            real_gate(z[name] + r[name], params["mix"][place])
            for place, name in enumerate(("input", "forget", "output"))
        )
        cell = act.apply(z["cell"] + recurrent.apply(params, h), of_cell)
        c = scale(f, c) + scale(i, cell)
        h = scale(o, act.apply(c, of_output))
        new = ComplexLSTMState(*parts(h), *parts(c))
        gates = {"input": i, "forget": f, "output": o, "cell": cell}
        return like(state, new), readout(params, h), gates

    def init_params(key, input_size, dtype):
        key_x, key_h, key_act, key_y = jax.random.split(key, 4)
        return (
            {
                "w_x": draw_parts(key_x, input_size, axis, dtype),
                "b": init.forget_bias(forget_bias)(key_x, (), axis, dtype),
                "mix": jnp.zeros(3, dtype),
                act.entry: act.init(key_act, 2 * units, dtype),
            }
            | recurrent.init(key_h, dtype)
            | draw_readout(key_y, units, size, dtype)
        )

    cell = plain_cell(
        "complex_lstm",
        size,
        axis,
        init=init_params,
        state=lambda zeros: ComplexLSTMState(*(zeros(units) for _ in range(4))),
        advance=advance,
    )
    return cell._replace(prepare=recurrent.prepare)
