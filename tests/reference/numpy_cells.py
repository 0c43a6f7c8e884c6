"""Recurrent cells in plain NumPy float64, written from the papers.

These are slow, literal implementations for checking faster ones. They share no code with the
library they check: every cell is a loop over time that follows the published equations, and the
gradients of the three basic families (rnn, lstm, gru) are hand-written backpropagation through
time, derived from those equations without automatic differentiation.

Conventions
-----------
Time is axis 0 and batch is axis 1: ``xs [T, B, D]``, ``ys [T, B, H]``. Vectors are rows, so a
layer is ``x @ w_x + b + h @ w_h`` with ``w_x [D, G*H]``, ``w_h [H, G*H]``, ``b [G*H]`` and the
gates packed along the last axis, in the order each function states. Inputs of any floating type
are converted to float64. Forward functions return ``(final_state, ys)``, where ``final_state`` is
a dict. Backward functions take cotangents ``d_ys`` and ``d_final`` (a dict like ``final_state``)
of a scalar loss and return ``(d_params, d_xs, d_initial)``: two dicts and an array.

Optional arguments of rnn, lstm and gru
---------------------------------------
``lengths [B]`` (int): row ``r`` is alive at the steps ``t < lengths[r]``. At the other steps its
state is frozen, its output is zero, and no gradient reaches its inputs or the parameters.

``resets [T, B]`` (bool): where true, the row's state is set to zeros before ``xs[t]`` is
consumed. A reset at a step past the row's length does nothing, since the state is frozen there.
"""

import numpy as np

LAYER_NORM_EPSILON = 1e-5


# ---------------------------------------------------------------------------------------------
# Shared pieces


def _f64(array):
    return np.asarray(array, dtype=np.float64)


def _f64_dict(arrays):
    return {name: _f64(array) for name, array in arrays.items()}


def sigmoid(x):
    """The logistic function 1 / (1 + exp(-x)), without overflow for large negative ``x``."""
    return np.exp(-np.logaddexp(0.0, -x))


def _alive(lengths, t, batch):
    """[B, 1] bool: the rows that still have input at step ``t``."""
    if lengths is None:
        return np.ones((batch, 1), dtype=bool)
    return (t < np.asarray(lengths)).reshape(batch, 1)


def _reset(resets, t, batch):
    """[B, 1] bool: the rows whose state is zeroed before step ``t``."""
    if resets is None:
        return np.zeros((batch, 1), dtype=bool)
    return np.asarray(resets, dtype=bool)[t].reshape(batch, 1)


def _activate(name, x):
    if name == "tanh":
        return np.tanh(x)
    if name == "relu":
        return np.maximum(x, 0.0)
    if name == "identity":
        return x
    raise ValueError(f"unknown activation: {name!r}")


def _activation_slope(name, value):
    """Derivative of the activation, written in terms of its own value.

    The slope of relu at zero is taken as zero.
    """
    if name == "tanh":
        return 1.0 - value**2
    if name == "relu":
        return (value > 0.0).astype(np.float64)
    raise ValueError(f"unknown activation: {name!r}")


# ---------------------------------------------------------------------------------------------
# Simple recurrent network


def rnn_forward(params, xs, h0, *, activation="tanh", lengths=None, resets=None):
    """Elman's simple recurrent network (Cognitive Science 14, 1990).

    h_t = act(x_t w_x + b + h_{t-1} w_h), with act "tanh" or "relu".
    Packed axis: ("cell",). Final state: {"h"}.
    """
    h, ys, _ = _rnn_run(params, xs, h0, activation, lengths, resets)
    return {"h": h}, ys


def _rnn_run(params, xs, h0, activation, lengths, resets):
    p = _f64_dict(params)
    xs, h = _f64(xs), _f64(h0)
    steps, batch, _ = xs.shape
    ys = np.zeros((steps, batch, h.shape[-1]))
    tape = []
    for t in range(steps):
        alive = _alive(lengths, t, batch)
        reset = _reset(resets, t, batch)
        h_in = np.where(reset, 0.0, h)
        h_new = _activate(activation, xs[t] @ p["w_x"] + p["b"] + h_in @ p["w_h"])
        ys[t] = np.where(alive, h_new, 0.0)
        h = np.where(alive, h_new, h)
        tape.append((alive, reset, h_in, h_new))
    return h, ys, tape


