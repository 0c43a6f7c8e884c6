"""Gated cells with a complex state: the complex GRU and the complex LSTM.

Source: Wolter & Yao 2018, "Complex Gated Recurrent Neural Networks", section 4. Gates are real, and
turn no phases; the memory and what is written to it are complex.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

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
    real_form,
    real_gate,
    scale,
)
from lstm_jax.cells.unitary_matrices import UNITARY_MATRICES
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import plain_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.numerics import like, product
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Params

RECURRENCES = ("free", *UNITARY_MATRICES)


class ComplexLSTMState(NamedTuple):
    """The real and the imaginary parts of the output h and the cell state c."""

    h_real: Float[Array, "*batch N"]
    h_imag: Float[Array, "*batch N"]
    c_real: Float[Array, "*batch N"]
    c_imag: Float[Array, "*batch N"]


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


class Recurrent:
    """The recurrent weights of a gated cell: those of its gates, and W, which may be unitary.

    Args:
        axis: The gates, the last of which is the one that W feeds.
        fed: The name of this gate.
        units: The number N of complex units.
        recurrence: "free", or a key of ``UNITARY_MATRICES``.
    """

    def __init__(self, axis: GateAxis, fed: str, units: int, recurrence: str):
        self.fed, self.units = fed, units
        self.matrix = None if recurrence == "free" else UNITARY_MATRICES[recurrence](units)
        # Free weights of W stand in w_h beside those of the gates.
        self.axis = axis if self.matrix is None else axis.leading(axis.width - 2 * units)

    def init(self, key: jax.Array, dtype: jnp.dtype) -> Params:
        key_h, key_w = jax.random.split(key)
        w_h = draw_parts(key_h, self.units, self.axis, dtype, complex_rows=True)
        return {"w_h": w_h} | ({} if self.matrix is None else self.matrix.init(key_w, dtype))

    def prepare(self, params: Params, batch_shape: tuple, key: jax.Array | None) -> Params:
        weights = self.axis.split(real_form(params["w_h"], self.units))
        matrix = weights.pop(self.fed, None)
        if self.matrix is not None:
            matrix = self.matrix.prepare(params)
        gates = jnp.concatenate(list(weights.values()), axis=-1)
        return params | {"w_h": gates, "w": matrix}

    def gates(self, params: Params, h: jax.Array) -> dict[str, jax.Array]:
        """``h w_h`` by gate, for all gates but the one that W feeds."""
        packed = product(h, params["w_h"])
        return self.axis.leading(packed.shape[-1]).split(packed)

    def apply(self, params: Params, h: jax.Array) -> jax.Array:
        """``W h``."""
        if self.matrix is None:
            return product(h, params["w"])
        return self.matrix.apply(params["w"], h)
