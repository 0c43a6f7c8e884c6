"""Attention mechanisms and attentive decoders in plain NumPy float64, written from the papers.

One row at a time: a memory ``[S, M]``, a query ``[Q]``, a mask ``[S]`` of booleans. Nothing is
shared with the library.
"""

import numpy as np

from tests.reference.numpy_cells import sigmoid


def f64(tree):
    if isinstance(tree, dict):
        return {name: f64(leaf) for name, leaf in tree.items()}
    return np.asarray(tree, np.float64)


def softmax(scores, mask):
    """Over the places of the mask; zeros elsewhere, and everywhere if there are none."""
    weights = np.zeros(len(scores))
    if mask.any():
        powers = np.exp(scores[mask] - scores[mask].max())
        weights[mask] = powers / powers.sum()
    return weights


def context_of(weights, memory):
    """The sum of ``weights[s] memory[s]`` over the places with a weight."""
    context = np.zeros(memory.shape[1])
    for s in np.flatnonzero(weights):
        context += weights[s] * memory[s]
    return context


# Scores, one a mechanism: (params, memory, query, past weights a list of [S]) -> [S].


def additive(params, memory, query, past):
    """Bahdanau et al. 2015, appendix A.1.2."""
    return np.array(
        [params["v"] @ np.tanh(query @ params["w_q"] + m @ params["w_m"]) for m in memory]
    )


def coverage(params, memory, query, past):
    """See et al. 2017, eq. 10 and 11."""
    c = sum(past, np.zeros(len(memory)))
    return np.array(
        [
            params["v"]
            @ np.tanh(
                m @ params["w_m"] + query @ params["w_q"] + params["w_c"] * c[i] + params["b"]
            )
            for i, m in enumerate(memory)
        ]
    )


def location(params, memory, query, past):
    """Chorowski et al. 2015, eq. 8 and 9."""
    before = past[-1] if past else np.zeros(len(memory))
    width = len(params["filters"])
    padded = np.concatenate([np.zeros(width // 2), before, np.zeros(width // 2)])
    scores = []
    for i, m in enumerate(memory):
        f = padded[i : i + width] @ params["filters"]
        inner = query @ params["w_q"] + m @ params["w_m"] + f @ params["w_f"] + params["b"]
        scores.append(params["v"] @ np.tanh(inner))
    return np.array(scores)


def dot(params, memory, query, past):
    """Luong et al. 2015, section 3.1."""
    return np.array([query @ m for m in memory])


def general(params, memory, query, past):
    """Luong et al. 2015, section 3.1."""
    return np.array([query @ params["w"] @ m for m in memory])


def concat(params, memory, query, past):
    """Luong et al. 2015, section 3.1."""
    return np.array(
        [params["v"] @ np.tanh(np.concatenate([query, m]) @ params["w"]) for m in memory]
    )


def scaled_dot(params, memory, query, past):
    """Vaswani et al. 2017, eq. 1."""
    if not params:
        return np.array([query @ m / np.sqrt(len(m)) for m in memory])
    q, size = query @ params["w_q"], params["w_q"].shape[1]
    return np.array([q @ (m @ params["w_m"]) / np.sqrt(size) for m in memory])


def step(score, params, memory, mask, query, past):
    """``(context, weights)`` of one step."""
    weights = softmax(score(params, memory, query, past), mask)
    return context_of(weights, memory), weights


def multi_head_step(heads, params, memory, mask, query, past):
    """Vaswani et al. 2017, section 3.2.2; weights ``[heads, S]``."""
    width = params["w_q"].shape[1] // heads
    contexts, all_weights = [], []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        q = query @ params["w_q"][:, own]
        keys, values = memory @ params["w_k"][:, own], memory @ params["w_v"][:, own]
        weights = softmax(keys @ q / np.sqrt(width), mask)
        contexts.append(context_of(weights, values))
        all_weights.append(weights)
    return np.concatenate(contexts) @ params["w_o"], np.array(all_weights)


def local_monotonic_step(inner, window, params, memory, mask, query, past):
    """Luong et al. 2015, section 3.2, local-m: ``inner`` is a step like those above."""
    t = len(past)
    near = np.array([abs(s - t) <= window for s in range(len(memory))])
    return inner(params, memory, mask & near, query, past)


def local_predictive_step(score, window, params, memory, mask, query, past):
    """Luong et al. 2015, eq. 9 and 10, local-p."""
    p = mask.sum() * sigmoid(params["v_p"] @ np.tanh(query @ params["w_p"]))
    places = np.arange(len(memory))
    near = np.abs(places - p) <= window
    weights = softmax(score(params["attention"], memory, query, past), mask & near)
    weights = weights * np.exp(-((places - p) ** 2) / (2 * (window / 2) ** 2))
    return context_of(weights, memory), weights


def coverage_loss(weights):
    """See et al. 2017, eq. 12, of ``weights [T, S]``."""
    total, losses = np.zeros(weights.shape[1]), []
    for a in weights:
        losses.append(sum(min(x, y) for x, y in zip(a, total, strict=True)))
        total = total + a
    return np.array(losses)


# Decoders over one row: xs [T, D], h and c [H], memory [S, M] -> outputs and all weights.


def lstm_step(params, x, h, c):
    """Gates in the order input, forget, cell, output."""
    i, f, g, o = np.split(x @ params["w_x"] + h @ params["w_h"] + params["b"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def luong_decoder(params, xs, h, c, memory, mask, *, feeding):
    """Luong et al. 2015, eq. 5 and section 3.3, with additive scores."""
    fed, past, ys = np.zeros(params["w_c"].shape[1]), [], []
    for x in xs:
        h, c = lstm_step(params["cell"], np.concatenate([x, fed]) if feeding else x, h, c)
        context, weights = step(additive, params["attention"], memory, mask, h, past)
        y = np.tanh(np.concatenate([context, h]) @ params["w_c"])
        fed = y
        past.append(weights)
        ys.append(y)
    return np.array(ys), np.array(past), h, c


def bahdanau_decoder(params, xs, h, c, memory, mask):
    """Bahdanau et al. 2015, section 3.1: the alignment comes from the state before."""
    past, ys = [], []
    for x in xs:
        context, weights = step(additive, params["attention"], memory, mask, h, past)
        h, c = lstm_step(params["cell"], np.concatenate([x, context]), h, c)
        past.append(weights)
        ys.append(h)
    return np.array(ys), np.array(past), h, c