def rnn_backward(params, xs, h0, d_ys, d_final, *, activation="tanh", lengths=None, resets=None):
    """Backpropagation through time for :func:`rnn_forward`.

    ``d_final`` is {"h"}; ``d_initial`` is {"h"}.
    """
    p = _f64_dict(params)
    xs, d_ys = _f64(xs), _f64(d_ys)
    _, _, tape = _rnn_run(params, xs, h0, activation, lengths, resets)
    grads = {name: np.zeros_like(p[name]) for name in ("w_x", "w_h", "b")}
    d_xs = np.zeros_like(xs)
    dh = _f64(d_final["h"])
    for t in reversed(range(len(tape))):
        alive, reset, h_in, h_new = tape[t]
        dh_kept = np.where(alive, 0.0, dh)
        dh_new = np.where(alive, dh + d_ys[t], 0.0)

        d_pre = dh_new * _activation_slope(activation, h_new)

        grads["w_x"] += xs[t].T @ d_pre
        grads["w_h"] += h_in.T @ d_pre
        grads["b"] += d_pre.sum(axis=0)
        d_xs[t] = d_pre @ p["w_x"].T
        dh = dh_kept + np.where(reset, 0.0, d_pre @ p["w_h"].T)
    return grads, d_xs, {"h": dh}


# ---------------------------------------------------------------------------------------------
# Long short-term memory


def lstm_forward(params, xs, h0, c0, *, lengths=None, resets=None):
    """LSTM with a forget gate and no peepholes.

    Hochreiter and Schmidhuber (Neural Computation 9(8), 1997) with the forget gate of Gers,
    Schmidhuber and Cummins (Neural Computation 12(10), 2000):

    c_t = f * c_{t-1} + i * g and h_t = o * tanh(c_t), where i, f, o are logistic, g is tanh.
    Packed axis: ("input", "forget", "cell", "output"). Final state: {"h", "c"}.
    """
    h, c, ys, _ = _lstm_run(params, xs, h0, c0, lengths, resets)
    return {"h": h, "c": c}, ys


def _lstm_run(params, xs, h0, c0, lengths, resets):
    p = _f64_dict(params)
    xs, h, c = _f64(xs), _f64(h0), _f64(c0)
    steps, batch, _ = xs.shape
    ys = np.zeros((steps, batch, h.shape[-1]))
    tape = []
    for t in range(steps):
        alive = _alive(lengths, t, batch)
        reset = _reset(resets, t, batch)
        h_in = np.where(reset, 0.0, h)
        c_in = np.where(reset, 0.0, c)
        pre = xs[t] @ p["w_x"] + p["b"] + h_in @ p["w_h"]
        pre_i, pre_f, pre_g, pre_o = np.split(pre, 4, axis=-1)
        i, f, g, o = sigmoid(pre_i), sigmoid(pre_f), np.tanh(pre_g), sigmoid(pre_o)
        c_new = f * c_in + i * g
        h_new = o * np.tanh(c_new)
        ys[t] = np.where(alive, h_new, 0.0)
        h = np.where(alive, h_new, h)
        c = np.where(alive, c_new, c)
        tape.append((alive, reset, h_in, c_in, i, f, g, o, c_new))
    return h, c, ys, tape


