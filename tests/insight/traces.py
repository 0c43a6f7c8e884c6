"""Small traces for the tests of the explorer, made without a cell."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np


class State(NamedTuple):
    h: np.ndarray
    c: np.ndarray


def fake(steps=12, size=5, batch=(), *, seed=0, lengths=None, resets=None, reverse=False):
    """An LSTM's trace of smooth random numbers."""
    rng = np.random.default_rng(seed)
    shape = (steps, *batch, size)

    def smooth():
        walk = rng.normal(size=shape)
        for t in range(1, steps):
            walk[t] = 0.8 * walk[t - 1] + 0.6 * walk[t]
        return walk

    mask = np.ones((steps, *batch), bool)
    if lengths is not None:
        mask = np.arange(steps).reshape(-1, *[1] * len(batch)) < np.asarray(lengths)
    sigmoid = lambda x: 1 / (1 + np.exp(-2 * x))  # noqa: E731
    valid = mask[..., None]
    gates = {g: sigmoid(smooth()) * valid for g in ("input", "forget", "output")}
    gates["cell"] = np.tanh(smooth()) * valid
    c = smooth()
    h = gates["output"] * np.tanh(c) * valid
    start = State(np.full(shape[1:], 0.25), np.full(shape[1:], -0.25))
    zero = State(np.zeros(shape[1:]), np.zeros(shape[1:]))
    return SimpleNamespace(
        outputs=h, states=State(h, c), gates=gates, attention=None, parts={}, mask=mask,
        resets=resets, start=start, initial=zero, reverse=reverse,
        previous=before(State(h, c), start, zero, mask, resets, reverse),
    )  # fmt: skip


def before(states, start, initial, mask, resets, reverse):
    steps = len(mask)
    order = range(steps - 1, -1, -1) if reverse else range(steps)
    made = [np.zeros_like(leaf) for leaf in states]
    for leaf, values, first, zero in zip(made, states, start, initial, strict=True):
        last = np.array(first)
        for t in order:
            if resets is not None:
                last = np.where(resets[t][..., None], zero, last)
            leaf[t] = last
            last = np.where(mask[t][..., None], values[t], last)
    return State(*made)
