"""An encoder-decoder in plain NumPy float64, written from the papers: one row, no padding.

A GRU or LSTM reads the source; the decoder, a GRU or LSTM, starts from a learned tanh of its
last state (Bahdanau et al. 2015, appendix A.2.2), reads the embedding of the last token beside
the last attentional vector, and attends additively with its new output (Luong et al. 2015,
sections 3 and 3.3). Returns the probabilities ``[T, V]`` of each step and the weights ``[T, S]``.
"""

import numpy as np

from tests.reference.numpy_attend import additive, context_of, softmax
from tests.reference.numpy_cells import gru_forward, lstm_forward, sigmoid


def cell_step(params, state, x):
    """One step of a GRU, state (h,), or an LSTM, state (h, c), by its sequence function."""
    rows = [part[None] for part in state]
    if len(state) == 1:
        final, ys = gru_forward(params, x[None, None], *rows, reset_after=True)
        return (final["h"][0],), ys[0, 0]
    final, ys = lstm_forward(params, x[None, None], *rows)
    return (final["h"][0], final["c"][0]), ys[0, 0]


def encode(params, embedded):
    """The memory ``[S, M]``, and the last state, flat."""
    size = params["encoder"]["w_h"].shape[0]
    state, memory = (np.zeros(size),), []
    for x in embedded:
        state, y = cell_step(params["encoder"], state, x)
        memory.append(y)
    return np.array(memory), np.concatenate(state)


def run(params, source, fed, *, output, decoder="lstm", shared=False, extra=0, unknown=None):
    """fed: the tokens ``[T]`` that the decoder reads, the start token first; for a pointer the
    places, with None for the start."""
    source_table = params["embedding" if shared else "source_embedding"]
    vocabulary = len(source_table) if output == "copy" else None

    def known(token):
        return unknown if vocabulary is not None and token >= vocabulary else token

    embedded = np.array([source_table[known(token)] for token in source])
    memory, last = encode(params, embedded)
    cell = params["decoder"]
    h = cell["cell"]["w_h"].shape[0]
    flat = np.tanh(last @ params["bridge"]["w"] + params["bridge"]["b"])
    state = tuple(np.split(flat, 2)) if decoder == "lstm" else (flat,)
    vector = np.zeros(cell["w_c"].shape[1])
    everywhere = np.ones(len(source), bool)
    probabilities, alignments = [], []
    for token in fed:
        if output == "pointer":
            x = params["start"] if token is None else embedded[token]
        else:
            x = params["embedding" if shared else "target_embedding"][known(token)]
        state, y = cell_step(cell["cell"], state, np.concatenate([x, vector]))
        assert len(y) == h
        weights = softmax(additive(cell["attention"], memory, y, []), everywhere)
        context = context_of(weights, memory)
        vector = np.tanh(np.concatenate([context, y]) @ cell["w_c"])
        alignments.append(weights)
        if output == "pointer":  # Vinyals et al. 2015, section 2.3
            probabilities.append(weights)
            continue
        logits = vector @ params["readout"]["w"] + params["readout"]["b"]
        made = softmax(logits, np.ones(len(logits), bool))
        if output == "copy":  # See et al. 2017, equations 8 and 9
            joined = np.concatenate([context, vector, x])
            p = sigmoid(joined @ params["gate"]["w"][:, 0] + params["gate"]["b"][0])
            mixed = np.zeros(len(made) + extra)
            mixed[: len(made)] = p * made
            for place, word in enumerate(source):
                mixed[word] += (1 - p) * weights[place]
            made = mixed
        probabilities.append(made)
    return np.array(probabilities), np.array(alignments)
