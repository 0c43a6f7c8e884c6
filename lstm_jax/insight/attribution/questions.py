"""The question that all methods of attribution answer: which number of which run is explained."""

import dataclasses
import functools
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.driver import run_call
from lstm_jax.unrolling.masks import where, zero_where_not

Output = int | Callable[[jax.Array], jax.Array]


class Question(NamedTuple):
    """One number per row, and the run that it is read from.

    Attributes:
        call: The checked arguments of the run, whose ``xs`` are zero in the padding.
        read: ``ys [T, *batch, H] -> [*batch]``, the output that is explained.
        counts: The steps that may have a share, ``[T, *batch]``: those that count and, if a unit
            at the last step is asked for, are in the same segment as that step.
    """

    call: Call
    read: Callable[[jax.Array], jax.Array]
    counts: jax.Array

    def answer(self, xs: jax.Array) -> jax.Array:
        """The output for other inputs, ``[*batch]``."""
        call = dataclasses.replace(self.call, xs=zero_where_not(self.call.valid, xs))
        return self.read(run_call(call)[1])

    def gradient(self, xs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The output, and its derivative by each input ``[T, *batch, D]``."""
        answer, pull = jax.vjp(self.answer, xs)
        (gradient,) = pull(jnp.ones_like(answer))
        return answer, gradient

    def mask(self, values: jax.Array) -> jax.Array:
        """``values [T, *batch, D]``, exactly zero at steps that have no share."""
        return where(self.counts, values, jnp.zeros_like(values))


def answer_question(
    method: Callable[..., Any], call: Call, output: Any, *arrays: Any, **options: Any
) -> Any:
    """``method(question, *arrays, **options)``, compiled.

    For a unit the program is kept. For a function of the outputs it is compiled anew each time,
    since what the function reads beside its argument may have changed.

    Args:
        method: The method.
        call: The checked call.
        output: What is explained, as the user gave it.
        *arrays: Arguments that are traced.
        **options: Arguments that are not.
    """
    cell_checks.vectors_only("cell", call.cell)
    steps, batch = call.xs.shape[0], call.xs.shape[1:-1]
    if steps == 0:
        raise WrongValue(f"xs: expected T of at least 1, got shape {call.xs.shape}")
    if callable(output):
        run = _compile(method, _checked_reader(output, batch), options)
    else:
        run = _compiled(method, _unit(output, call.cell.size), tuple(options.items()))
    return run(call, *arrays)


@functools.lru_cache
def _compiled(
    method: Callable[..., Any], unit: int, options: tuple[Any, ...]
) -> Callable[..., Any]:
    return _compile(method, unit, dict(options))


def _compile(
    method: Callable[..., Any], output: Output, options: dict[str, Any]
) -> Callable[..., Any]:
    @jax.jit
    def run(call: Call, *arrays: Any) -> Any:
        return method(_pose(call, output), *arrays, **options)

    return run


def _pose(call: Call, output: Output) -> Question:
    counts = jnp.ones(call.xs.shape[:-1], bool) if call.valid is None else call.valid
    if callable(output):
        return Question(call, output, counts)
    last = _last_steps(call)

    def read(ys: jax.Array) -> jax.Array:
        return jnp.take_along_axis(ys[..., output], last[None], axis=0)[0]

    if call.resets is not None:
        segments = jnp.cumsum(call.resets, axis=0)
        counts = counts & (segments == jnp.take_along_axis(segments, last[None], axis=0))
    return Question(call, read, counts)


def place_baseline(baseline: Any, xs: jax.Array) -> jax.Array:
    """``baseline`` as an array of the shape of ``xs``; None stands for zeros."""
    if baseline is None:
        return jnp.zeros_like(xs)
    if isinstance(baseline, numbers.Real) and not isinstance(baseline, bool):
        baseline = np.asarray(checking.real("baseline", baseline), xs.dtype)
    values = checking.array("baseline", baseline)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise WrongValue(f"baseline: expected floats, got dtype {values.dtype.name}")
    try:
        return jnp.broadcast_to(values.astype(xs.dtype), xs.shape)
    except ValueError:
        raise WrongValue(
            f"baseline: expected a shape that broadcasts to that of xs, {xs.shape}, got "
            f"{values.shape}"
        ) from None


def _unit(output: Any, size: int) -> int:
    if isinstance(output, bool) or not isinstance(output, numbers.Integral):
        raise WrongType(
            "output: expected a unit of the output, or a function of all outputs ys, got "
            f"{output!r}"
        )
    unit = int(output)
    if not 0 <= unit < size:
        raise WrongValue(f"output: expected a unit from 0 to {size - 1}, got {unit}")
    return unit


def _last_steps(call: Call) -> jax.Array:
    """The last step that each row reads, ``[*batch]``; 0 for a row without steps."""
    steps, batch = call.xs.shape[0], call.xs.shape[1:-1]
    if call.reverse:
        return jnp.zeros(batch, jnp.int32)
    if call.valid is None:
        return jnp.full(batch, steps - 1)
    return jnp.maximum(jnp.sum(call.valid, axis=0) - 1, 0)


def _checked_reader(output: Callable[..., Any], batch: tuple[int, ...]) -> Callable[..., Any]:
    def read(ys: jax.Array) -> jax.Array:
        answer = output(ys)
        if not isinstance(answer, jax.Array) or answer.shape != batch:
            got = f"shape {answer.shape}" if hasattr(answer, "shape") else type(answer).__name__
            raise WrongValue(
                f"output: expected a function from ys [T, *batch, H] to one number per row, of "
                f"shape {batch}, got one that returns {got}"
            )
        if not jnp.issubdtype(answer.dtype, jnp.floating):
            raise WrongValue(f"output: expected floats, got dtype {answer.dtype.name}")
        return answer

    return read
