"""The LSTM and the GRU on graphs.

Sources: Tai, Socher & Manning 2015 (the child-sum LSTM); Peng et al. 2017, "Cross-sentence n-ary
relation extraction with graph LSTMs" (kinds of edges); Liang et al. 2016, "Semantic object parsing
with graph LSTM" (own state and neighbours); Li et al. 2016, "Gated graph sequence neural networks"
(the GRU on graphs); Thost & Chen 2021, "Directed acyclic graph neural networks" (attention over
predecessors).
"""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.cells.gru import GRUState
from lstm_jax.cells.lstm import LSTMState
from lstm_jax.core import initializers as init
from lstm_jax.core.gates import GateAxis, equal_gates
from lstm_jax.core.numerics import product, wide
from lstm_jax.core.recipes import factory
from lstm_jax.core.typing import Params
from lstm_jax.graph.contract import NodeCell, Received, node_cell

NEIGHBOURS = ("sum", "mean", "attention")


@factory
def lstm(
    size: int,
    *,
    forget_bias: float = 1.0,
    kinds: int = 1,
    neighbours: str = "sum",
    own: bool = False,
) -> NodeCell:
    """The LSTM on graphs: a forget gate for each edge, ``c = i g + sum_k f_k c_k``.

        i, g, o = sigmoid, tanh, sigmoid(x w_x + b + sum_k h_k w_h)
        f_k = sigmoid(x w_x + b + h_k w_h)
        c = i g + sum_k f_k c_k,  h = o tanh(c)

    Here k runs over the edges that lead to the node, and ``w_h`` is that of the edge's kind (Peng
    et al. 2017). On a chain it is ``lj.lstm`` with the same params.

    Params, in the order input, forget, cell, output: ``w_x [D, 4H]``, ``w_h [H, 4H]``, ``b [4H]``;
    with several kinds ``w_h [K, H, 4H]``; with ``own`` also ``w_o [H, 4H]``; with attention also
    ``w_q [D, H]``, ``w_k [H, H]``. State ``LSTMState(h, c)``; output ``h``.

    Args:
        size: The hidden size H.
        forget_bias: The initial bias of the forget gates.
        kinds: The number K of kinds of edges.
        neighbours: What the sums over k are: "sum"; "mean", divided by the number of edges (Liang
            et al. 2016); or "attention", weighted by the softmax over k of
            ``(x w_q)(h_k w_k) / sqrt(H)``.
        own: Whether the node's own last state is one of the states, with weights ``w_o`` and a
            forget gate of its own (Liang et al. 2016, where h is ``tanh(o c)``). Such a cell runs
            in rounds only.
    """
    size = checking.positive_int("size", size)
    forget_bias = checking.real("forget_bias", forget_bias)
    kinds, own = _check_options(kinds, neighbours, own)
    axis = equal_gates(("input", "forget", "cell", "output"), size, {"forget": 1}, writes="input")

    def receive(params, z, state, received):
        weights = _weights(neighbours, z, received)
        r = _of_kind(received.message["r"], received.kind, kinds)
        forget = axis.split(z["z"])["forget"]
        f = jax.nn.sigmoid(received.at_target(forget) + axis.split(r)["forget"])
        total = z["z"] + received.sum(weights * r)
        c = received.sum(weights * f * received.state.c)
        if own:
            r_own = product(state.h, params["w_o"])
            total = total + r_own
            c = c + jax.nn.sigmoid(forget + axis.split(r_own)["forget"]) * state.c
        pre = axis.split(total)
        c = c + jax.nn.sigmoid(pre["input"]) * jnp.tanh(pre["cell"])
        return LSTMState(jax.nn.sigmoid(pre["output"]) * jnp.tanh(c), c)

    return node_cell(
        "graph.lstm",
        size,
        axis,
        init=_init(axis, size, kinds, neighbours, own, init.forget_bias(forget_bias)),
        state=lambda zeros: LSTMState(zeros(size), zeros(size)),
        project=project,
        send=send,
        receive=receive,
        kinds=kinds,
        reads_own=own,
    )