def lstm_backward(params, xs, h0, c0, d_ys, d_final, *, lengths=None, resets=None):
    """Backpropagation through time for :func:`lstm_forward`.

    ``d_final`` is {"h", "c"}; ``d_initial`` is {"h", "c"}.
    """
    p = _f64_dict(params)
    xs, d_ys = _f64(xs), _f64(d_ys)
    _, _, _, tape = _lstm_run(params, xs, h0, c0, lengths, resets)
    grads = {name: np.zeros_like(p[name]) for name in ("w_x", "w_h", "b")}
    d_xs = np.zeros_like(xs)
    dh, dc = _f64(d_final["h"]), _f64(d_final["c"])
    for t in reversed(range(len(tape))):
        alive, reset, h_in, c_in, i, f, g, o, c_new = tape[t]
        dh_kept = np.where(alive, 0.0, dh)
        dc_kept = np.where(alive, 0.0, dc)
        dh_new = np.where(alive, dh + d_ys[t], 0.0)
        dc_new = np.where(alive, dc, 0.0)

        # h_new = o * tanh(c_new)
        squashed = np.tanh(c_new)
        d_o = dh_new * squashed
        dc_new = dc_new + dh_new * o * (1.0 - squashed**2)
        # c_new = f * c_in + i * g
        d_i = dc_new * g
        d_f = dc_new * c_in
        d_g = dc_new * i
        dc_in = dc_new * f
        # through the logistic and tanh of the gates
        d_pre = np.concatenate(
            [
                d_i * i * (1.0 - i),
                d_f * f * (1.0 - f),
                d_g * (1.0 - g**2),
                d_o * o * (1.0 - o),
            ],
            axis=-1,
        )

        grads["w_x"] += xs[t].T @ d_pre
        grads["w_h"] += h_in.T @ d_pre
        grads["b"] += d_pre.sum(axis=0)
        d_xs[t] = d_pre @ p["w_x"].T
        dh = dh_kept + np.where(reset, 0.0, d_pre @ p["w_h"].T)
        dc = dc_kept + np.where(reset, 0.0, dc_in)
    return grads, d_xs, {"h": dh, "c": dc}


# ---------------------------------------------------------------------------------------------
# Gated recurrent unit


