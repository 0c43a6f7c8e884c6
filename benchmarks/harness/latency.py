"""Latency: microseconds of one step at batch 1, with the state carried from call to call."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from benchmarks.harness import timing, work
from benchmarks.harness.build import require_same
from benchmarks.peers import OURS_BEFORE, STREAMS, TORCH, contenders, counterpart, load

SIZES = (64, 128, 512)  # input and hidden size alike
ROUNDS, CALLS = 20, 100
CHECKED = 5  # steps whose outputs are compared before any is timed


def measure(cell: str, size: int, peers: tuple[str, ...]) -> dict[str, Any]:
    """Microseconds per call by contender: the median over 2,000 calls.

    Contenders take turns of 100 calls. As in streaming, each call is waited for before the next
    one. The overhead of the call from Python is included. The entry ``ratios`` has for each peer
    its time over that of ``lj.stream`` in the peer's convention: the median over the rounds of the
    ratio of their medians.
    """
    given = work.make(cell, work.Shape(1, CHECKED, size, size), 1)
    names = contenders(peers, cell)
    streams = {STREAMS[name]: name for name in names if name in STREAMS}
    steps = {name: make_stepper(name, given) for name in (*names, *streams)}
    ys = {name: first_outputs(name, given) for name in steps}
    for name, outputs in ys.items():
        expected = ys[streams.get(name) or counterpart(name, cell)]
        require_same(name, "outputs of single steps", outputs, expected)

    calls: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            time.sleep(0.002)
            for _ in range(CALLS):
                start = time.perf_counter()
                step()
                calls[name].append(1e6 * (time.perf_counter() - start))
    medians = {name: round(float(np.median(times)), 2) for name, times in calls.items()}
    by_round = {
        name: np.median(np.reshape(times, (ROUNDS, -1)), axis=1) for name, times in calls.items()
    }
    ratios = {
        name: round(timing.paired_ratio(by_round[name], by_round[ours]), 3)
        for name in peers
        for ours in [STREAMS[counterpart(name, cell)]]
    }
    return {"cell": cell, "size": size, "microseconds": medians, "ratios": ratios}


def first_outputs(name: str, given: work.Work) -> np.ndarray:
    """The outputs ``[T, 1, H]`` of single steps on the same input."""
    step = make_stepper(name, given)
    return np.stack([np.asarray(step()) for _ in range(CHECKED)])


def make_stepper(name: str, given: work.Work) -> Callable[[], Any]:
    """A function whose every call does one step on the first input, from the previous state."""
    for ours, stream in STREAMS.items():
        if name == stream:
            return make_stream(given, reset_after=ours != OURS_BEFORE)
    module = load(name)
    if name == TORCH:
        return module.make_stepper(given.cell, given.layers, given.xs[0])
    model = module.model(given.cell, given.layers)
    params, x = jax.device_put((model.params, jnp.asarray(given.xs[0])), jax.devices()[0])
    state = jax.device_put(model.state, jax.devices()[0])
    jitted = jax.jit(model.step)

    def step() -> Any:
        nonlocal state
        state, y = jitted(params, state, x)
        return y.block_until_ready()

    return step


def make_stream(given: work.Work, *, reset_after: bool) -> Callable[[], Any]:
    """A function whose every call does one step of ``lj.stream``, from the previous state."""
    params = {name: jnp.asarray(array) for name, array in given.layers[0].items()}
    size = params["w_h"].shape[0]
    cell = lj.lstm(size) if given.cell == "lstm" else lj.gru(size, reset_after=reset_after)
    if given.cell == "gru" and reset_after:
        params["b_h"] = jnp.zeros(size)
    params, x = jax.device_put((params, jnp.asarray(given.xs[0])), jax.devices()[0])
    stream = lj.stream(cell, params, (1,))
    return lambda: stream(x).block_until_ready()