@factory
def gru(
    size: int,
    *,
    kinds: int = 1,
    neighbours: str = "sum",
    own: bool = False,
) -> NodeCell:
    """The gated recurrent unit on graphs.

    In topological order, the sum over predecessors takes the place of the last state, both in the
    products and in ``h = u (sum_k h_k) + (1 - u) n``. On a chain it is ``lj.gru`` with the same
    params. With ``own`` it is that of gated graph neural networks (Li et al. 2016), in
    which the neighbours are the input and the node's own last state is the state:

        a = x w_x + b + sum_k h_k w_h
        r, u = sigmoid(a + h w_o),  n = tanh(a + (r h) w_o),  h = u h + (1 - u) n

    There ``w_h`` is the product of the paper's message weights, one per kind of edge, and gate
    weights, and u is one minus the paper's z. The paper reads x only once, as the initial state.

    Params, in the order reset, update, candidate: ``w_x [D, 3H]``, ``w_h [H, 3H]``, ``b [3H]``;
    with several kinds ``w_h [K, H, 3H]``; with ``own`` also ``w_o [H, 3H]``, and without it
    ``b_h [H]``; with attention also ``w_q [D, H]``, ``w_k [H, H]``. State ``GRUState(h)``; output
    ``h``.

    Args:
        size: The hidden size H.
        kinds: The number K of kinds of edges.
        neighbours: What the sums over k are; see ``lj.graph.lstm``.
        own: Whether the node's own last state is the state. Such a cell runs in rounds only.
    """
    size = checking.positive_int("size", size)
    kinds, own = _check_options(kinds, neighbours, own)
    axis = equal_gates(("reset", "update", "candidate"), size, {"update": 1})

    def receive(params, z, state, received):
        weights = _weights(neighbours, z, received)
        r = received.sum(weights * _of_kind(received.message["r"], received.kind, kinds))
        if own:
            return receive_with_own(params, z["z"] + r, state.h)
        of_x, of_h = axis.split(z["z"]), axis.split(r)
        reset = jax.nn.sigmoid(of_x["reset"] + of_h["reset"])
        update = jax.nn.sigmoid(of_x["update"] + of_h["update"])
        recurrent = of_h["candidate"] + wide(params["b_h"])
        candidate = jnp.tanh(of_x["candidate"] + reset * recurrent)
        before = received.sum(weights * received.state.h)
        return GRUState(update * before + (1.0 - update) * candidate)

    def receive_with_own(params, a, h):
        of_a = axis.split(a)
        w_gates, w_candidate = jnp.split(params["w_o"], [2 * size], axis=-1)
        r_reset, r_update = jnp.split(product(h, w_gates), 2, axis=-1)
        reset = jax.nn.sigmoid(of_a["reset"] + r_reset)
        update = jax.nn.sigmoid(of_a["update"] + r_update)
        candidate = jnp.tanh(of_a["candidate"] + product(reset * h, w_candidate))
        return GRUState(update * h + (1.0 - update) * candidate)

    draw = _init(axis, size, kinds, neighbours, own, init.constant(0.0))

    def init_params(key, input_size, dtype):
        params = draw(key, input_size, dtype)
        return params if own else params | {"b_h": jnp.zeros(size, dtype)}

    return node_cell(
        "graph.gru",
        size,
        axis,
        init=init_params,
        state=lambda zeros: GRUState(zeros(size)),
        project=project,
        send=send,
        receive=receive,
        kinds=kinds,
        reads_own=own,
    )


def _check_options(kinds: Any, neighbours: Any, own: Any) -> tuple[int, bool]:
    checking.choice("neighbours", neighbours, NEIGHBOURS)
    return checking.positive_int("kinds", kinds), checking.flag("own", own)


def project(params: Params, xs: jax.Array) -> dict[str, jax.Array]:
    """The input's pre-activations, and queries for attention."""
    of_x = {"z": product(xs, params["w_x"]) + wide(params["b"])}
    if "w_q" in params:
        of_x["query"] = product(xs, params["w_q"])
    return of_x


def send(params: Params, state: Any) -> dict[str, jax.Array]:
    """A state's recurrent products, for each kind of edge, and its key for attention."""
    w_h = params["w_h"]
    if w_h.ndim == 3:  # the kinds side by side, for one product
        w_h = jnp.moveaxis(w_h, 0, 1).reshape(w_h.shape[1], -1)
    message = {"r": product(state.h, w_h)}
    if "w_k" in params:
        message["key"] = product(state.h, params["w_k"])
    return message


def _of_kind(r: jax.Array, kind: jax.Array, kinds: int) -> jax.Array:
    """Of the products for all kinds, ``[E, K*G*H]``, those of each edge's kind."""
    if kinds == 1:
        return r
    by_kind = r.reshape(len(r), kinds, -1)
    return jnp.take_along_axis(by_kind, kind[:, None, None], axis=1)[:, 0]


def _weights(neighbours: str, z: dict[str, jax.Array], received: Received) -> Any:
    """The factors of the edges in sums over neighbours, ``[E, 1]`` or a number."""
    if neighbours == "sum":
        return 1.0
    if neighbours == "mean":
        count = received.at_target(received.degree())
        return (1.0 / jnp.maximum(count, 1).astype(z["z"].dtype))[:, None]
    query, key = received.at_target(z["query"]), received.message["key"]
    scores = jnp.sum(query * key, axis=-1) / jnp.sqrt(jnp.array(key.shape[-1], key.dtype))
    return received.softmax(scores)[:, None]


def _init(
    axis: GateAxis,
    size: int,
    kinds: int,
    neighbours: str,
    own: bool,
    bias: init.Initializer,
) -> Any:
    """The ``init`` of a cell."""
    if kinds < 1:
        raise WrongValue(f"kinds: expected at least 1, got {kinds}")

    def init_params(key: jax.Array, input_size: int, dtype: Any) -> Params:
        keys = jax.random.split(key, kinds + 4)
        params = init.packed(keys[0], input_size, axis, dtype, b=bias)
        if kinds > 1:
            draws = [init.orthogonal()(k, (size,), axis, dtype) for k in keys[4:]]
            params["w_h"] = jnp.stack(draws)
        if own:
            params["w_o"] = init.orthogonal()(keys[1], (size,), axis, dtype)
        if neighbours == "attention":
            one = equal_gates(("score",), size)
            params["w_q"] = init.glorot()(keys[2], (input_size,), one, dtype)
            params["w_k"] = init.glorot()(keys[3], (size,), one, dtype)
        return params

    return init_params
