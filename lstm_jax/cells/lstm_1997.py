"""The original long short-term memory (Hochreiter & Schmidhuber 1997, Neural Computation 9(8)).

Memory blocks of several cells that share an input and an output gate; no forget gate; the gate
units are recurrent sources like any other unit; and a gradient that is cut wherever it would
flow back through a recurrent connection, so that it survives in the cells alone (section 4 and
appendix A.1).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core import initializers as init
from lstm_jax.core.builders import gated_cell
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Weights
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.recipes import factory

BIASED = {"none": (), "gates": ("input", "output"), "all": ("input", "output", "cell")}


class LSTM1997State(NamedTuple):
    """The outputs h of the cells, their internal states c (s in the paper), and the gates.

    ``gates`` are the activations of the gate units, input gates first, one unit per block.
    """

    h: Float[Array, "*batch H"]
    c: Float[Array, "*batch H"]
    gates: Float[Array, "*batch K"]


@factory
def lstm_1997(
    blocks: int,
    block_size: int = 1,
    *,
    output_gate: bool = True,
    truncate: bool = True,
    biases: str = "all",
    input_gate_bias: float | Sequence[float] = 0.0,
    output_gate_bias: float | Sequence[float] = 0.0,
    weight_scale: float = 0.1,
    g_range: float = 2.0,
    h_range: float = 1.0,
) -> Cell[LSTM1997State]:
    """The 1997 cell: ``s += in g(net_c)``, ``y = out h(s)`` (section 4; H = blocks * block_size).

    The packed axis has u units: the input gates and the output gates, one per block each, then the
    cells block by block. Params ``w_x [D, u]``, ``w_h [u, u]``, with rows in the same order, and
    ``b`` for the units that have a bias. State ``LSTM1997State(h, c, gates)``; output ``h``.

    Args:
        blocks: The number of memory blocks.
        block_size: The number of cells per block.
        output_gate: False replaces the gate by the constant 1 (experiment 2).
        truncate: Whether the gradient is cut at the recurrent inputs of all units, as in the
            paper; by design it is then not the derivative of the loss.
        biases: Which units have a bias: "none", "gates" (experiment 1) or "all".
        input_gate_bias: Initial values, one for all or one per block (the paper's -1, -2, -3).
        output_gate_bias: Likewise.
        weight_scale: Initial weights are uniform in plus or minus this.
        g_range: g is a logistic function scaled to plus or minus this: 2 in appendix A.1, eq. 3 to
            5, and 1 in table 10.
        h_range: Likewise for h: 1 in appendix A.1, and 2 in table 10.
    """
    blocks = checking.positive_int("blocks", blocks)
    block_size = checking.positive_int("block_size", block_size)
    checking.flag("output_gate", output_gate)
    checking.flag("truncate", truncate)
    size = blocks * block_size
    gates = ("input", "output") if output_gate else ("input",)
    axis = GateAxis((*gates, "cell"), (blocks,) * len(gates) + (size,), writes=("input",))
    gate_axis = GateAxis(gates, (blocks,) * len(gates))
    widths = dict(zip(axis.names, axis.widths, strict=True))
    biased = tuple(n for n in BIASED[checking.choice("biases", biases, BIASED)] if n in axis.names)
    bias_axis = axis.leading(sum(widths[gate] for gate in biased))
    start: dict[str, Any] = {
        "input": checking.reals("input_gate_bias", input_gate_bias, blocks),
        "output": checking.reals("output_gate_bias", output_gate_bias, blocks),
    }
    for gate, value in start.items():
        if np.any(value) and gate not in biased:
            raise WrongValue(f"{gate}_gate_bias: expected 0 for gates without a bias, got {value}")
    uniform = init.uniform(weight_scale)
    for argument, limit in (("g_range", g_range), ("h_range", h_range)):
        if checking.real(argument, limit) <= 0:
            raise WrongValue(f"{argument}: expected a number above 0, got {limit}")

    def per_cell(gate: jax.Array) -> jax.Array:
        return jnp.repeat(gate, block_size, axis=-1)

    def scaled_logistic(limit: float, net: jax.Array) -> jax.Array:
        return 2.0 * limit * jax.nn.sigmoid(net) - limit

    def pointwise(vectors, state, z, r):
        pre = axis.split(z + r)
        acts = {name: jax.nn.sigmoid(pre[name]) for name in gates}
        g = scaled_logistic(g_range, pre["cell"])
        c = state.c + per_cell(acts["input"]) * g
        h = scaled_logistic(h_range, c)
        if output_gate:
            h = per_cell(acts["output"]) * h
        return LSTM1997State(h, c, gate_axis.pack(acts)), h, acts | {"cell": g}

    def source(vectors, state):
        units = jnp.concatenate([state.gates, state.h], axis=-1)
        return jax.lax.stop_gradient(units) if truncate else units

    def split(params):
        w_x = params["w_x"]
        given = bias_axis.split(params["b"]) if biased else {}
        b = axis.pack({n: given.get(n, jnp.zeros(k, w_x.dtype)) for n, k in widths.items()})
        return Weights(w_x, params["w_h"], b), {}

    def init_params(key, input_size, dtype):
        params = init.packed(key, input_size, axis, dtype, source_size=axis.width,
                             w_x=uniform, w_h=uniform)  # fmt: skip
        del params["b"]
        if biased:
            values = {name: start[name] for name in biased if name in start}
            params["b"] = init.per_gate(0.0, **values)(key, (), bias_axis, dtype)
        return params

    return gated_cell(
        "lstm_1997",
        size,
        axis,
        init=init_params,
        state=lambda zeros: LSTM1997State(zeros(size), zeros(size), zeros(gate_axis.width)),
        pointwise=pointwise,
        split=split,
        source=source,
        additive=True,
    )
