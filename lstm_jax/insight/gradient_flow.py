"""How far back a loss reaches: its gradient by the states, and the Jacobians between states."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
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
from lstm_jax.unrolling.call import STATIC, Call
from lstm_jax.unrolling.masks import combine, partition
from lstm_jax.unrolling.parts import start_traversal


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GradientFlow:
    """The gradient of a loss by the state after each step.

    Attributes:
        loss: The loss, ``[]``.
        gradients: By the states: the cell's own state, each leaf with a leading T; None for
            leaves that are not floats, such as counts.
        norms: The Euclidean norm of each leaf's gradient over its units, ``[T, *batch]``, in the
            same structure.
        total: The norm over all leaves together, ``[T, *batch]``.
        mask: The steps that count, ``[T, *batch]``.
        reverse: Whether the rows ran from their last step to their first.
        one_way: Whether all parts ran in one direction, as those of a bidirectional layer do not.
    """

    loss: jax.Array
    gradients: State
    norms: State
    total: jax.Array
    mask: jax.Array
    reverse: bool = dataclasses.field(metadata=STATIC)
    one_way: bool = dataclasses.field(metadata=STATIC)

    def by_lag(self, norms: jax.Array | None = None) -> jax.Array:
        """Norms against the lag: entry k is that of the state k steps before the row's last.

            jnp.nanmean(flow.by_lag(), axis=1)  # the curve of the mean row

        Args:
            norms: ``[T, *batch]``, such as ``flow.norms.c``; by default ``total``.

        Returns:
            ``[T, *batch]``, NaN where the row has no step that long ago.

        Raises:
            ValueError: For norms of another shape, and for a layer whose parts ran in both
                directions.
        """
        if not self.one_way:
            raise WrongValue(
                "by_lag: expected a cell that runs in one direction, got one with parts in both"
            )
        norms = self.total if norms is None else checking.array("norms", norms)
        if norms.shape != self.mask.shape:
            raise WrongValue(f"norms: expected shape {self.mask.shape}, got {norms.shape}")
        lags = jnp.expand_dims(jnp.arange(len(norms)), range(1, norms.ndim))
        counts = jnp.sum(self.mask, axis=0)
        steps = lags if self.reverse else counts - 1 - lags
        found = jnp.take_along_axis(
            norms, jnp.broadcast_to(steps, norms.shape) % max(len(norms), 1), 0
        )
        return jnp.where(lags < counts, found, jnp.nan)


@default_promotion
def state_gradients(
    cell: Cell,
    params: Params,
    xs: Inputs,
    loss: Callable[..., jax.Array],
    state: State | None = None,
    *,
    with_last: bool = False,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    key: Key | None = None,
) -> GradientFlow:
    """The gradient of a loss by the state after each step, and its norms.

        flow = lj.insight.state_gradients(cell, params, xs, lambda ys: jnp.sum(ys[-1]))
        flow.norms.c  # [T, *batch]

    The gradient at step t is by the state as step t + 1 reads it (Hochreiter 1991; Pascanu,
    Mikolov & Bengio 2013, eq. 3-5): it is what the outputs after t owe to it, and the last state.
    The output of step t itself does not come in, so that with a loss of the last output the
    gradient at the last step is zero. With ``with_last`` and a loss of the last state's h the
    gradient by that h at the last step is the loss's own.

    It is zero in the padding, and in front of a reset for what comes after it. In a composite the
    states of each part count as of their own: a layer's state is what its own next step reads.

    It takes a forward pass for the outputs, a second one and a backward pass; the gradients take
    as much as the states over time.

    Args:
        cell: The cell, or a layer such as ``lj.bidirectional``.
        params: As for ``lj.unroll``, like the arguments that follow.
        xs: The inputs, ``[T, *batch, D]``.
        loss: ``ys -> []``, a scalar of the outputs ``[T, *batch, H]``. That of a mean over rows
            has gradients as small as the rows are many.
        state: The state before the first step.
        with_last: Whether the loss reads the last state too, ``(ys, last) -> []``.
        lengths: The number of steps that count in each row, ``[*batch]``.
        resets: Where rows start anew, ``[T, *batch]``.
        reverse: Whether each row runs from its last step that counts to its first.
        key: The random key of noisy cells.

    Returns:
        The ``GradientFlow``.

    Raises:
        ValueError, TypeError: For a wrong argument, and for a loss that is not a real scalar.
    """
    call = check_call(cell, params, xs, state, lengths, resets, key, reverse)
    if not callable(loss):
        raise WrongType(f"loss: expected a function of the outputs, got {loss!r}")
    checking.flag("with_last", with_last)
    ys, last = _run(call)
    floats, others = partition(last)

    def checked(ys: jax.Array, floats: Any) -> jax.Array:
        value = jnp.asarray(loss(ys, combine(floats, others)) if with_last else loss(ys))
        if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
            raise WrongValue(
                f"loss: expected a scalar float, got {value.dtype.name} of shape {value.shape}"
            )
        return value

    # Outside of the compiled functions: what the loss closes over may change between two calls.
    value, cotangents = jax.value_and_grad(checked, (0, 1))(ys, floats)
    return _pull(call, value, *cotangents)


@jax.jit
def _run(call: Call) -> tuple[jax.Array, State]:
    trace = follow(start_traversal(call))
    return trace.outputs, trace.last


@jax.jit
def _pull(call: Call, loss: jax.Array, d_ys: jax.Array, d_last: State) -> GradientFlow:
    """The gradients by the states, from those of ``loss`` by the outputs and the last state."""
    traversal = start_traversal(call)

    def run(added: State) -> tuple[Any, Trace]:
        trace = follow(disturb(traversal, added))
        return (trace.outputs, partition(trace.last)[0]), trace

    _, pull, trace = jax.vjp(run, zeros_to_add(traversal), has_aux=True)
    (gradients,) = pull((d_ys, d_last))
    rank = trace.mask.ndim
    norms = jax.tree.map(lambda leaf: norm(leaf, tuple(range(rank, leaf.ndim))), gradients)
    total = norm(jnp.stack(jax.tree.leaves(norms), axis=-1))
    one_way = trace.runs_one_way(call.reverse)
    return GradientFlow(loss, gradients, norms, total, trace.mask, call.reverse, one_way)


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

    steps: jax.Array
    lags: jax.Array
    norms: jax.Array
    residuals: jax.Array
    iterations: jax.Array
    mask: jax.Array


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
        def iteration(carry: tuple) -> tuple:
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
