"""Builds contenders for timing, and checks that all compute the same."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import devices
from benchmarks.harness.work import Layer, Work
from benchmarks.peers import TORCH, Model, load

TOLERANCE = 1e-4  # of the largest magnitude in an array; float32 over a thousand steps


class Ready(Protocol):
    """A contender that is ready to be timed; each call returns when all its work is done.

    forward: computes the outputs only.
    both: computes the loss and its gradients with respect to all weights and the inputs.
    outputs: the outputs as ``[T, B, H]``.
    gradients: the gradients of the weights, by layer in our names, and of the inputs
        ``[T, B, D]``.
    """

    def forward(self) -> Any: ...
    def both(self) -> Any: ...
    def outputs(self) -> Any: ...
    def gradients(self) -> tuple[list[Layer], Any]: ...


class Compiled(NamedTuple):
    """A JAX contender, compiled for its arrays.

    compile_seconds: for tracing, lowering and compiling forward and backward.
    temporary_bytes: what XLA reserves for that program on each device, besides its arguments and
        results; None if it does not say.
    """

    model: Model
    forward_program: Callable[..., Any]
    both_program: Callable[..., Any]
    xs: Any
    r: Any
    params: Any
    compile_seconds: float
    temporary_bytes: int | None

    def forward(self) -> Any:
        return jax.block_until_ready(self.forward_program(self.params, self.xs))

    def both(self) -> Any:
        return jax.block_until_ready(self.both_program(self.params, self.xs, self.r))

    def outputs(self) -> Any:
        return self._time_first(self.forward())

    def gradients(self) -> tuple[list[Layer], Any]:
        _, (params, xs) = self.both()
        return self.model.to_layers(params), self._time_first(xs)

    def _time_first(self, array: Any) -> Any:
        return array if self.model.time_axis == 0 else jnp.swapaxes(array, 0, 1)


def build(name: str, work: Work, on: Sequence[jax.Device] | None = None) -> Ready:
    """Builds the contender ``name``.

    Args:
        name: As in ``peers.MODULES``.
        work: The weights, the inputs and the loss.
        on: The devices over which a JAX contender spreads its batch; the first one if not given.

    Raises:
        Missing: if its package is not installed.
    """
    module = load(name)
    if name == TORCH:
        return module.Torch(work)
    on = jax.devices()[:1] if on is None else on
    return compile_model(module.model(work.cell, work.layers), work, on)


def compile_model(
    model: Model, work: Work, on: Sequence[jax.Device], dtype: str = "float32"
) -> Compiled:
    """Compiles a JAX contender, with weights and inputs of ``dtype``; the loss is a float32 sum."""

    def loss(params: Any, xs: Any, r: Any) -> Any:
        return jnp.sum(model.run(params, xs).astype(r.dtype) * r)

    batch_axis = 1 - model.time_axis
    order = (0, 1, 2) if model.time_axis == 0 else (1, 0, 2)
    xs, r = (
        devices.place(np.ascontiguousarray(a.transpose(order)), batch_axis, on)
        for a in (work.xs.astype(dtype), work.r)
    )
    cast = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), model.params)
    params = devices.place(cast, None, on)
    both: Any
    if len(on) == 1:
        forward, both = jax.jit(model.run), jax.jit(jax.value_and_grad(loss, (0, 1)))
    else:
        forward = devices.forward_parallel(model.run, batch_axis, on)
        axes = (None, batch_axis, batch_axis)
        spread = devices.data_parallel
        if model.data_parallel is not None:
            spread = functools.partial(model.data_parallel, reduce="sum")
        both = jax.jit(spread(loss, (0, 1), batch_axes=axes, devices=on))
    forward_program = forward.lower(params, xs).compile()
    start = time.perf_counter()
    both_program = both.lower(params, xs, r).compile()
    seconds = time.perf_counter() - start
    allocation = both_program.memory_analysis()
    size = None if allocation is None else int(allocation.temp_size_in_bytes)
    return Compiled(model, forward_program, both_program, xs, r, params, seconds, size)


class Disagreement(ValueError):
    """Two contenders do not compute the same, so their times cannot be compared."""


def require_same(name: str, what: str, got: Any, expected: Any) -> None:
    """Raises Disagreement if the arrays differ by more than rounding."""
    if got.shape != expected.shape:
        raise Disagreement(
            f"{name}: {what}: expected shape {expected.shape}, as ours, got {got.shape}"
        )
    got, expected = np.asarray(got), np.asarray(expected)
    require_near(name, what, np.max(np.abs(got - expected)) / np.max(np.abs(expected)), TOLERANCE)


def require_near(name: str, what: str, distance: Any, tolerance: float) -> None:
    if not distance <= tolerance:  # NaN counts as a disagreement
        raise Disagreement(
            f"{name}: {what} differs from ours by {distance:.1e} of the largest value"
        )


def require_equal(name: str, got: Ready, expected: Ready) -> None:
    """Raises Disagreement unless outputs and all gradients are equal up to rounding."""
    require_same(name, "outputs", got.outputs(), expected.outputs())
    (layers, xs), (layers_expected, xs_expected) = got.gradients(), expected.gradients()
    require_same(name, "gradient of xs", xs, xs_expected)
    for i, (layer, same) in enumerate(zip(layers, layers_expected, strict=True)):
        for key in ("w_x", "w_h", "b"):
            require_same(name, f"gradient of {key} in layer {i}", layer[key], same[key])
