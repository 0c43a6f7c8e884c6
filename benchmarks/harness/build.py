"""A contender made ready to be timed, and the check that all compute the same."""

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

TOLERANCE = 1e-4  # of the largest magnitude in an array: float32 over a thousand steps


class Ready(Protocol):
    """Each call does the whole work and returns when it is done.

    forward: outputs alone. both: the loss, and its gradients to all weights and to the inputs.
    outputs, gradients: the same, as ``[T, B, H]``, and as layers in our names with ``[T, B, D]``.
    """

    def forward(self) -> Any: ...
    def both(self) -> Any: ...
    def outputs(self) -> Any: ...
    def gradients(self) -> tuple[list[Layer], Any]: ...


class Compiled(NamedTuple):
    """A JAX contender, compiled for its arrays.

    compile_seconds: of tracing, lowering and compiling forward and backward.
    temporary_bytes: what XLA reserves for that program, on each device, beside its arguments and
        results; None where it does not say.
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
    """The contender ``name``. Raises Missing where its package is not here.

    on: the devices over which a JAX contender spreads its batch; the first device if not given.
    """
    module = load(name)
    if name == TORCH:
        return module.Torch(work)
    on = jax.devices()[:1] if on is None else on
    return compiled(module.model(work.cell, work.layers), work, on)


def compiled(
    model: Model, work: Work, on: Sequence[jax.Device], dtype: str = "float32"
) -> Compiled:
    """dtype: of weights and inputs; the loss is a sum in float32."""

    def loss(params: Any, xs: Any, r: Any) -> Any:
        return jnp.sum(model.run(params, xs).astype(r.dtype) * r)

    batch_axis = 1 - model.time_axis
    order = (0, 1, 2) if model.time_axis == 0 else (1, 0, 2)
    xs, r = (
        devices.placed(np.ascontiguousarray(a.transpose(order)), batch_axis, on)
        for a in (work.xs.astype(dtype), work.r)
    )
    cast = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), model.params)
    params = devices.placed(cast, None, on)
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
    memory = both_program.memory_analysis()
    size = None if memory is None else int(memory.temp_size_in_bytes)
    return Compiled(model, forward_program, both_program, xs, r, params, seconds, size)


class Disagreement(ValueError):
    """Two contenders do not compute the same, so that their times say nothing."""


def compare(name: str, what: str, got: Any, expected: Any) -> None:
    """Raises Disagreement where the arrays differ by more than rounding."""
    if got.shape != expected.shape:
        raise Disagreement(f"{name}: {what} has shape {got.shape}, ours {expected.shape}")
    got, expected = np.asarray(got), np.asarray(expected)
    require_near(name, what, np.max(np.abs(got - expected)) / np.max(np.abs(expected)), TOLERANCE)


def require_near(name: str, what: str, distance: Any, tolerance: float) -> None:
    if not distance <= tolerance:  # NaN is a disagreement too
        raise Disagreement(f"{name}: {what} differs from ours by {distance:.1e} of the largest")


def require_equal(name: str, got: Ready, expected: Ready) -> None:
    """Raises Disagreement unless outputs and all gradients of the two are equal to rounding."""
    compare(name, "outputs", got.outputs(), expected.outputs())
    (layers, xs), (layers_expected, xs_expected) = got.gradients(), expected.gradients()
    compare(name, "gradient of xs", xs, xs_expected)
    for i, (layer, same) in enumerate(zip(layers, layers_expected, strict=True)):
        for key in ("w_x", "w_h", "b"):
            compare(name, f"gradient of {key} in layer {i}", layer[key], same[key])
