"""The LSTM on trees: Tai, Socher & Manning 2015, "Improved semantic representations from
tree-structured long short-term memory networks"."""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax.cells.lstm import LSTMState
from lstm_jax.core import initializers as init
from lstm_jax.core.gates import equal_gates
from lstm_jax.core.numerics import product
from lstm_jax.core.recipes import factory
from lstm_jax.graph import cells as graph_cells
from lstm_jax.graph.contract import NodeCell, node_cell


@factory
def child_sum_lstm(size: int, *, forget_bias: float = 1.0) -> NodeCell:
    """The child-sum Tree-LSTM, for any number of children in no order (equations 2 to 8).

        i, g, o = sigmoid, tanh, sigmoid(x w_x + b + (sum_k h_k) w_h)
        f_k = sigmoid(x w_x + b + h_k w_h)
        c = i g + sum_k f_k c_k,  h = o tanh(c)

    Here k runs over the children. It is ``lj.graph.lstm`` on trees; with one child per node it is
    ``lj.lstm`` with the same params.

    Params, in the order input, forget, cell, output: ``w_x [D, 4H]``, ``w_h [H, 4H]``, ``b [4H]``.
    State ``LSTMState(h, c)``; output ``h``.

    Args:
        size: The hidden size H.
        forget_bias: The initial bias of the forget gates.
    """
    return graph_cells.lstm(size, forget_bias=forget_bias)._replace(name="tree.child_sum_lstm")


@factory
def nary_lstm(size: int, arity: int, *, forget_bias: float = 1.0) -> NodeCell:
    """The N-ary Tree-LSTM, for up to N children in order (equations 9 to 14).

        i, g, o = sigmoid, tanh, sigmoid(x w_x + b + sum_l h_l w_h[l])
        f_k = sigmoid(x w_x + b + sum_l h_l w_h[l])
        c = i g + sum_k f_k c_k,  h = o tanh(c)

    Here k and l run over the positions; a missing child has a state of zeros. Each forget gate has
    recurrent weights of its own, while their input weights and biases are shared.

    Params: ``w_x [D, 4H]`` and ``b [4H]`` in the order input, forget, cell, output;
    ``w_h [N, H, (3 + N)H]`` in the order input, forget of each child, cell, output. With N = 1 it
    is ``lj.lstm``, with ``w_h[0]`` as its ``w_h``. State ``LSTMState(h, c)``; output ``h``.

    Args:
        size: The hidden size H.
        arity: The most children N of a node.
        forget_bias: The initial bias of the forget gates.
    """
    size = checking.positive_int("size", size)
    arity = checking.positive_int("arity", arity)
    forget_bias = checking.real("forget_bias", forget_bias)
    axis = equal_gates(("input", "forget", "cell", "output"), size, {"forget": 1}, writes="input")
    forgets = tuple(f"forget_{k}" for k in range(arity))
    recurrent = equal_gates(("input", *forgets, "cell", "output"), size)

    def send(params, state):
        return ()

    def receive(params, z, state, received):
        # Each child has a position of its own, which the sum only puts in place.
        place = received.target * arity + jnp.minimum(received.kind, arity - 1)
        places = (received.rows * arity, received.rows, arity)

        def by_position(values: jax.Array) -> jax.Array:
            return jax.ops.segment_sum(values, place, places[0]).reshape(*places[1:], size)

        h, c = by_position(received.state.h), by_position(received.state.c)
        w_h = params["w_h"].reshape(arity * size, recurrent.width)
        r = recurrent.split(product(h.reshape(-1, arity * size), w_h))
        pre = axis.split(z["z"])
        f = [jax.nn.sigmoid(pre["forget"] + r[name]) for name in forgets]
        i, o = (jax.nn.sigmoid(pre[name] + r[name]) for name in ("input", "output"))
        c_new = i * jnp.tanh(pre["cell"] + r["cell"]) + jnp.sum(jnp.stack(f, axis=-2) * c, axis=-2)
        return LSTMState(o * jnp.tanh(c_new), c_new)

    def init_params(key, input_size, dtype):
        first, *keys = jax.random.split(key, arity + 1)
        params = init.packed(first, input_size, axis, dtype, b=init.forget_bias(forget_bias))
        params["w_h"] = jnp.stack([init.orthogonal()(k, (size,), recurrent, dtype) for k in keys])
        return params

    return node_cell(
        "tree.nary_lstm",
        size,
        axis,
        init=init_params,
        state=lambda zeros: LSTMState(zeros(size), zeros(size)),
        project=graph_cells.project,
        send=send,
        receive=receive,
        kinds=arity,
        ordered=True,
    )
