"""The complex GRU: real gates, which turn no phases, and a complex memory.

Source: Wolter & Yao 2018, "Complex Gated Recurrent Neural Networks", section 4.
"""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax.cells.complex_numbers import (
    ComplexState,
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


@factory
def complex_gru(
    size: int,
    *,
    state_size: int | None = None,
    recurrence: str = "cayley",
    activation: str = "modrelu",
    gate_bias: float | None = None,
) -> Cell[ComplexState]:
    """The complex gated RNN: ``h = (1 - u) h + u act(x V + W (r h) + b)``, with complex h, V and W,
    and real gates u and r.

    It is for long dependencies, and for signals with phases: W may keep the norm of the state, and
    the gates still let it forget. Wolter & Yao 2018, section 4: a gate is
    ``sigmoid(a Re z + (1 - a) Im z)``, with its own ``z = x V + W h + b`` and a learned
    ``a = sigmoid(mix)``.

    Params, all real, with the real and then the imaginary part of each of the gates reset, update
    and candidate: ``w_x [D, 6N]``, ``w_h [N, 6N]``, ``b [6N]``; ``mix [2]``, for both gates;
    ``b_mod`` or ``m [N]`` of the activation; the output ``y = [Re h; Im h] w_y + b_y`` has
    ``w_y [2N, H]``, ``b_y [H]``. With a unitary recurrence, ``w_h [N, 4N]`` has no candidate, and W
    has params of its own: see ``lj.urnn``. State ``ComplexState(real, imag)``.

    Args:
        size: The size H of the output.
        state_size: The number N of complex units; by default H.
        recurrence: The matrix W of the candidate: "free", or a unitary one, "cayley", "fft" or
            "rotations", as in ``lj.urnn``. (The paper keeps W unitary by the steps of its
            optimizer.)
        activation: "modrelu", ``relu(|z| + b_mod) z / |z|``, or "hirose",
            ``tanh(|z| / m^2) z / |z|``, which is bounded and so suits a free recurrence.
        gate_bias: The initial bias of both gates; by default 4, both open, with a unitary
            recurrence, and 0 with a free one, as in the authors' code.
    """
    size = checking.positive_int("size", size)
    units = size if state_size is None else checking.positive_int("state_size", state_size)
    checking.choice("recurrence", recurrence, RECURRENCES)
    act = complex_activation("activation", activation)
    if gate_bias is None:
        gate_bias = 0.0 if recurrence == "free" else 4.0
    gate_bias = checking.real("gate_bias", gate_bias)
    # The sign is -1 since an open gate overwrites the memory.
    axis = complex_gates(("reset", "update", "candidate"), units, keeps={"update": -1})
    biases = init.per_gate(0.0, reset=gate_bias, update=gate_bias)
    recurrent = Recurrent(axis, "candidate", units, recurrence)

    def advance(params, state, x):
        h = pack(*state)
        z = axis.split(product(x, params["w_x"]) + params["b"])
        r = recurrent.gates(params, h)
        reset, update = (
            real_gate(z[name] + r[name], params["mix"][i])
            for i, name in enumerate(("reset", "update"))
        )
        before = z["candidate"] + recurrent.apply(params, scale(reset, h))
        candidate = act.apply(before, params[act.entry])
        h = scale(1.0 - update, h) + scale(update, candidate)
        gates = {"reset": reset, "update": update, "candidate": candidate}
        return like(state, ComplexState(*parts(h))), readout(params, h), gates

    def init_params(key, input_size, dtype):
        key_x, key_h, key_act, key_y = jax.random.split(key, 4)
        return (
            {
                "w_x": draw_parts(key_x, input_size, axis, dtype),
                "b": biases(key_x, (), axis, dtype),
                "mix": jnp.zeros(2, dtype),
                act.entry: act.init(key_act, units, dtype),
            }
            | recurrent.init(key_h, dtype)
            | draw_readout(key_y, units, size, dtype)
        )

    cell = plain_cell(
        "complex_gru",
        size,
        axis,
        init=init_params,
        state=lambda zeros: ComplexState(zeros(units), zeros(units)),
        advance=advance,
    )
    return cell._replace(prepare=recurrent.prepare)
