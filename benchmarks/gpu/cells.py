"""LSTM and GRU beside Flax, PyTorch and cuDNN: forward, and forward with backward.

All contenders get the same weights and the same work. Outputs and gradients are compared before
timing; a contender that disagrees, fails or runs out of RAM is named and left out.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.gpu import measuring
from benchmarks.gpu.measuring import Deadline, Emit
from benchmarks.harness import build, work
from benchmarks.harness.work import Layer
from benchmarks.peers import CUDNN, OURS, TITLES, TORCH, available, load, version

PEERS = ("flax", TORCH, CUDNN)
PROGRAMS = ("both", "forward")


class Sizes(NamedTuple):
    """Batch x time steps x input size x hidden size, the most important first."""

    shapes: tuple[str, ...] = (
        "128x1024x1024x1024",
        "16x1024x256x256",
        "128x1024x256x256",
        "16x1024x1024x1024",
    )
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    rounds: int = 9
    budget: float = 4.0  # seconds for the rounds of one program


SMALL = Sizes(("4x8x8x8",), rounds=3, budget=1.0)

# Shares of the largest value. In bfloat16 one rounding is 0.4 %, and weight gradients need more
# room, since a sum over time in bfloat16, as in Flax, is off by a tenth after 1,000 steps.
TOLERANCES = {
    "float32": {"outputs": build.TOLERANCE, "weights": build.TOLERANCE},
    "bfloat16": {"outputs": 0.05, "weights": 0.4},
}
# Not TF32. For bfloat16 operands there is only one precision.
PRECISIONS = {"float32": "highest", "bfloat16": "default"}


def run(sizes: Sizes, emit: Emit, clock: Deadline) -> None:
    """Emits records of comparisons, the most important first, until the time is up."""
    installed, absent = available(PEERS)
    if CUDNN in installed and jax.default_backend() != "gpu":
        installed = tuple(name for name in installed if name != CUDNN)
        absent[CUDNN] = f"{TITLES[CUDNN]} requires a GPU"
    emit({"absent": absent, "versions": {name: version(name) for name in installed}})
    for text in sizes.shapes:
        shape = work.Shape.parse(text)
        for cell in work.CELLS:
            given = work.make(cell, shape, 1) if clock.left() else None
            for dtype in sizes.dtypes:
                labels = {"cell": cell, "shape": text, "dtype": dtype}
                if given is None or not clock.left():
                    emit({**labels, "left_out": "time was up"})
                else:
                    compare(given, dtype, labels, installed, sizes, emit)


def compare(
    given: work.Work,
    dtype: str,
    labels: dict[str, str],
    peers: tuple[str, ...],
    sizes: Sizes,
    emit: Emit,
) -> None:
    """One record for each program, each written when it has been timed."""
    jax.config.update("jax_default_matmul_precision", PRECISIONS[dtype])
    ready, errors = measuring.run_concurrently(contender_builders(given, dtype, peers))
    facts: dict[str, dict[str, Any]] = {
        name: {"compile_seconds": round(one.compile_seconds, 2),
               "temporary_bytes": one.temporary_bytes}
        if isinstance(one, build.Compiled) else {}
        for name, one in ready.items()
    }  # fmt: skip
    reference = find_reference(ready, errors)
    for name in list(ready):
        try:
            if reference is not None and name != reference[0]:
                facts[name]["distances"] = require_near_ours(name, ready[name], reference[1], dtype)
        except Exception as error:  # a disagreement, or whatever a contender raises
            errors[name] = measuring.describe_error(error)
            del ready[name]
    for program in PROGRAMS:
        calls: dict[str, Callable[[], Any]] = {
            name: getattr(one, program) for name, one in ready.items()
        }
        times, failed = measuring.alternate(calls, sizes.rounds, sizes.budget)
        errors |= failed
        columns = {
            name: {**facts[name], "ms": measuring.round_times(values)}
            for name, values in times.items()
        }
        emit({**labels, "program": program, "columns": columns, "errors": dict(errors)})


def contender_builders(
    given: work.Work, dtype: str, peers: tuple[str, ...]
) -> dict[str, Callable[[], build.Ready]]:
    """A function that builds each contender: ours by each method, and the peers that have this cell
    and dtype."""
    made: dict[str, Callable[[], build.Ready]] = {}
    for method in measuring.eligible_methods(plain_cell(given), given.shape.inputs):
        made[f"{OURS}, {method}"] = functools.partial(
            build_in_jax, OURS, given, dtype, method=method
        )
    for name in peers:
        if name == TORCH:
            made[name] = functools.partial(build_in_torch, given, dtype)
        elif name == CUDNN:
            if given.cell in load(name).CONVENTIONS and dtype == "float32":
                made[name] = functools.partial(build_in_jax, name, given, dtype)
        else:
            made[name] = functools.partial(build_in_jax, name, given, dtype, dtype=jnp.dtype(dtype))
    return made


def plain_cell(given: work.Work) -> lj.Cell:
    return lj.lstm(given.shape.hidden) if given.cell == "lstm" else lj.gru(given.shape.hidden)


def build_in_jax(name: str, given: work.Work, dtype_of_all: str, **options: Any) -> build.Ready:
    model = load(name).model(given.cell, given.layers, **options)
    return build.compile_model(model, given, jax.devices()[:1], dtype_of_all)


def build_in_torch(given: work.Work, dtype: str) -> build.Ready:
    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    return load(TORCH).Torch(given, device=device, dtype=dtype)


class Numbers(NamedTuple):
    """The results of a contender."""

    outputs: Any
    layer: Layer
    d_xs: Any


def run_once(ready: build.Ready) -> Numbers:
    (layer,), d_xs = ready.gradients()
    return Numbers(ready.outputs(), layer, d_xs)


def find_reference(
    ready: dict[str, build.Ready], errors: dict[str, str]
) -> tuple[str, Numbers] | None:
    """The first of our methods that runs, with its results: the reference for all others."""
    for name in [name for name in ready if name.startswith(OURS)]:
        try:
            return name, run_once(ready[name])
        except Exception as error:  # such as running out of RAM
            errors[name] = measuring.describe_error(error)
            del ready[name]
    return None


def require_near_ours(name: str, ready: build.Ready, ours: Numbers, dtype: str) -> dict[str, float]:
    """How far each result is from ours. Raises build.Disagreement if that is too far."""
    results, allowed = run_once(ready), TOLERANCES[dtype]
    measure = functools.partial(measuring.require_same, name)
    found = {
        "outputs": measure("outputs", results.outputs, ours.outputs, allowed["outputs"]),
        "xs": measure("gradient of xs", results.d_xs, ours.d_xs, allowed["outputs"]),
    }
    for key in ("w_x", "w_h", "b"):
        what = f"gradient of {key}"
        found[key] = measure(what, results.layer[key], ours.layer[key], allowed["weights"])
    return {key: float(f"{value:.2e}") for key, value in found.items()}
