"""How far a change of a state reaches: the Jacobians between the states of a sequence."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Inputs, Key, Lengths, Params, Resets, State
from lstm_jax.insight.following import disturb, follow, zeros_to_add
from lstm_jax.insight.traces import Trace
from lstm_jax.insight.vectors import check_real, norm, ravel_rows
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.masks import partition
from lstm_jax.unrolling.parts import start_traversal


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class JacobianNorms:
    """The spectral norms of the Jacobians of a row's last state by earlier ones.

    Attributes:
        steps: The steps t, ``[n]``.
        lags: How many steps each of them comes before the row's last, ``[n, *batch]``; negative
            in the padding.
        norms: The norm of ``d state_T / d state_t``, ``[n, *batch]``; zero in the padding.
        residuals: ``|J^T u - s v| / s`` for the norm s and its singular vectors u and v: a singular
            value of J is at most this fraction of s away from s.
        iterations: How many iterations each step took, ``[n]``.
        mask: Whether the row has that step, ``[n, *batch]``.
    """

    steps: Any  # arrays; but a pytree must hold whatever a function of its leaves returns
    lags: Any
    norms: Any
    residuals: Any
    iterations: Any
    mask: Any


@default_promotion
def jacobian_norms(
    cell: Cell,
    params: Params,
    xs: Inputs,
    state: State | None = None,
    *,
    steps: Sequence[int] | None = None,
    iterations: int = 200,
    tolerance: float = 1e-3,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    key: Key | None = None,
) -> JacobianNorms:
    """The spectral norm of ``d state_T / d state_t``, the most that a step can matter to the end.

        found = lj.insight.jacobian_norms(cell, params, xs, steps=range(0, 100, 10))
        found.lags, found.norms  # [10, *batch]

    The factor by which the largest change of a state grows until the row's last step T, in the
    direction of travel (Pascanu, Mikolov & Bengio 2013). It is 1 at T itself, and 0 in front of a
    reset. The state is all floating leaves of a row's state, as one vector.

    The norm is found by power iteration on ``J^T J``, by Jacobian-vector products through the
    sequence and back, without a Jacobian in memory. Each iteration takes two passes over the
    sequence for each of the n steps, and all rows wait for the slowest. The error of a norm is
    usually near the square of its residual. Where two singular values are close, more iterations
    change the vectors and hardly the norm. The first vector is a fixed random one.

    Args:
        cell: The cell; not a bidirectional layer, whose parts end at different steps.
        params: As for ``lj.unroll``, like ``xs``, ``state``, ``lengths``, ``resets``, ``reverse``
            and ``key``.
        xs: The inputs, ``[T, *batch, D]``.
        state: The state before the first step.
        steps: The steps t, n integers from 0 to ``T - 1``; by default 32 of them at most, evenly
            spaced from first to last.
        iterations: The largest number of iterations.
        tolerance: The iteration ends when the residuals of all rows are at most this.
        lengths: The number of steps that count in each row, ``[*batch]``.
        resets: Where rows start anew, ``[T, *batch]``.
        reverse: Whether each row runs from its last step that counts to its first.
        key: The random key of noisy cells.

    Returns:
        The ``JacobianNorms``.

    Raises:
        ValueError, TypeError: For a wrong argument, and for a bidirectional layer.
    """
    call = check_call(cell, params, xs, state, lengths, resets, key, reverse)
    iterations = checking.positive_int("iterations", iterations)
    if checking.real("tolerance", tolerance) <= 0:
        raise WrongValue(f"tolerance: expected a number above 0, got {tolerance!r}")
    chosen = _check_steps(steps, len(call.xs))
    return _power_iteration(call, chosen, iterations, float(tolerance))


def _check_steps(steps: Sequence[int] | None, length: int) -> np.ndarray:
    if length == 0:
        raise WrongValue("xs: expected at least one step, got none")
    if steps is None:
        return np.unique(np.linspace(0, length - 1, min(length, 32)).round().astype(np.int32))
    try:
        chosen = np.asarray(steps)
    except (TypeError, ValueError):
        chosen = np.zeros(0)
    if chosen.ndim != 1 or chosen.size == 0 or not np.issubdtype(chosen.dtype, np.integer):
        raise WrongType(f"steps: expected a sequence of integers, got {steps!r}")
    if chosen.min() < 0 or chosen.max() >= length:
        raise WrongValue(
            f"steps: expected steps from 0 to {length - 1}, got {chosen.min()} to {chosen.max()}"
        )
    return chosen.astype(np.int32)


@functools.partial(jax.jit, static_argnums=2)
def _power_iteration(
    call: Call, steps: jax.Array, iterations: int, tolerance: jax.Array
) -> JacobianNorms:
    traversal = start_traversal(call)
    check_real(traversal.state)
    rank = call.xs.ndim - 2

    def run(added: State) -> tuple[State, Trace]:
        trace = follow(disturb(traversal, added))
        return partition(trace.last)[0], trace

    zeros = zeros_to_add(traversal)
    last, jvp, trace = jax.linearize(run, zeros, has_aux=True)
    transpose = jax.linear_transpose(jvp, zeros)
    if not trace.runs_one_way(call.reverse):
        raise WrongValue(
            f"cell: expected a cell that runs in one direction, got {call.cell.name}; take the "
            "cells of its two directions"
        )
    vectors, unravel = ravel_rows(last, rank)
    first = jax.random.normal(jax.random.key(0), vectors.shape[-1:], vectors.dtype)

    def iterate(step: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        def iteration(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            count, v, *_ = carry
            added = jax.tree.map(lambda zeros, leaf: zeros.at[step].set(leaf), zeros, unravel(v))
            u, _ = ravel_rows(jvp(added), rank)
            s = norm(u)
            u = u / _above_zero(s)
            (pulled,) = transpose(unravel(u))
            w, _ = ravel_rows(jax.tree.map(lambda leaf: leaf[step], pulled), rank)
            residual = norm(w - s[..., None] * v) / _above_zero(s)[..., 0]
            return count + 1, w / _above_zero(norm(w)), s, residual

        unit = jnp.broadcast_to(first / norm(first), vectors.shape)
        largest = jnp.full(vectors.shape[:-1], jnp.inf, vectors.dtype)
        start = (jnp.asarray(0), unit, largest, largest)
        count, _, s, residual = jax.lax.while_loop(
            lambda carry: (carry[0] < iterations) & jnp.any(carry[3] > tolerance), iteration, start
        )
        return s, residual, count

    # A few steps at a time, since each of them holds tangents of all states.
    norms, residuals, counts = jax.lax.map(iterate, steps, batch_size=min(8, len(steps)))
    each = jnp.expand_dims(steps, range(1, 1 + rank))
    ends = jnp.sum(trace.mask, axis=0) - 1
    mask = trace.mask[steps]
    lags = jnp.where(mask, each, ends - each) if call.reverse else ends - each
    return JacobianNorms(steps, lags, norms, residuals, counts, mask)


def _above_zero(norms: jax.Array) -> jax.Array:
    """``norms`` as divisors ``[..., 1]``, with 1 in the place of 0."""
    return jnp.where(norms == 0, 1, norms)[..., None]
