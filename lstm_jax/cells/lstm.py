"""The long short-term memory with a forget gate, and its variants as options.

Sources: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000 (forget gate); Gers,
Schraudolph & Schmidhuber 2002 (peepholes); Sak, Senior & Beaufays 2014 (projection); Greff et
al. 2015, "LSTM: A Search Space Odyssey" (the variants; section II.A has the equations); Ba, Kiros
& Hinton 2016 (layer norm; equations 20 to 22 of the supplement).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypedDict, Unpack, overload

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.cells.norm import bias_after_norm, standardize, wants_norm
from lstm_jax.cells.products import MATRICES, Products
from lstm_jax.core import initializers as init
from lstm_jax.core.activations import Activation, activation
from lstm_jax.core.builders import gated_cell, packed_params
from lstm_jax.core.cell import Cell
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Zeros


class LSTMState(NamedTuple):
    """The output h and the cell state c."""

    h: Float[Array, "*batch H"]
    c: Float[Array, "*batch H"]


class GateRecurrentState(NamedTuple):
    """The state under full gate recurrence: the last gate activations are recurrent sources too."""

    h: Float[Array, "*batch H"]
    c: Float[Array, "*batch H"]
    gates: Float[Array, "*batch K*H"]


# The nine variants of Greff et al. 2015, section IV. Their vanilla LSTM has peepholes.
GREFF_VARIANTS: dict[str, dict[str, Any]] = {
    "v": {"peephole": True},
    "nig": {"peephole": True, "input_gate": False},
    "nfg": {"peephole": True, "forget_gate": False},
    "nog": {"peephole": True, "output_gate": False},
    "niaf": {"peephole": True, "cell_activation": "identity"},
    "noaf": {"peephole": True, "output_activation": "identity"},
    "cifg": {"peephole": True, "coupled": True},
    "np": {},
    "fgr": {"peephole": True, "full_gate_recurrence": True},
}


class LSTMOptions(TypedDict, total=False):
    """The options of ``lstm`` that do not change the type of its state."""

    forget_bias: float
    peephole: bool
    coupled: bool
    input_gate: bool
    forget_gate: bool
    output_gate: bool
    projection: int | None
    norm: str | None
    gate_activation: str
    cell_activation: str
    output_activation: str


@overload
def lstm(
    size: int, *, full_gate_recurrence: Literal[False] = False, **options: Unpack[LSTMOptions]
) -> Cell[LSTMState]: ...


@overload
def lstm(
    size: int, *, full_gate_recurrence: Literal[True], **options: Unpack[LSTMOptions]
) -> Cell[GateRecurrentState]: ...


@overload
def lstm(
    size: int, *, full_gate_recurrence: bool, **options: Unpack[LSTMOptions]
) -> Any: ...  # a cell of either state


@factory
def lstm(
    size: int,
    *,
    forget_bias: float = 1.0,
    peephole: bool = False,
    coupled: bool = False,
    input_gate: bool = True,
    forget_gate: bool = True,
    output_gate: bool = True,
    full_gate_recurrence: bool = False,
    projection: int | None = None,
    norm: str | None = None,
    gate_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    output_activation: str = "tanh",
) -> Cell[Any]:
    """The LSTM: ``c = f c + i g``, ``h = o tanh(c)`` (Greff et al. 2015, section II.A).

        cell = lj.lstm(128, forget_bias=1.0, peephole=True)

    Params, with G the number of gates present in the order input, forget, cell, output, and K that
    of those among input, forget, output: ``w_x [D, G*H]``, ``w_h [H, G*H]``, ``b [G*H]``;
    ``p [K*H]`` (peepholes, initially zero), ``w_g [K*H, K*H]`` (full gate recurrence),
    ``w_p [H, P]`` (projection; ``w_h`` is then ``[P, G*H]``), ``scale_x, scale_h [G*H]`` and
    ``scale_c, bias_c [H]`` (norm). State ``LSTMState(h, c)``, or
    ``GateRecurrentState(h, c, gates)`` with full gate recurrence; output ``h``.

    Args:
        size: The hidden size H.
        forget_bias: The initial bias of the forget gate. A coupled input gate, whose forget gate is
            one minus it, starts at its negative.
        peephole: Whether the input and forget gates also read ``c_{t-1}``, and the output gate
            ``c_t``.
        coupled: Whether the forget gate is ``1 - i`` (CIFG).
        input_gate: False replaces the gate by the constant 1.
        forget_gate: False replaces the gate by the constant 1.
        output_gate: False replaces the gate by the constant 1.
        full_gate_recurrence: Whether gates also read all gates of the last step (FGR).
        projection: The size P of ``h = (o tanh(c)) w_p`` (Sak et al. 2014, eq. 12); by default
            there is no projection.
        norm: "layer" for layer normalisation of both products and of the cell state.
        gate_activation: The activation of the gates, by name; see ``lj.rnn``.
        cell_activation: The activation of the cell input g, by name.
        output_activation: The activation of c in the output, by name.
    """
    size = checking.positive_int("size", size)
    forget_bias = checking.real("forget_bias", forget_bias)
    for flag, value in {"peephole": peephole, "coupled": coupled, "input_gate": input_gate,
                        "forget_gate": forget_gate, "output_gate": output_gate,
                        "full_gate_recurrence": full_gate_recurrence}.items():  # fmt: skip
        checking.flag(flag, value)
    if coupled and not (input_gate and forget_gate):
        raise WrongValue("coupled: expected False without an input and a forget gate, got True")
    if not (input_gate or forget_gate or output_gate):
        for option, given in {
            "peephole": peephole,
            "full_gate_recurrence": full_gate_recurrence,
        }.items():
            if given:
                raise WrongValue(
                    f"{option}: expected False without input_gate, forget_gate and output_gate, "
                    "got True"
                )
    if projection is not None:
        projection = checking.positive_int("projection", projection)

    present = {"input": input_gate, "forget": forget_gate and not coupled, "cell": True,
               "output": output_gate}  # fmt: skip
    keeps = {"input": -1} if coupled else {"forget": 1} if forget_gate else {}
    names = tuple(gate for gate, there in present.items() if there)
    axis = equal_gates(names, size, keeps, writes="" if coupled else "input")
    return lstm_cell(
        "lstm", size, axis, LSTMState, forget_bias=forget_bias, peephole=peephole, coupled=coupled,
        full_gate_recurrence=full_gate_recurrence, projection=projection, norm=norm,
        gate_act=activation("gate_activation", gate_activation),
        cell_act=activation("cell_activation", cell_activation),
        output_act=activation("output_activation", output_activation),
    )  # fmt: skip


def lstm_cell(
    name: str,
    size: int,
    axis: GateAxis,
    make_state: Callable[[jax.Array, jax.Array], Any],
    products: Products = MATRICES,
    *,
    forget_bias: float,
    peephole: bool,
    norm: str | None,
    coupled: bool = False,
    full_gate_recurrence: bool = False,
    projection: int | None = None,
    gate_act: Activation = jax.nn.sigmoid,
    cell_act: Activation = jnp.tanh,
    output_act: Activation = jnp.tanh,
) -> Cell[Any]:
    """The LSTM with the gates of ``axis``, by any two products; see ``lstm`` and ``conv_lstm``."""
    normed = wants_norm(norm)
    places, out = products.grid.outputs, size if projection is None else projection
    squashed = equal_gates(tuple(n for n in axis.names if n != "cell"), size)

    def pointwise(vectors, state, z, r):
        if normed:
            z = standardize(z) * vectors["scale_x"] + vectors["b"]
            r = standardize(r) * vectors["scale_h"]
        pre = axis.split(z + r)
        gates = {"cell": cell_act(pre["cell"])}
        peep = squashed.split(vectors["p"]) if peephole else {}

        def gate(name: str, c: jax.Array) -> Any:
            if name not in pre:
                return 1.0
            gates[name] = gate_act(pre[name] + peep[name] * c if peephole else pre[name])
            return gates[name]

        i = gate("input", state.c)
        f = 1.0 - i if coupled else gate("forget", state.c)
        c = f * state.c + i * gates["cell"]
        c_normed = standardize(c) * vectors["scale_c"] + vectors["bias_c"] if normed else c
        h = gate("output", c) * output_act(c_normed)
        if full_gate_recurrence:
            return GateRecurrentState(h, c, squashed.pack(gates)), h, gates
        return make_state(h, c), h, gates

    def split(params):
        weights, vectors = bias_after_norm(params) if normed else packed_params(params)
        if full_gate_recurrence:
            weights = weights._replace(w_h=with_gate_rows(params["w_h"], params["w_g"]))
            vectors = {name: leaf for name, leaf in vectors.items() if name != "w_g"}
        return weights, vectors

    def with_gate_rows(w_h: jax.Array, w_g: jax.Array) -> jax.Array:
        # Full gate recurrence does not reach the cell input, whose columns are zero.
        columns = squashed.split(w_g) | {"cell": jnp.zeros((w_g.shape[0], size), w_g.dtype)}
        return jnp.concatenate([w_h, axis.pack(columns)], axis=0)

    def init_params(key, input_size, dtype):
        packed_key, gate_key, projection_key = jax.random.split(key, 3)
        params = init.packed(packed_key, input_size, axis, dtype, source_size=out,
                             kernel_x=products.kernel_x, kernel_h=products.kernel_h,
                             b=init.forget_bias(forget_bias))  # fmt: skip
        if peephole:
            params["p"] = jnp.zeros((*places, squashed.width), dtype)
        if full_gate_recurrence:
            params["w_g"] = init.orthogonal()(gate_key, (squashed.width,), squashed, dtype)
        if projection is not None:
            params["w_p"] = init.glorot()(projection_key, (size,), equal_gates(("h",), out), dtype)
        if normed:
            params |= {"scale_x": jnp.ones(axis.width, dtype),
                       "scale_h": jnp.ones(axis.width, dtype),
                       "scale_c": jnp.ones(size, dtype),
                       "bias_c": jnp.zeros(size, dtype)}  # fmt: skip
        return params

    def zero_state(zeros: Zeros) -> Any:
        h, c = zeros(*places, out), zeros(*places, size)
        if full_gate_recurrence:
            return GateRecurrentState(h, c, zeros(*places, squashed.width))
        return make_state(h, c)

    def source(vectors, state):
        if full_gate_recurrence:
            return jnp.concatenate([state.h, state.gates], axis=-1)
        return state.h

    return gated_cell(
        name,
        out,
        axis,
        init=init_params,
        state=zero_state,
        pointwise=pointwise,
        split=split,
        source=source,
        additive=not normed,
        product_x=products.x,
        product_h=products.h,
        grid=products.grid,
    )