def gru_forward(params, xs, h0, *, reset_after, lengths=None, resets=None):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078v3, equations 5 to 8).

    With r the reset gate and z the update gate, h_t = z * h_{t-1} + (1 - z) * n, where

    reset_after=False (the paper): n = tanh(x w_c + b_c + (r * h_{t-1}) u_c);
    reset_after=True (as PyTorch and cuDNN): n = tanh(x w_c + b_c + r * (h_{t-1} u_c + b_h)),
    with the extra parameter ``b_h [H]``.

    Packed axis: ("reset", "update", "candidate"). Final state: {"h"}.
    """
    h, ys, _ = _gru_run(params, xs, h0, reset_after, lengths, resets)
    return {"h": h}, ys


def _gru_run(params, xs, h0, reset_after, lengths, resets):
    p = _f64_dict(params)
    xs, h = _f64(xs), _f64(h0)
    steps, batch, _ = xs.shape
    u_r, u_z, u_c = np.split(p["w_h"], 3, axis=-1)
    ys = np.zeros((steps, batch, h.shape[-1]))
    tape = []
    for t in range(steps):
        alive = _alive(lengths, t, batch)
        reset = _reset(resets, t, batch)
        h_in = np.where(reset, 0.0, h)
        x_r, x_z, x_c = np.split(xs[t] @ p["w_x"] + p["b"], 3, axis=-1)
        r = sigmoid(x_r + h_in @ u_r)
        z = sigmoid(x_z + h_in @ u_z)
        if reset_after:
            n = np.tanh(x_c + r * (h_in @ u_c + p["b_h"]))
        else:
            n = np.tanh(x_c + (r * h_in) @ u_c)
        h_new = z * h_in + (1.0 - z) * n
        ys[t] = np.where(alive, h_new, 0.0)
        h = np.where(alive, h_new, h)
        tape.append((alive, reset, h_in, r, z, n))
    return h, ys, tape


def gru_backward(params, xs, h0, d_ys, d_final, *, reset_after, lengths=None, resets=None):
    """Backpropagation through time for :func:`gru_forward`.

    ``d_final`` is {"h"}; ``d_initial`` is {"h"}. ``d_params`` has "b_h" if ``reset_after``.
    """
    p = _f64_dict(params)
    xs, d_ys = _f64(xs), _f64(d_ys)
    _, _, tape = _gru_run(params, xs, h0, reset_after, lengths, resets)
    u_r, u_z, u_c = np.split(p["w_h"], 3, axis=-1)
    names = ("w_x", "w_h", "b", "b_h") if reset_after else ("w_x", "w_h", "b")
    grads = {name: np.zeros_like(p[name]) for name in names}
    d_xs = np.zeros_like(xs)
    dh = _f64(d_final["h"])
    for t in reversed(range(len(tape))):
        alive, reset, h_in, r, z, n = tape[t]
        dh_kept = np.where(alive, 0.0, dh)
        dh_new = np.where(alive, dh + d_ys[t], 0.0)

        # h_new = z * h_in + (1 - z) * n
        d_z = dh_new * (h_in - n)
        d_n = dh_new * (1.0 - z)
        dh_in = dh_new * z
        # the candidate
        d_pre_n = d_n * (1.0 - n**2)
        if reset_after:
            recurrent = h_in @ u_c + p["b_h"]
            d_r = d_pre_n * recurrent
            d_recurrent = d_pre_n * r
            grads["b_h"] += d_recurrent.sum(axis=0)
            d_u_c = h_in.T @ d_recurrent
            dh_in = dh_in + d_recurrent @ u_c.T
        else:
            gated = r * h_in
            d_gated = d_pre_n @ u_c.T
            d_r = d_gated * h_in
            d_u_c = gated.T @ d_pre_n
            dh_in = dh_in + d_gated * r
        # the two gates
        d_pre_r = d_r * r * (1.0 - r)
        d_pre_z = d_z * z * (1.0 - z)
        d_u_r = h_in.T @ d_pre_r
        d_u_z = h_in.T @ d_pre_z
        dh_in = dh_in + d_pre_r @ u_r.T + d_pre_z @ u_z.T

        d_pre_x = np.concatenate([d_pre_r, d_pre_z, d_pre_n], axis=-1)
        grads["w_x"] += xs[t].T @ d_pre_x
        grads["w_h"] += np.concatenate([d_u_r, d_u_z, d_u_c], axis=-1)
        grads["b"] += d_pre_x.sum(axis=0)
        d_xs[t] = d_pre_x @ p["w_x"].T
        dh = dh_kept + np.where(reset, 0.0, dh_in)
    return grads, d_xs, {"h": dh}


# ---------------------------------------------------------------------------------------------
# LSTM variants


def lstm_variant(
    params,
    xs,
    h0,
    c0,
    *,
    peephole=False,
    coupled=False,
    input_gate=True,
    forget_gate=True,
    output_gate=True,
    cell_activation="tanh",
    output_activation="tanh",
    full_gate_recurrence=False,
):
    """The variants of Greff et al. 2015, "LSTM: A Search Space Odyssey" (arXiv 1503.04069).

    The paper's vanilla LSTM is ``peephole=True`` with everything else at its default; its
    variants are NP (peephole=False), NIG, NFG and NOG (input_gate, forget_gate or
    output_gate=False), NIAF and NOAF (cell_activation or output_activation="identity"), CIFG
    (coupled=True) and FGR (full_gate_recurrence=True).

    Packed axis: those present of ("input", "forget", "cell", "output"), in that order. An absent
    gate is the constant 1. With ``coupled`` the forget gate is absent from the axis whatever
    ``forget_gate`` says, and f = 1 - i.

    ``params["p"] [K*H]`` (with ``peephole``): weights of the present gates of ("input",
    "forget", "output"); the input and forget gates see c_{t-1}, the output gate sees c_t.

    ``params["w_g"] [K*H, K*H]`` (with ``full_gate_recurrence``): from the previous step's
    activations of the present gates (rows) to the same gates (columns), both in the order
    ("input", "forget", "output"). The previous activations start at zero.

    Final state: {"h", "c"}, and with ``full_gate_recurrence`` also "gates" [B, K*H].
    """
    if coupled and not input_gate:
        raise ValueError("the coupled forget gate needs an input gate")
    gates = []
    if input_gate:
        gates.append("input")
    if forget_gate and not coupled:
        gates.append("forget")
    if output_gate:
        gates.append("output")
    packed = [name for name in ("input", "forget", "cell", "output") if name in [*gates, "cell"]]

    p = _f64_dict(params)
    xs, h, c = _f64(xs), _f64(h0), _f64(c0)
    steps, batch, _ = xs.shape
    hidden = h.shape[-1]

    peep = {name: np.zeros(hidden) for name in ("input", "forget", "output")}
    if peephole:
        for k, name in enumerate(gates):
            peep[name] = p["p"][k * hidden : (k + 1) * hidden]
    previous = {name: np.zeros((batch, hidden)) for name in gates}

    ys = np.zeros((steps, batch, hidden))
    for t in range(steps):
        pre_all = xs[t] @ p["w_x"] + p["b"] + h @ p["w_h"]
        pre = {}
        for k, name in enumerate(packed):
            pre[name] = pre_all[:, k * hidden : (k + 1) * hidden]
        if full_gate_recurrence:
            for col, target in enumerate(gates):
                for row, source in enumerate(gates):
                    block = p["w_g"][
                        row * hidden : (row + 1) * hidden, col * hidden : (col + 1) * hidden
                    ]
                    pre[target] = pre[target] + previous[source] @ block

        now = {}
        i = f = o = np.ones((batch, hidden))
        if input_gate:
            i = now["input"] = sigmoid(pre["input"] + peep["input"] * c)
        if coupled:
            f = 1.0 - i
        elif forget_gate:
            f = now["forget"] = sigmoid(pre["forget"] + peep["forget"] * c)
        g = _activate(cell_activation, pre["cell"])
        c = f * c + i * g
        if output_gate:
            o = now["output"] = sigmoid(pre["output"] + peep["output"] * c)
        h = o * _activate(output_activation, c)
        previous = now
        ys[t] = h

    final = {"h": h, "c": c}
    if full_gate_recurrence:
        empty = np.zeros((batch, 0))
        final["gates"] = np.concatenate([empty, *(previous[name] for name in gates)], axis=-1)
    return final, ys


def lstm_projected(params, xs, h0, c0):
    """LSTM with a recurrent projection (Sak, Senior and Beaufays 2014, arXiv 1402.1128).

    m_t = o * tanh(c_t) and h_t = m_t w_p, which is both the output and what the gates see at the
    next step. ``w_p [H, P]``, ``w_h [P, 4H]``, ``h0 [B, P]``, ``c0 [B, H]``, ``ys [T, B, P]``.
    The paper's peepholes and its non-recurrent projection are left out.
    Packed axis: ("input", "forget", "cell", "output"). Final state: {"h", "c"}.
    """
    p = _f64_dict(params)
    xs, h, c = _f64(xs), _f64(h0), _f64(c0)
    steps, batch, _ = xs.shape
    ys = np.zeros((steps, batch, h.shape[-1]))
    for t in range(steps):
        pre = xs[t] @ p["w_x"] + p["b"] + h @ p["w_h"]
        pre_i, pre_f, pre_g, pre_o = np.split(pre, 4, axis=-1)
        c = sigmoid(pre_f) * c + sigmoid(pre_i) * np.tanh(pre_g)
        m = sigmoid(pre_o) * np.tanh(c)
        h = m @ p["w_p"]
        ys[t] = h
    return {"h": h, "c": c}, ys


# ---------------------------------------------------------------------------------------------
# Layer normalization


def layer_norm(a):
    """Normalize the last axis to mean 0 and variance 1 (Ba, Kiros and Hinton 2016).

    The variance is the biased one (divided by the size of the axis) and the epsilon is inside
    the root. Gain and bias are left to the caller.
    """
    mean = a.mean(axis=-1, keepdims=True)
    variance = ((a - mean) ** 2).mean(axis=-1, keepdims=True)
    return (a - mean) / np.sqrt(variance + LAYER_NORM_EPSILON)


def lstm_layer_norm(params, xs, h0, c0):
    """Layer-normalized LSTM (Ba et al. 2016, arXiv 1607.06450, supplement, eqs. 20 to 22).

    gates = LN(h w_h) * scale_h + LN(x w_x) * scale_x + b, normalized over the whole packed 4H
    axis; c_t = f * c_{t-1} + i * g; h_t = o * tanh(LN(c_t) * scale_c + bias_c). The state c is
    carried without normalization. The two biases of eq. 20's normalizations add up with b.
    ``scale_h [4H]``, ``scale_x [4H]``, ``scale_c [H]``, ``bias_c [H]``.
    Packed axis: ("input", "forget", "cell", "output"). Final state: {"h", "c"}.
    """
    p = _f64_dict(params)
    xs, h, c = _f64(xs), _f64(h0), _f64(c0)
    steps, batch, _ = xs.shape
    ys = np.zeros((steps, batch, h.shape[-1]))
    for t in range(steps):
        from_h = layer_norm(h @ p["w_h"]) * p["scale_h"]
        from_x = layer_norm(xs[t] @ p["w_x"]) * p["scale_x"]
        pre_i, pre_f, pre_g, pre_o = np.split(from_h + from_x + p["b"], 4, axis=-1)
        c = sigmoid(pre_f) * c + sigmoid(pre_i) * np.tanh(pre_g)
        h = sigmoid(pre_o) * np.tanh(layer_norm(c) * p["scale_c"] + p["bias_c"])
        ys[t] = h
    return {"h": h, "c": c}, ys


def gru_layer_norm(params, xs, h0):
    """Layer-normalized GRU, reset after the product (after Ba et al. 2016, supplement).

    x w_x and h w_h are normalized apart, and each of them over its (reset, update) 2H part and
    over its candidate H part apart. With s_x and s_h the matching parts of ``scale_x [3H]`` and
    ``scale_h [3H]``:

    (r, z) = sigmoid(LN(x)_g * s_x + LN(h)_g * s_h + b_g),
    n = tanh(LN(x)_c * s_x + b_c + r * (LN(h)_c * s_h + b_h)),
    h_t = z * h_{t-1} + (1 - z) * n.

    The paper writes the last line with z and 1 - z exchanged and has no ``b`` or ``b_h [H]``.
    Packed axis: ("reset", "update", "candidate"). Final state: {"h"}.
    """
    p = _f64_dict(params)
    xs, h = _f64(xs), _f64(h0)
    steps, batch, _ = xs.shape
    hidden = h.shape[-1]
    two = 2 * hidden
    ys = np.zeros((steps, batch, hidden))
    for t in range(steps):
        from_x = xs[t] @ p["w_x"]
        from_h = h @ p["w_h"]
        gates_x = layer_norm(from_x[:, :two]) * p["scale_x"][:two]
        gates_h = layer_norm(from_h[:, :two]) * p["scale_h"][:two]
        cand_x = layer_norm(from_x[:, two:]) * p["scale_x"][two:]
        cand_h = layer_norm(from_h[:, two:]) * p["scale_h"][two:]
        gates = sigmoid(gates_x + gates_h + p["b"][:two])
        r, z = gates[:, :hidden], gates[:, hidden:]
        n = np.tanh(cand_x + p["b"][two:] + r * (cand_h + p["b_h"]))
        h = z * h + (1.0 - z) * n
        ys[t] = h
    return {"h": h}, ys


# ---------------------------------------------------------------------------------------------
# Other cells


def mgu(params, xs, h0):
    """Minimal gated unit (Zhou, Wu, Zhang and Zhou 2016, arXiv 1603.09420).

    f = sigmoid(x w_f + h u_f + b_f); n = tanh(x w_c + (f * h) u_c + b_c);
    h_t = (1 - f) * h_{t-1} + f * n.
    Packed axis: ("forget", "candidate"). Final state: {"h"}.
    """
    p = _f64_dict(params)
    xs, h = _f64(xs), _f64(h0)
    steps, batch, _ = xs.shape
    w_f, w_c = np.split(p["w_x"], 2, axis=-1)
    u_f, u_c = np.split(p["w_h"], 2, axis=-1)
    b_f, b_c = np.split(p["b"], 2, axis=-1)
    ys = np.zeros((steps, batch, h.shape[-1]))
    for t in range(steps):
        f = sigmoid(xs[t] @ w_f + h @ u_f + b_f)
        n = np.tanh(xs[t] @ w_c + (f * h) @ u_c + b_c)
        h = (1.0 - f) * h + f * n
        ys[t] = h
    return {"h": h}, ys


def lstm_1997(params, xs, *, blocks, block_size, output_gate=True, g_range=2, h_range=1):
    """The LSTM of 1997 (Hochreiter and Schmidhuber, Neural Computation 9(8)).

    No forget gate, no peepholes: ``blocks`` memory blocks of ``block_size`` cells, where the
    cells of a block share one input gate and one output gate. Every unit sees the previous
    step's activations of all units, the gates' own included, as in the paper's fully connected
    hidden layer.

    Packed axis: the units ("input": one a block, "output": one a block, absent without
    ``output_gate``, "cell": blocks * block_size, block after block). With u of them,
    ``w_x [D, u]``, ``w_h [u, u]`` (rows in the same order: input-gate activations, output-gate
    activations, cell outputs), ``b [u]``. Activations and internal states start at zero.

    s_t = s_{t-1} + in * g(net_c), g(x) = 4 logistic(x) - 2, or of another range;
    y_t = out * h(s_t), h(x) = 2 logistic(x) - 1, likewise; out = 1 without ``output_gate``.

    ``ys [T, B, blocks * block_size]`` are the cell outputs. Final state: "s", the internal
    states [B, blocks * block_size], and "y", the activations of all units [B, u].
    """
    p = _f64_dict(params)
    xs = _f64(xs)
    steps, batch, _ = xs.shape
    cells = blocks * block_size
    first_cell = 2 * blocks if output_gate else blocks
    units = first_cell + cells
    if p["w_h"].shape != (units, units):
        raise ValueError(f"w_h is {p['w_h'].shape}, expected {(units, units)}")

    activations = np.zeros((batch, units))
    s = np.zeros((batch, cells))
    ys = np.zeros((steps, batch, cells))
    for t in range(steps):
        net = xs[t] @ p["w_x"] + activations @ p["w_h"] + p["b"]
        activations = np.zeros((batch, units))
        for j in range(blocks):
            in_gate = sigmoid(net[:, j])
            activations[:, j] = in_gate
            out_gate = np.ones(batch)
            if output_gate:
                out_gate = sigmoid(net[:, blocks + j])
                activations[:, blocks + j] = out_gate
            for v in range(j * block_size, (j + 1) * block_size):
                g = g_range * (2.0 * sigmoid(net[:, first_cell + v]) - 1.0)
                s[:, v] = s[:, v] + in_gate * g
                squashed = h_range * (2.0 * sigmoid(s[:, v]) - 1.0)
                activations[:, first_cell + v] = out_gate * squashed
        ys[t] = activations[:, first_cell:]
    return {"s": s, "y": activations}, ys


# ---------------------------------------------------------------------------------------------
# Cells that are linear in their state


def min_gru(params, xs, h0):
    """minGRU (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, arXiv 2410.01201, section 3.1).

    z = sigmoid(Linear(x)); h~ = Linear(x); h_t = (1 - z) * h_{t-1} + z * h~.
    Packed axis: ("update", "candidate"). Final state: {"h"}.
    """
    p = _f64_dict(params)
    xs, h = _f64(xs), _f64(h0)
    ys = np.zeros((*xs.shape[:2], h.shape[-1]))
    for t in range(len(xs)):
        pre_z, candidate = np.split(xs[t] @ p["w_x"] + p["b"], 2, axis=-1)
        z = sigmoid(pre_z)
        h = (1.0 - z) * h + z * candidate
        ys[t] = h
    return {"h": h}, ys


def min_lstm(params, xs, h0):
    """minLSTM (the same paper, section 3.2).

    f, i = sigmoid(Linear(x)); f' = f / (f + i), i' = i / (f + i); h_t = f' * h_{t-1} + i' * h~.
    Packed axis: ("input", "forget", "candidate"). Final state: {"h"}.
    """
    p = _f64_dict(params)
    xs, h = _f64(xs), _f64(h0)
    ys = np.zeros((*xs.shape[:2], h.shape[-1]))
    for t in range(len(xs)):
        pre_i, pre_f, candidate = np.split(xs[t] @ p["w_x"] + p["b"], 3, axis=-1)
        i, f = sigmoid(pre_i), sigmoid(pre_f)
        h = f / (f + i) * h + i / (f + i) * candidate
        ys[t] = h
    return {"h": h}, ys


def _log_positive(x):
    """log g(x), with g(x) = x + 0.5 where x >= 0 and sigmoid(x) elsewhere (appendix B)."""
    return np.where(x >= 0.0, np.log(np.maximum(x, 0.0) + 0.5), -np.logaddexp(0.0, -x))


def _scan_log(log_a, log_b, h0):
    """The paper's parallel scan in log space (appendix B); ``h0`` and all values positive."""
    a_star = np.concatenate([np.zeros_like(h0)[None], np.cumsum(log_a, axis=0)])
    log_values = np.concatenate([np.log(h0)[None], log_b])
    ys = np.exp(a_star + np.logaddexp.accumulate(log_values - a_star, axis=0))[1:]
    return {"h": ys[-1]}, ys


