"""Cells of trees and graphs in plain NumPy float64, node by node, written from the papers.

They share no code with the library. Gates are packed along the last axis in the order that each
function states. Edges are pairs ``(from, to)``.
"""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def child_sum_tree(params, children, xs, root):
    """Tai, Socher & Manning 2015, equations 2 to 8; gates input, forget, cell, output.

    Returns ``{node: (h, c)}``.
    """
    w_i, w_f, w_u, w_o = np.split(params["w_x"], 4, axis=-1)
    u_i, u_f, u_u, u_o = np.split(params["w_h"], 4, axis=-1)
    b_i, b_f, b_u, b_o = np.split(params["b"], 4)
    done = {}

    def visit(j):
        for k in children[j]:
            visit(k)
        h_tilde = sum((done[k][0] for k in children[j]), np.zeros(len(u_i)))
        i = sigmoid(xs[j] @ w_i + h_tilde @ u_i + b_i)
        o = sigmoid(xs[j] @ w_o + h_tilde @ u_o + b_o)
        u = np.tanh(xs[j] @ w_u + h_tilde @ u_u + b_u)
        c = i * u
        for k in children[j]:
            f = sigmoid(xs[j] @ w_f + done[k][0] @ u_f + b_f)
            c = c + f * done[k][1]
        done[j] = (o * np.tanh(c), c)

    visit(root)
    return done


def nary_tree(params, children, xs, root):
    """Tai, Socher & Manning 2015, equations 9 to 14.

    ``w_x`` and ``b``: input, forget, cell, output; ``w_h [N, H, (3 + N)H]``: input, the N forget
    gates, cell, output.
    """
    n, size = params["w_h"].shape[:2]
    w_i, w_f, w_u, w_o = np.split(params["w_x"], 4, axis=-1)
    b_i, b_f, b_u, b_o = np.split(params["b"], 4)
    blocks = [np.split(params["w_h"][at], 3 + n, axis=-1) for at in range(n)]
    done = {}

    def visit(j):
        for k in children[j]:
            visit(k)

        def recurrent(gate):
            return sum(
                (done[k][0] @ blocks[at][gate] for at, k in enumerate(children[j])), np.zeros(size)
            )

        i = sigmoid(xs[j] @ w_i + recurrent(0) + b_i)
        o = sigmoid(xs[j] @ w_o + recurrent(2 + n) + b_o)
        u = np.tanh(xs[j] @ w_u + recurrent(1 + n) + b_u)
        c = i * u
        for at, k in enumerate(children[j]):
            c = c + sigmoid(xs[j] @ w_f + recurrent(1 + at) + b_f) * done[k][1]
        done[j] = (o * np.tanh(c), c)

    visit(root)
    return done


def _incoming(count, edges, kinds):
    kinds = [0] * len(edges) if kinds is None else kinds
    into = {j: [] for j in range(count)}
    for (source, target), kind in zip(edges, kinds, strict=True):
        into[target].append((source, kind))
    return into


def _shares(params, neighbours, x, states, into):
    """The factor of each neighbour in sums: 1, 1 over their number, or softmax of scores."""
    if neighbours == "sum":
        return [1.0] * len(into)
    if neighbours == "mean":
        return [1.0 / len(into) for _ in into]
    query = x @ params["w_q"]
    scores = np.array([query @ (states[k][0] @ params["w_k"]) for k, _ in into])
    scores = scores / np.sqrt(len(query))
    powers = np.exp(scores - scores.max()) if len(scores) else scores
    return list(powers / powers.sum()) if len(powers) else []


def graph_lstm_node(params, x, own, states, into, neighbours):
    """Peng et al. 2017, with weights by the kind of edge; with ``own``, Liang et al. 2016, whose
    own forget gate and own state come beside those of the neighbours."""
    w_h = params["w_h"] if params["w_h"].ndim == 3 else params["w_h"][None]
    w_i, w_f, w_u, w_o = np.split(params["w_x"], 4, axis=-1)
    b_i, b_f, b_u, b_o = np.split(params["b"], 4)
    shares = _shares(params, neighbours, x, states, into)
    i, u, o = x @ w_i + b_i, x @ w_u + b_u, x @ w_o + b_o
    kept = 0.0
    for (k, kind), share in zip(into, shares, strict=True):
        u_i, u_f, u_u, u_o = np.split(w_h[kind], 4, axis=-1)
        h, c = states[k]
        i, u, o = i + share * (h @ u_i), u + share * (h @ u_u), o + share * (h @ u_o)
        kept = kept + share * sigmoid(x @ w_f + h @ u_f + b_f) * c
    if own is not None:
        o_i, o_f, o_u, o_o = np.split(params["w_o"], 4, axis=-1)
        h, c = own
        i, u, o = i + h @ o_i, u + h @ o_u, o + h @ o_o
        kept = kept + sigmoid(x @ w_f + h @ o_f + b_f) * c
    c = sigmoid(i) * np.tanh(u) + kept
    return sigmoid(o) * np.tanh(c), c


def graph_gru_node(params, x, own, states, into, neighbours):
    """Without ``own``: the GRU with reset after the product, whose last state is the sum over
    predecessors. With it: Li et al. 2016, with the messages' and the gates' weights in one product,
    and the update gate the other way round."""
    w_h = params["w_h"] if params["w_h"].ndim == 3 else params["w_h"][None]
    shares = _shares(params, neighbours, x, states, into)
    size = w_h.shape[1]
    r, before = np.zeros(3 * size), np.zeros(size)
    for (k, kind), share in zip(into, shares, strict=True):
        r = r + share * (states[k][0] @ w_h[kind])
        before = before + share * states[k][0]
    z = x @ params["w_x"] + params["b"]
    if own is None:
        (z_r, z_u, z_n), (r_r, r_u, r_n) = np.split(z, 3), np.split(r, 3)
        reset, update = sigmoid(z_r + r_r), sigmoid(z_u + r_u)
        new = np.tanh(z_n + reset * (r_n + params["b_h"]))
        return (update * before + (1 - update) * new,)
    h = own[0]
    a_r, a_u, a_n = np.split(z + r, 3)
    o_r, o_u, o_n = np.split(params["w_o"], 3, axis=-1)
    reset, update = sigmoid(a_r + h @ o_r), sigmoid(a_u + h @ o_u)
    new = np.tanh(a_n + (reset * h) @ o_n)
    return (update * h + (1 - update) * new,)


def acyclic(node, params, count, edges, xs, *, kinds=None, neighbours="sum"):
    """All states of an acyclic graph, each node after its predecessors."""
    into, done = _incoming(count, edges, kinds), {}

    def visit(j):
        if j not in done:
            for k, _ in into[j]:
                visit(k)
            done[j] = node(params, xs[j], None, done, into[j], neighbours)

    for j in range(count):
        visit(j)
    return done


def rounds(node, params, count, edges, xs, state, times, *, own, kinds=None, neighbours="sum"):
    """All states after some rounds, in each of which all nodes read the states before it."""
    into = _incoming(count, edges, kinds)
    for _ in range(times):
        state = {
            j: node(params, xs[j], state[j] if own else None, state, into[j], neighbours)
            for j in range(count)
        }
    return state
