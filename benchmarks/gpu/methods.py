"""``associative`` and ``parallel`` beside ``scan`` at several lengths, forward and backward."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.gpu import measuring
from benchmarks.gpu.measuring import Deadline, Emit

HEADS = 4
CELLS: dict[str, Callable[[int], lj.Cell]] = {
    "min_gru": lj.min_gru,
    "linear_attention": partial(lj.linear_attention, heads=HEADS),
    "lru": lj.lru,
    "mlstm": partial(lj.mlstm, heads=HEADS),
    "attention(64)": partial(lj.attention, heads=HEADS, window=64),
}
PROGRAMS = ("both", "forward")
TOLERANCE = 1e-3  # of the largest value; float32 sums in a different order, over thousands of steps


class Sizes(NamedTuple):
    steps: tuple[int, ...] = (1024, 4096, 256)
    batch: int = 16
    size: int = 256  # of inputs and outputs
    rounds: int = 7
    budget: float = 2.0  # seconds for the rounds of one program


SMALL = Sizes((8,), batch=2, size=8, rounds=3, budget=1.0)


def run(sizes: Sizes, emit: Emit, clock: Deadline) -> None:
    """Emits two records for each cell and length, forward with backward first."""
    jax.config.update("jax_default_matmul_precision", "highest")
    for steps in sizes.steps:
        for name, make in CELLS.items():
            labels = {"cell": name, "shape": f"{sizes.batch}x{steps}x{sizes.size}x{sizes.size}"}
            if not clock.left():
                emit({**labels, "left_out": "time was up"})
            else:
                compare(make(sizes.size), steps, labels, sizes, emit)


def compare(cell: lj.Cell, steps: int, labels: dict[str, str], sizes: Sizes, emit: Emit) -> None:
    params = cell.init(jax.random.key(0), sizes.size)
    xs, r = jax.random.normal(jax.random.key(1), (2, steps, sizes.batch, sizes.size))
    methods = measuring.eligible_methods(cell, sizes.size)
    programs: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for program in PROGRAMS:
        compiled, failed = measuring.run_concurrently(
            {
                method: partial(compile_program, cell, method, program, params, xs, r)
                for method in methods
            }
        )
        programs[program], errors = compiled, errors | failed
    for name in [name for name in methods if name not in errors and name != "scan"]:
        try:
            for program in PROGRAMS:
                require_equal(name, program, *(programs[program][m]() for m in (name, "scan")))
        except Exception as error:  # a disagreement, or not enough RAM
            errors[name] = measuring.describe_error(error)
    for program in PROGRAMS:
        calls = {name: call for name, call in programs[program].items() if name not in errors}
        times, failed = measuring.alternate(calls, sizes.rounds, sizes.budget)
        errors |= failed
        columns = {name: {"ms": measuring.round_times(values)} for name, values in times.items()}
        emit({**labels, "program": program, "columns": columns, "errors": dict(errors)})


def compile_program(cell: lj.Cell, method: str, program: str, *args: Any) -> Callable[[], Any]:
    """Compiles a call that waits for its results: outputs, or gradients of weights and inputs."""

    def forward(params: Any, xs: Any, r: Any) -> Any:
        return lj.unroll(cell, params, xs, method=method)[1]

    def both(params: Any, xs: Any, r: Any) -> Any:
        return jax.grad(lambda p, x: jnp.vdot(r, forward(p, x, r)), (0, 1))(params, xs)

    compiled = jax.jit(both if program == "both" else forward).lower(*args).compile()
    return lambda: jax.block_until_ready(compiled(*args))


def require_equal(name: str, program: str, got: Any, expected: Any) -> None:
    """Raises Disagreement if a result differs from that of "scan"."""
    leaves = zip(jax.tree.leaves_with_path(got), jax.tree.leaves(expected), strict=True)
    for (path, leaf), same in leaves:
        what = f"{program} {jax.tree_util.keystr(path)}"
        measuring.require_same(name, what, leaf, same, TOLERANCE)