def min_gru_log(params, xs, h0):
    """minGRU in log space, with the positive candidate (the same paper, appendix B)."""
    p = _f64_dict(params)
    k, candidate = np.split(_f64(xs) @ p["w_x"] + p["b"], 2, axis=-1)
    log_z, log_one_minus_z = -np.logaddexp(0.0, -k), -np.logaddexp(0.0, k)
    return _scan_log(log_one_minus_z, log_z + _log_positive(candidate), _f64(h0))


def min_lstm_log(params, xs, h0):
    """minLSTM in log space, with the positive candidate (the same paper, appendix B)."""
    p = _f64_dict(params)
    pre_i, pre_f, candidate = np.split(_f64(xs) @ p["w_x"] + p["b"], 3, axis=-1)
    difference = np.logaddexp(0.0, -pre_f) - np.logaddexp(0.0, -pre_i)
    log_f, log_i = -np.logaddexp(0.0, difference), -np.logaddexp(0.0, -difference)
    return _scan_log(log_f, log_i + _log_positive(candidate), _f64(h0))


def lru(params, xs, real0, imag0):
    """Linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349, equations 2 and 3).

    Not step by step, but as the sum that its steps unroll to:
    h_t = Lambda^(t+1) h_0 + sum_k Lambda^(t-k) gamma B x_k; y_t = Re(C h_t) + D x_t,
    with Lambda = diag(exp(-exp(nu_log) + i exp(theta_log))).
    ``w_x`` holds the columns Re B, Im B; ``w_y`` the rows Re C, -Im C; ``w_skip`` is D.
    Final state: {"real", "imag"}.
    """
    p = _f64_dict(params)
    xs = _f64(xs)
    steps = len(xs)
    nu, theta, gamma = (np.exp(p[name]) for name in ("nu_log", "theta_log", "gamma_log"))
    eigenvalues = np.exp(-nu) * (np.cos(theta) + 1j * np.sin(theta))
    b_re, b_im = np.split(p["w_x"], 2, axis=-1)
    c_re, minus_c_im = np.split(p["w_y"], 2, axis=0)
    driven = gamma * (xs @ (b_re + 1j * b_im))
    hs = np.zeros((steps, *real0.shape), complex)
    for t in range(steps):
        hs[t] = eigenvalues ** (t + 1) * (_f64(real0) + 1j * _f64(imag0))
        for k in range(t + 1):
            hs[t] += eigenvalues ** (t - k) * driven[k]
    ys = (hs @ (c_re - 1j * minus_c_im)).real + xs @ p["w_skip"]
    return {"real": hs[-1].real, "imag": hs[-1].imag}, ys
