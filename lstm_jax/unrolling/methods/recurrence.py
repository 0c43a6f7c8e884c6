"""The linear recurrence ``h_t = a_t h_{t-1} + b_t`` over a whole sequence, and its derivative.

The derivative is the same recurrence in the other direction: with ``d_t`` the cotangent of ``h_t``,

    g_t = d_t + a_{t+1} g_{t+1},    d a_t = g_t h_{t-1},    d b_t = g_t,    d h_0 = a_1 g_1

(also for complex values, since JAX does not conjugate cotangents). So the backward pass keeps only
``a`` and ``h``, whatever the solver computes in between.

The solver depends on the platform. Milliseconds, forward and backward, on two cores of an AMD EPYC
(jax 0.10.2), from ``python -m benchmarks.studies.linear_recurrence``:

      T    B    H      dtype   one by one   all at once   in chunks of 64
     64   32  128    float32          0.5           0.8               0.8
     64   32  128  complex64          1.4           2.9               2.8
    512   32  128    float32          8.5          21.3              26.3
    512   32  128  complex64         23.7          63.0              49.6
    784   64  128    float32         39.0          80.7              96.0
    784   64  128  complex64        101.8         198.0             228.6
  10000    4   64    float32         20.5          39.1              52.4
  10000    4   64  complex64         38.9         104.3             115.0
 100000    1   64    float32         51.4         140.6             139.2
 100000    1   64  complex64        125.8         337.0             283.6

So a CPU runs one step after the other. Other platforms run all steps at once, since there each step
of a loop costs the launch of a kernel; this choice has not been measured.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lstm_jax._internal.promotion import default_promotion

Times = Callable[[jax.Array, jax.Array], jax.Array]
Solver = Callable[[jax.Array, jax.Array, jax.Array, bool, Times], jax.Array]


def one_by_one(a: jax.Array, b: jax.Array, h0: jax.Array, reverse: bool, times: Times) -> jax.Array:
    """A loop over time."""
    a_each = None if _constant(a, b) else a

    def body(h: jax.Array, step: tuple[Any, ...]) -> tuple[jax.Array, jax.Array]:
        a_now, b_now = step
        h = times(a[0] if a_now is None else a_now, h) + b_now
        return h, h

    return jax.lax.scan(body, h0, (a_each, b), reverse=reverse)[1]


def all_at_once(
    a: jax.Array, b: jax.Array, h0: jax.Array, reverse: bool, times: Times
) -> jax.Array:
    """``jax.lax.associative_scan``: twice the work or more, in about 2 log T parallel steps."""
    if b.shape[0] == 0:
        return b
    a = a + jnp.zeros_like(b)  # broadcast_to would lose the sharding

    def compose(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[jax.Array, jax.Array]:
        return first[0] * second[0], times(second[0], first[1]) + second[1]

    a_all, from_zero = jax.lax.associative_scan(compose, (a, b), reverse=reverse)
    return times(a_all, h0) + from_zero


def by_platform(
    a: jax.Array, b: jax.Array, h0: jax.Array, reverse: bool, times: Times
) -> jax.Array:
    """The solver for the platform that the program is compiled for; no other code chooses one."""
    if jax.export.is_symbolic_dim(b.shape[0]):
        return one_by_one(a, b, h0, reverse, times)  # associative_scan needs a known T

    def run(solver: Solver) -> Callable[..., Any]:
        return lambda a, b, h0: solver(a, b, h0, reverse, times)

    return jax.lax.platform_dependent(a, b, h0, cpu=run(one_by_one), default=run(all_at_once))


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
@default_promotion
def linear_recurrence(
    a: jax.Array,
    b: jax.Array,
    h0: jax.Array,
    reverse: bool = False,
    restarts: bool = False,
    solver: Solver = by_platform,
) -> jax.Array:
    """Solves ``h_t = a_t h_{t-1} + b_t``.

    Args:
        a: ``[T, ...]``, with size 1 for every axis along which it is constant, such as
            ``[1, 1, H]``.
        b: ``[T, ...]``.
        h0: The h before the first step in the direction of travel, ``[...]``.
        reverse: Whether to run from the last step to the first.
        restarts: Whether ``a = 0`` erases the past even if it is infinite or NaN.
        solver: The function that computes the values.

    Returns:
        All h, ``[T, ...]``.
    """
    return solver(a, b, h0, reverse, _times(restarts))


def _times(restarts: bool) -> Times:
    """The product of a and h."""

    def times(a: jax.Array, h: jax.Array) -> jax.Array:
        return jnp.where(a == 0, jnp.zeros_like(h), a * h) if restarts else a * h

    return times


@default_promotion
def _forward(
    a: jax.Array, b: jax.Array, h0: jax.Array, reverse: bool, restarts: bool, solver: Solver
) -> tuple[Any, ...]:
    h = linear_recurrence(a, b, h0, reverse, restarts, solver)
    return h, (a, h, h0)


@default_promotion
def _backward(
    reverse: bool, restarts: bool, solver: Solver, residuals: tuple[Any, ...], d_h: jax.Array
) -> tuple[Any, ...]:
    a, h, h0 = residuals
    zero = jnp.zeros_like(h0)
    if h.shape[0] == 0:
        return jnp.zeros_like(a), d_h, zero
    following = a if _constant(a, h) else _shift(a, jnp.zeros_like(a[0]), not reverse)
    g = linear_recurrence(following, d_h, zero, not reverse, restarts, solver)
    first = -1 if reverse else 0
    d_a = g * _shift(h, h0, reverse)
    constant_axes = [i for i, n in enumerate(a.shape) if n != d_a.shape[i]]
    d_h0 = _times(restarts)(a[first], g[first])
    return jnp.sum(d_a, constant_axes, keepdims=True), g, d_h0


def _constant(a: jax.Array, b: jax.Array) -> bool:
    """Whether ``a`` is the same at all times."""
    return a.shape[0] != b.shape[0]


def _shift(values: jax.Array, start: jax.Array, reverse: bool) -> jax.Array:
    """The values of the step before in the direction of travel, beginning with ``start``."""
    parts = [values[1:], start[None]] if reverse else [start[None], values[:-1]]
    return jnp.concatenate(parts)


linear_recurrence.defvjp(_forward, _backward)
