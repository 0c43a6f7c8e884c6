"""Small traces for the tests of the explorer, made without a cell."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.insight.traces import Trace


class State(NamedTuple):
    h: np.ndarray
    c: np.ndarray


def fake(
    steps=12, size=5, batch=(), *, seed=0, lengths=None, resets=None, reverse=False, edit=None
):
    """An LSTM's trace of smooth random numbers. ``edit(states)`` may change them in place."""
    rng = np.random.default_rng(seed)
    shape = (steps, *batch, size)

    def smooth():
        walk = rng.normal(size=shape).astype(np.float32)
        for t in range(1, steps):
            walk[t] = 0.8 * walk[t - 1] + 0.6 * walk[t]
        return walk

    def sigmoid(x):
        return 1 / (1 + np.exp(-2 * x))

    mask = np.ones((steps, *batch), bool)
    if lengths is not None:
        mask = np.arange(steps).reshape(-1, *[1] * len(batch)) < np.asarray(lengths)
    valid = mask[..., None]
    gates = {gate: sigmoid(smooth()) * valid for gate in ("input", "forget", "output")}
    gates["cell"] = np.tanh(smooth()) * valid
    c = smooth()
    h = gates["output"] * np.tanh(c) * valid
    start = State(np.full(shape[1:], 0.25, np.float32), np.full(shape[1:], -0.25, np.float32))
    zero = State(np.zeros(shape[1:], np.float32), np.zeros(shape[1:], np.float32))
    outputs, states = h.copy(), State(h, c)
    if edit is not None:
        edit(states)
    arrays = dict(
        outputs=outputs, states=states, gates=gates, attention=None, parts={}, mask=mask,
        resets=resets, start=start, last=start, initial=zero,
    )  # fmt: skip
    return Trace(**jax.tree.map(jnp.asarray, arrays), reverse=reverse)


def composite(parts, outputs):
    """The trace of a layer of ``parts``."""
    some = next(iter(parts.values()))
    return dataclasses.replace(
        some, outputs=jnp.asarray(outputs), states=None, gates={}, parts=parts, start=None,
        last=None, initial=None, reverse=False,
    )  # fmt: skip
