"""Attention cells beside softmax attention by JAX itself, and the latency of their steps.

    python -m benchmarks.studies.attention

Forward and backward to all weights and inputs, 32 rows of 512 steps of 128 inputs, 128 units in 4
heads, in turns. The yardstick is ``jax.nn.dot_product_attention`` between the same products of
inputs and outputs, over all 512 steps; ``attention(512)`` is the same computation, and is compared
with it before it is timed. Takes 2 minutes on two cores; report.md and results.json go to
runs/attention, or to the folder that is given. Kept results: benchmarks/results/attention.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

import lstm_jax as lj
from benchmarks.harness import machine, report, tables, timing
from experiments.harness.run import run_folder, versions

BATCH, STEPS, SIZE, HEADS = 32, 512, 128, 4
ROUNDS, BUDGET = 9, 90.0
CALLS = 500  # of one step
TITLE = "# Attention cells beside softmax attention by JAX"
YARDSTICK = "dot_product_attention"
CELLS: dict[str, lj.Cell] = {
    "attention(512)": lj.attention(SIZE, HEADS, 512, positions="none"),
    "attention(512), rotary": lj.attention(SIZE, HEADS, 512),
    "attention(64), rotary": lj.attention(SIZE, HEADS, 64),
    "linear_attention": lj.linear_attention(SIZE, HEADS),
    "linear_attention, gated": lj.linear_attention(SIZE, HEADS, gated=True),
    "delta rule": lj.linear_attention(SIZE, HEADS, rule="delta"),
    "delta rule, gated": lj.linear_attention(SIZE, HEADS, rule="delta", gated=True),
    "mlstm": lj.mlstm(SIZE, HEADS),
    "slstm": lj.slstm(SIZE, HEADS),
    "lstmn(32)": lj.lstmn(SIZE, 32),
    "lstm": lj.lstm(SIZE),
}


def softmax(params: Any, xs: jax.Array) -> jax.Array:
    """The yardstick, with the params of ``lj.attention`` without positions."""
    packed = xs @ params["w_x"] + params["b"]
    q, k, v = (
        part.reshape(STEPS, BATCH, HEADS, -1).swapaxes(0, 1) for part in jnp.split(packed, 3, -1)
    )
    o = jax.nn.dot_product_attention(q, k, v, is_causal=True).swapaxes(0, 1)
    return o.reshape(STEPS, BATCH, SIZE) @ params["w_y"] + params["b_y"]


def compiled(run: Callable[..., jax.Array], params: Any, xs: jax.Array) -> Any:
    """``run``, forward and backward to params and inputs."""
    weights = jax.random.normal(jax.random.key(2), xs.shape)
    gradient = jax.grad(lambda params, xs: jnp.vdot(weights, run(params, xs)), (0, 1))
    return jax.jit(gradient).lower(params, xs).compile()


def microseconds(cell: lj.Cell, params: Any) -> float:
    """The median of one step at batch 1, each waited for; a call from Python is part of it."""
    step = jax.jit(cell.step)
    state, x = cell.initial_state(params, (1,)), jnp.ones((1, SIZE))
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        state, y = step(params, state, x)
        y.block_until_ready()
        times.append(1e6 * (time.perf_counter() - start))
    return timing.median(times)


def measure() -> dict[str, Any]:
    """Milliseconds of all rounds, temporary memory and latency by contender."""
    xs = jax.random.normal(jax.random.key(1), (STEPS, BATCH, SIZE))
    params = {name: c.init(jax.random.key(0), SIZE) for name, c in CELLS.items()}
    same = next(iter(CELLS))
    np.testing.assert_allclose(
        lj.unroll(CELLS[same], params[same], xs)[1], softmax(params[same], xs), atol=1e-4
    )
    programs = {YARDSTICK: compiled(softmax, params[same], xs)}
    for name, cell in CELLS.items():
        programs[name] = compiled(lambda p, xs, c=cell: lj.unroll(c, p, xs)[1], params[name], xs)
    params[YARDSTICK] = params[same]
    calls = {
        name: lambda name=name: jax.block_until_ready(programs[name](params[name], xs))
        for name in programs
    }
    timing.warm_up()
    return {
        "milliseconds": timing.alternate(calls, ROUNDS, BUDGET),
        "temporary_bytes": {
            name: program.memory_analysis().temp_size_in_bytes for name, program in programs.items()
        },
        "step_microseconds": {name: microseconds(c, params[name]) for name, c in CELLS.items()},
    }


def table(measured: dict[str, Any]) -> tables.Table:
    times, latency = measured["milliseconds"], measured["step_microseconds"]
    rows = [
        [
            name,
            f"{timing.median(times[name]):.0f}",
            f"{timing.paired_ratio(times[YARDSTICK], times[name]):.2f}",
            f"{measured['temporary_bytes'][name] / 1e6:.0f}",
            f"{latency[name]:.0f}" if name in latency else "",
        ]
        for name in times
    ]
    return tables.Table(
        f"{BATCH} x {STEPS} x {SIZE}, {HEADS} heads, forward and backward",
        ["", "ms", "yardstick / it", "temporary MB", "one step, µs"],
        rows,
        f"Medians of {len(times[YARDSTICK])} rounds in turns, and of the ratios within a round: "
        "above 1 faster than the yardstick, softmax attention over all steps. A step is one call "
        "at batch 1.",
    )


def main(out: Path) -> None:
    run_folder.require_free_or_own(out, "report.md", TITLE)
    lj.train.keep_freed_memory()
    measured = measure()
    where = {**machine.describe(), "jax": jax.__version__, "device": jax.devices()[0].device_kind}
    shown = table(measured)
    Console(width=None if sys.stdout.isatty() else 100).print(report.printed(shown))
    out.mkdir(parents=True, exist_ok=True)
    revision = versions.git_revision()
    run_folder.write_json(
        out / "results.json", {"machine": where, "revision": revision, **measured}
    )
    head = (
        f"{where['processor']}, {where['cores']} cores, {where['system']}; Python "
        f"{where['python']}, jax {where['jax']}. Revision {revision}. Freed memory was kept."
    )
    lines = [TITLE, "", head, "", *tables.text(shown)]
    run_folder.write(out / "report.md", "\n".join(lines))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/attention"))
    except run_folder.RunFolderError as error:
        sys.exit(f"error: {error}")
