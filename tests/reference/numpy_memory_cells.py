"""IndRNN, clockwork RNN, mogrifier and Neural Turing Machine as float64 loops from their papers.

They share no code with lstm_jax. Inputs ``xs [T, B, D]``; each returns the last state and
``ys [T, B, ...]``, as the references in ``numpy_cells.py`` do.
"""

import numpy as np

from tests.reference.numpy_cells import sigmoid


def _f64(params):
    return {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}


def indrnn(params, xs, h0, *, activation="relu"):
    """Li, Li, Cook, Zhu and Gao 2018 (arXiv 1803.04831, section 3):
    h_t = act(W x_t + u * h_{t-1} + b), with a vector u."""
    p, h, ys = _f64(params), np.array(h0), []
    for x in np.array(xs):
        h = x @ p["w_x"] + p["u"] * h + p["b"]
        h = np.maximum(h, 0.0) if activation == "relu" else np.tanh(h)
        ys.append(h)
    return {"h": h}, np.stack(ys)


def clockwork(params, xs, h0, *, periods, counts):
    """Koutnik, Greff, Gomez and Schmidhuber 2014 (arXiv 1402.3511, section 3), module by module.

    ``counts`` units in the modules of the ``periods``. At time t the modules with t mod T_i = 0
    compute tanh of their inputs; these come from x_t and from all modules j with T_j >= T_i.
    """
    p, h, ys = _f64(params), np.array(h0), []
    ends = np.cumsum(counts)
    parts = [slice(end - n, end) for end, n in zip(ends, counts, strict=True)]
    for t, x in enumerate(np.array(xs)):
        new = h.copy()
        for period, own in zip(periods, parts, strict=True):
            if t % period:
                continue
            pre = x @ p["w_x"][:, own] + p["b"][own]
            for other_period, other in zip(periods, parts, strict=True):
                if other_period >= period:
                    pre = pre + h[:, other] @ p["w_h"][other, own]
            new[:, own] = np.tanh(pre)
        h = new
        ys.append(h)
    return {"h": h, "t": np.full(h.shape[0], len(ys))}, np.stack(ys)


def mogrify(matrices, x, h, rounds):
    """Melis, Kocisky and Blunsom 2020 (arXiv 1909.01792, equations 1 and 2).

    ``x^i = 2 sigmoid(Q^i h^{i-1}) x^{i-2}`` for odd i, ``h^i = 2 sigmoid(R^i x^{i-1}) h^{i-2}`` for
    even i, with x^{-1} = x and h^0 = h. ``matrices`` are Q^1, R^2, Q^3, ...
    """
    of_x, of_h = {-1: x}, {0: h}
    for i in range(1, rounds + 1):
        if i % 2:
            of_x[i] = 2.0 * sigmoid(of_h[i - 1] @ matrices[i - 1]) * of_x[i - 2]
        else:
            of_h[i] = 2.0 * sigmoid(of_x[i - 1] @ matrices[i - 1]) * of_h[i - 2]
    return of_x[max(of_x)], of_h[max(of_h)]


def mogrifier(matrices, step, xs, state, rounds):
    """A cell's reference, ``step(x, state) -> state`` with a state that starts with h, with both
    scaled before each step."""
    ys = []
    for x in np.array(xs):
        x, h = mogrify(matrices, x, state[0], rounds)
        state = step(x, (h, *state[1:]))
        ys.append(state[0])
    return state, np.stack(ys)


def _softplus(x):
    return np.logaddexp(0.0, x)


def _softmax(x):
    powers = np.exp(x - np.max(x))
    return powers / np.sum(powers)


def _address(memory, last, out, shift):
    """The weights of one head of one row (Graves, Wayne and Danihelka 2014, section 3.3)."""
    slots, width = memory.shape
    key, strength, g = np.tanh(out[:width]), _softplus(out[width]), sigmoid(out[width + 1])
    shares = _softmax(out[width + 2 : width + 3 + 2 * shift])
    exponent = 1.0 + _softplus(out[width + 3 + 2 * shift])
    similarity = np.empty(slots)  # eq. 6, with 1e-6 below the roots
    for i in range(slots):
        norms = np.sqrt(key @ key + 1e-6) * np.sqrt(memory[i] @ memory[i] + 1e-6)
        similarity[i] = key @ memory[i] / norms
    content = _softmax(strength * similarity)  # eq. 5
    gated = g * content + (1.0 - g) * last  # eq. 7
    moved = np.zeros(slots)  # eq. 8
    for i in range(slots):
        for j in range(slots):
            distance = (i - j + slots // 2) % slots - slots // 2
            if abs(distance) <= shift:
                moved[i] += gated[j] * shares[distance + shift]
    return moved**exponent / np.sum(moved**exponent)  # eq. 9


def ntm(params, xs, state, *, read_heads, write_heads, shift=1):
    """Graves, Wayne and Danihelka 2014 (arXiv 1410.5401), row by row and head by head.

    ``state`` has h, c, memory, read weights, write weights and what was read.
    """
    p = _f64(params)
    h, c, memory, reading, writing, read = (np.array(leaf) for leaf in state)
    width, ys = memory.shape[-1], []
    for x in np.array(xs):
        pre = x @ p["w_x"] + read @ p["w_r"] + h @ p["w_h"] + p["b"]
        i, f, g, o = np.split(pre, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        for row in range(len(x)):
            outs = np.split(h[row] @ p["w_write"] + p["b_write"], write_heads)
            writing[row] = [
                _address(memory[row], last, out, shift)
                for last, out in zip(writing[row], outs, strict=True)
            ]
            for w, out in zip(writing[row], outs, strict=True):  # eq. 3
                memory[row] *= 1.0 - np.outer(w, sigmoid(out[-2 * width : -width]))
            for w, out in zip(writing[row], outs, strict=True):  # eq. 4
                memory[row] += np.outer(w, np.tanh(out[-width:]))
            outs = np.split(h[row] @ p["w_read"] + p["b_read"], read_heads)
            reading[row] = [
                _address(memory[row], last, out, shift)
                for last, out in zip(reading[row], outs, strict=True)
            ]
            read[row] = (reading[row] @ memory[row]).ravel()  # eq. 2
        ys.append(np.concatenate([h, read], axis=-1))
    return (h, c, memory, reading, writing, read), np.stack(ys)
