"""Streams a sequence of any length in chunks; it takes the RAM of one chunk."""

import time
from typing import Any

import jax
import numpy as np

import lstm_jax as lj
from benchmarks.harness import ram

POINTS = 200  # recorded along the sequence, at most


def measure(
    cell: str, batch: int, inputs: int, hidden: int, steps: int, chunk: int
) -> dict[str, Any]:
    """Seconds and this process's resident bytes along the sequence, forward only.

    One program, compiled once, maps the state and a chunk of inputs to the next state and a sum of
    the outputs. Drawing the inputs is not timed. ``steps`` is rounded up to whole chunks.
    """
    made = lj.lstm(hidden) if cell == "lstm" else lj.gru(hidden)
    params = made.init(jax.random.key(0), inputs)
    state = made.initial_state(params, (batch,))
    rng = np.random.default_rng(0)

    @jax.jit
    def advance(params: Any, state: Any, xs: Any) -> Any:
        state, ys = lj.unroll(made, params, xs, state)
        return state, ys.sum()

    def draw() -> np.ndarray:
        return rng.standard_normal((chunk, batch, inputs), np.float32)

    jax.block_until_ready(advance(params, state, draw()))  # compiles; the result is dropped
    count = -(-steps // chunk)
    every = max(count // POINTS, 1)
    seconds, total, along = 0.0, 0.0, []
    for i in range(1, count + 1):
        xs = draw()
        start = time.perf_counter()
        state, chunk_sum = jax.block_until_ready(advance(params, state, xs))
        seconds += time.perf_counter() - start
        total += float(chunk_sum)
        if i == 1 or i % every == 0 or i == count:
            resident = ram.read_status("VmRSS")
            along.append({"steps": i * chunk, "seconds": round(seconds, 4), "bytes": resident})
    if not np.isfinite(total):
        raise FloatingPointError("the streamed outputs are not finite")
    return {"batch": batch, "inputs": inputs, "hidden": hidden, "chunk": chunk, "along": along}
