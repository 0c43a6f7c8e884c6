"""Attention cells compared with JAX's own softmax attention, and the latency of their steps.

    python -m benchmarks.studies.attention [FOLDER]

Times forward and backward to all weights and inputs, in turns: 32 rows of 512 steps, 128 inputs,
128 units in 4 heads. The yardstick is ``jax.nn.dot_product_attention`` over all 512 steps, between
the same products for inputs and outputs. ``attention(512)`` is the same computation, and is checked
against it before timing. It takes 2 minutes on two cores; report.md and results.json go to FOLDER,
by default runs/attention. The results in benchmarks/results/attention are from one such run.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from benchmarks.harness import machine, report, tables, timing
from experiments.harness.report.console import make_console
from experiments.harness.run import run_folder, versions

BATCH, STEPS, SIZE, HEADS = 32, 512, 128, 4
ROUNDS, BUDGET = 9, 90.0
CALLS = 500  # to time one step
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
    """The yardstick, on the params of ``lj.attention`` without positions."""
    packed = xs @ params["w_x"] + params["b"]
    q, k, v = (
        part.reshape(STEPS, BATCH, HEADS, -1).swapaxes(0, 1) for part in jnp.split(packed, 3, -1)
    )
    o = jax.nn.dot_product_attention(q, k, v, is_causal=True).swapaxes(0, 1)
    return o.reshape(STEPS, BATCH, SIZE) @ params["w_y"] + params["b_y"]


def compile_gradient(run: Callable[..., jax.Array], params: Any, xs: jax.Array) -> Any:
    """Compiles ``run``, forward and backward to params and inputs."""
    weights = jax.random.normal(jax.random.key(2), xs.shape)
    gradient = jax.grad(lambda params, xs: jnp.vdot(weights, run(params, xs)), (0, 1))
    return jax.jit(gradient).lower(params, xs).compile()


def step_microseconds(cell: lj.Cell, params: Any) -> float:
    """The median time of one step at batch 1, waited for and with its overhead in Python."""
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
    """Milliseconds of all rounds, temporary bytes and latency by contender."""
    xs = jax.random.normal(jax.random.key(1), (STEPS, BATCH, SIZE))
    params = {name: c.init(jax.random.key(0), SIZE) for name, c in CELLS.items()}
    same = next(iter(CELLS))
    np.testing.assert_allclose(
        lj.unroll(CELLS[same], params[same], xs)[1], softmax(params[same], xs), atol=1e-4
    )
    programs = {YARDSTICK: compile_gradient(softmax, params[same], xs)}
    for name, cell in CELLS.items():
        programs[name] = compile_gradient(
            lambda p, xs, c=cell: lj.unroll(c, p, xs)[1], params[name], xs
        )
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
        "step_microseconds": {
            name: step_microseconds(c, params[name]) for name, c in CELLS.items()
        },
    }


def make_table(measured: dict[str, Any]) -> tables.Table:
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
        f"Medians over {len(times[YARDSTICK])} rounds, of times and of ratios within a round: "
        "above 1 is faster than the yardstick, softmax attention over all steps. A step is one "
        "call at batch 1.",
    )


def main(out: Path) -> None:
    run_folder.require_free_or_own(out, "report.md", TITLE)
    lj.train.keep_freed_memory()
    measured = measure()
    where = {**machine.describe(), "jax": jax.__version__, "device": jax.devices()[0].device_kind}
    table = make_table(measured)
    make_console(100).print(report.to_rich_table(table))
    out.mkdir(parents=True, exist_ok=True)
    revision = versions.git_revision()
    run_folder.write_json(
        out / "results.json", {"machine": where, "revision": revision, **measured}
    )
    head = (
        f"{where['processor']}, {where['cores']} cores, {where['system']}; Python "
        f"{where['python']}, jax {where['jax']}. Revision {revision}. The allocator "
        "kept freed memory."
    )
    lines = [TITLE, "", head, "", *tables.to_markdown(table)]
    run_folder.write(out / "report.md", "\n".join(lines))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/attention"))
    except run_folder.RunFolderError as error:
        sys.exit(f"error: {error}")
