"""Decoding in plain NumPy float64: a small model, every sequence it can make, and a plain beam.

The model is an Elman network over tokens that attends to S places: ``h = tanh(embed[token] +
h u)``, logits ``h w``, weights ``softmax(h a)``. A hypothesis is the tuple ``(tokens, logp,
ended, weights [length, S])``. One row at a time, hypotheses as Python lists, no early stopping.
"""

import numpy as np


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    top = x.max(axis=-1, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(axis=-1, keepdims=True))


def step(params, h, token):
    h = np.tanh(params["embed"][token] + h @ params["u"])
    return h, h @ params["w"], softmax(h @ params["a"])


def greedy(params, h, start, end, max_steps):
    tokens, logp, weights = [], 0.0, []
    token = start
    while len(tokens) < max_steps and (not tokens or token != end):
        h, logits, seen = step(params, h, token)
        token = int(np.argmax(logits))
        logp += log_softmax(logits)[token]
        tokens.append(token)
        weights.append(seen)
    return tokens, logp, token == end, np.array(weights)


def every_sequence(params, h, start, end, max_steps):
    """All that end within ``max_steps``, and all that are cut off there."""
    found = []

    def grow(h, token, tokens, logp, weights):
        if len(tokens) == max_steps:
            found.append((tokens, logp, False, np.array(weights)))
            return
        h, logits, seen = step(params, h, token)
        for token, gain in enumerate(log_softmax(logits)):
            longer = [*tokens, token], logp + gain, [*weights, seen]
            if token == end:
                found.append((longer[0], longer[1], True, np.array(longer[2])))
            else:
                grow(h, token, *longer)

    grow(h, start, [], 0.0, [])
    return found


def penalised(hypothesis, alpha, beta, places):
    """Wu et al. 2016, "Google's neural machine translation system", equation 14."""
    tokens, logp, _, weights = hypothesis
    length_penalty = (5 + len(tokens)) ** alpha / (5 + 1) ** alpha
    coverage = sum(np.log(min(weights[:, i].sum(), 1.0)) for i in np.flatnonzero(places))
    return logp / length_penalty + beta * coverage


def beam(params, h, start, end, max_steps, width, alpha, beta, places):
    """Beam search that never stops early, in which the greedy hypothesis is never pruned."""
    live = [([], 0.0, h, start, [])]
    best_next = []  # the greedy path so far
    complete = []
    for _ in range(max_steps):
        candidates, greedy_child = [], None
        for tokens, logp, h, last, weights in live:
            h, logits, seen = step(params, h, last)
            for token, gain in enumerate(log_softmax(logits)):
                candidates.append(([*tokens, token], logp + gain, h, token, [*weights, seen]))
            if tokens == best_next:
                greedy_child = [*tokens, int(np.argmax(logits))]
        candidates.sort(key=lambda c: (c[0] != greedy_child, -c[1]))
        best_next = greedy_child
        complete += [
            (tokens, logp, True, np.array(weights))
            for tokens, logp, _, token, weights in candidates[:width]
            if token == end
        ]
        live = [c for c in candidates if c[3] != end][:width]
    complete += [(tokens, logp, False, np.array(w)) for tokens, logp, _, _, w in live]
    complete.sort(key=lambda c: -penalised(c, alpha, beta, places))
    return complete[:width]
