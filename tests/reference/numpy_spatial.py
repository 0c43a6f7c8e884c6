"""Convolutional and multi-dimensional cells in plain NumPy float64, written from the papers.

As in ``numpy_cells``, each function is a literal loop that shares no code with the library. Images
are ``[*places, channels]``: the last axis holds the channels, the ones before it the places.
"""

import itertools

import numpy as np

from tests.reference.numpy_cells import LAYER_NORM_EPSILON, sigmoid


def convolve(image, w, *, stride=None, dilation=None, padding="same"):
    """``image [*S, D]`` and ``w [*K, D, N]`` to ``[*S', N]``: at each place the sum over a kernel.

    With padding "same" there are ceil(S / stride) places, and zeros around the image, on both sides
    alike; if their number is odd, one more after the image. With "valid" the kernel stays inside.
    The kernel is not flipped.
    """
    image, w = np.asarray(image, np.float64), np.asarray(w, np.float64)
    axes = image.ndim - 1
    stride, dilation = stride or (1,) * axes, dilation or (1,) * axes
    counts, before = [], []
    for n, k, s, d in zip(image.shape, w.shape, stride, dilation, strict=False):
        reach = (k - 1) * d + 1
        if padding == "same":
            count = -(-n // s)
            before.append(max((count - 1) * s + reach - n, 0) // 2)
        else:
            count = (n - reach) // s + 1
            before.append(0)
        counts.append(count)
    out = np.zeros((*counts, w.shape[-1]))
    for place in itertools.product(*map(range, counts)):
        for offset in itertools.product(*map(range, w.shape[:axes])):
            at = [
                p * s - b + o * d
                for p, s, b, o, d in zip(place, stride, before, offset, dilation, strict=True)
            ]
            if all(0 <= a < n for a, n in zip(at, image.shape, strict=False)):
                out[place] += image[tuple(at)] @ w[offset]
    return out


def _over_rows(step, xs, state, lengths, resets):
    """Runs ``step(state, x) -> (state, y)`` row by row: states ``{name: [B, ...]}``, outputs."""
    steps, batch = xs.shape[:2]
    final = {name: np.array(leaf, np.float64) for name, leaf in state.items()}
    rows = []
    for b in range(batch):
        now, ys = {name: leaf[b].copy() for name, leaf in final.items()}, []
        for t in range(steps):
            if resets is not None and resets[t, b]:
                reset = {name: np.zeros_like(leaf) for name, leaf in now.items()}
            else:
                reset = now
            new, y = step(reset, np.asarray(xs[t, b], np.float64))
            alive = lengths is None or t < lengths[b]
            now = new if alive else now
            ys.append(y if alive else np.zeros_like(y))
        rows.append(np.stack(ys))
        for name, leaf in now.items():
            final[name][b] = leaf
    return final, np.stack(rows, axis=1)


def _standardize(values):
    mean = values.mean(-1, keepdims=True)
    variance = ((values - mean) ** 2).mean(-1, keepdims=True)
    return (values - mean) / np.sqrt(variance + LAYER_NORM_EPSILON)


def conv_lstm(params, xs, h, c, *, norm=False, lengths=None, resets=None, **options):
    """Shi et al. 2015, equation 3. Packed axis: (input, forget, cell, output).

    Peepholes ``p [*places, 3H]``, if there are any, are Hadamard products with the cell state: the
    last one before the input and the forget gate, the new one before the output gate. ``norm`` is
    layer normalisation as in Ba et al. 2016, over the channels of each place. ``options`` are those
    of the input's convolution.
    """
    p = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}

    def step(state, x):
        z, r = convolve(x, p["w_x"], **options), convolve(state["h"], p["w_h"])
        if norm:
            z, r = _standardize(z) * p["scale_x"], _standardize(r) * p["scale_h"]
        a_i, a_f, a_g, a_o = np.split(z + r + p["b"], 4, axis=-1)
        if "p" in p:
            p_i, p_f, p_o = np.split(p["p"], 3, axis=-1)
            a_i, a_f = a_i + p_i * state["c"], a_f + p_f * state["c"]
        c = sigmoid(a_f) * state["c"] + sigmoid(a_i) * np.tanh(a_g)
        if "p" in p:
            a_o = a_o + p_o * c
        shown = _standardize(c) * p["scale_c"] + p["bias_c"] if norm else c
        h = sigmoid(a_o) * np.tanh(shown)
        return {"h": h, "c": c}, h

    return _over_rows(step, xs, {"h": h, "c": c}, lengths, resets)


def conv_gru(params, xs, h, *, reset_after=True, norm=False, lengths=None, resets=None, **options):
    """Packed axis: (reset, update, candidate).

    ``reset_after``: Shi et al. 2017, equation 1, where the reset gate multiplies the convolution of
    h. Otherwise Ballas et al. 2016, equations 8 to 11, where it multiplies h.
    """
    p = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    size = p["w_h"].shape[-2]
    gates, rest = slice(0, 2 * size), slice(2 * size, None)

    def normed(values, scale):
        return _standardize(values) * scale if norm else values

    def scale(name, part):
        return p[name][part] if norm else None

    def step(state, x):
        z, h = convolve(x, p["w_x"], **options), state["h"]
        z_gates = normed(z[..., gates], scale("scale_x", gates)) + p["b"][gates]
        z_rest = normed(z[..., rest], scale("scale_x", rest)) + p["b"][rest]
        r_gates = normed(convolve(h, p["w_h"][..., gates]), scale("scale_h", gates))
        reset, update = np.split(sigmoid(z_gates + r_gates), 2, axis=-1)
        u = p["w_h"][..., rest]
        if reset_after:
            r_rest = normed(convolve(h, u), scale("scale_h", rest)) + p["b_h"]
            candidate = np.tanh(z_rest + reset * r_rest)
        else:
            r_rest = normed(convolve(reset * h, u), scale("scale_h", rest))
            candidate = np.tanh(z_rest + r_rest)
        new = (1.0 - update) * candidate + update * h
        return {"h": new}, new

    return _over_rows(step, xs, {"h": h}, lengths, resets)


def multidimensional(params, xs, h, c, *, reverse_rows=False, lengths=None, resets=None):
    """Graves, Fernandez & Schmidhuber 2007, section 3, in two dimensions, one cell per block.

    Packed axis: (input, forget, forget_left, cell, output). ``w_h`` has the weights of the place
    above, and below them those of the place before. Peepholes ``p``: input to the state above,
    input to the state before, each forget gate to its own, output to the new state.
    """
    p = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    size = len(p["w_h"]) // 2
    peeps = np.split(p["p"], 5) if "p" in p else [0.0] * 5

    def step(state, x):
        new = {name: np.zeros_like(leaf) for name, leaf in state.items()}
        h_left, c_left = np.zeros(size), np.zeros(size)
        order = range(len(x))
        for w in reversed(order) if reverse_rows else order:
            h_up, c_up = state["h"][w], state["c"][w]
            a = x[w] @ p["w_x"] + h_up @ p["w_h"][:size] + h_left @ p["w_h"][size:] + p["b"]
            a_i, a_up, a_left, a_g, a_o = np.split(a, 5)
            i = sigmoid(a_i + peeps[0] * c_up + peeps[1] * c_left)
            f_up, f_left = sigmoid(a_up + peeps[2] * c_up), sigmoid(a_left + peeps[3] * c_left)
            c_left = f_up * c_up + f_left * c_left + i * np.tanh(a_g)
            h_left = sigmoid(a_o + peeps[4] * c_left) * np.tanh(c_left)
            new["h"][w], new["c"][w] = h_left, c_left
        return new, new["h"].copy()

    return _over_rows(step, xs, {"h": h, "c": c}, lengths, resets)
