"""Attention as a recurrent cell in plain NumPy float64, written from the papers.

Slow and literal: a loop over steps, rows and heads, with sums over the past. It shares no code
with the library that it checks. Conventions are those of ``numpy_cells``.
"""

import numpy as np

from tests.reference.numpy_cells import sigmoid


def softmax(scores):
    powers = np.exp(scores - np.max(scores))
    return powers / powers.sum()


def rotate(vector, position):
    """Su et al. 2021, eq. 34, with unit i and unit i + d/2 as one complex number."""
    half = len(vector) // 2
    angles = position * 10000.0 ** (-np.arange(half) / max(half, 1))
    plane = (vector[:half] + 1j * vector[half : 2 * half]) * np.exp(1j * angles)
    return np.concatenate([plane.real, plane.imag, vector[2 * half :]])


def attention(params, xs, heads, window, positions="rotary"):
    """Vaswani et al. 2017, section 3.2.2, over the last ``window`` steps: ``ys [T, B, H]``."""
    steps, rows, _ = xs.shape
    size = params["w_y"].shape[0]
    width = size // heads
    ys = np.zeros((steps, rows, size))
    for b in range(rows):
        q, k, v = np.split(xs[:, b] @ params["w_x"] + params["b"], 3, axis=-1)
        for t in range(steps):
            seen = range(max(0, t - window + 1), t + 1)
            summary = []
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                scores = []
                for s in seen:
                    query, key = q[t, part], k[s, part]
                    if positions == "rotary":
                        query, key = rotate(query, t), rotate(key, s)
                    score = query @ key / np.sqrt(width)
                    if positions == "learned":
                        score += params["distance"][head, t - s]
                    scores.append(score)
                weights = softmax(np.array(scores))
                summary.append(sum(w * v[s, part] for w, s in zip(weights, seen, strict=True)))
            ys[t, b] = np.concatenate(summary) @ params["w_y"] + params["b_y"]
    return ys


def lstmn(params, xs, window):
    """Cheng et al. 2016, section 3.1, for gates in the order input, forget, cell, output."""
    steps, rows, _ = xs.shape
    size = params["w_h"].shape[0]
    ys = np.zeros((steps, rows, size))
    for b in range(rows):
        hs, cs, summary = [], [], np.zeros(size)
        for t in range(steps):
            x, memory = xs[t, b], np.zeros(size)
            if hs:
                query = x @ params["w_ax"] + summary @ params["w_as"]
                scores = [np.tanh(h @ params["w_ah"] + query) @ params["w_a"] for h in hs]
                weights = softmax(np.array(scores))
                summary = sum(w * h for w, h in zip(weights, hs, strict=True))
                memory = sum(w * c for w, c in zip(weights, cs, strict=True))
            packed = x @ params["w_x"] + summary @ params["w_h"] + params["b"]
            i, f, g, o = np.split(packed, 4)
            cs.append(sigmoid(f) * memory + sigmoid(i) * np.tanh(g))
            hs.append(sigmoid(o) * np.tanh(cs[-1]))
            hs, cs = hs[-window:], cs[-window:]
            ys[t, b] = hs[-1]
    return ys
