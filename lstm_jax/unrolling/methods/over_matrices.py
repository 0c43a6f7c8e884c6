"""Matrix memories over a whole sequence: large products within chunks, and a loop over chunks.

With ``F_t`` the sum of ``log_keep`` over the steps of a chunk up to t, the outputs of a chunk are

    m_t = max(F_t + m_0, max_{s <= t} (F_t - F_s + log_write_s))
    P_ts = exp(F_t - F_s + log_write_s - m_t)  for s <= t, else 0
    o_t = exp(F_t + m_0 - m_t) q_t S_0 + sum_s P_ts (q_t k_s) u_s

and the memory after the chunk is the same sum with the last row of P and keys instead of scores
(Beck et al. 2024, appendix on the parallel mLSTM; Katharopoulos et al. 2020, section 3.2, without
gates). No exponent is above zero. Under the delta rule, the u of a chunk solve a unit lower
triangular system (Yang et al. 2024, section 3: the UT transform),

    u_t + strength_t sum_{s < t} P_ts (k_t k_s) u_s = strength_t (v_t - exp(F_t) k_t S_0).

A start inside a chunk cuts all sums there, and the initial state replaces ``S_0``.

Numbers that are not finite would spread to all steps of a chunk, since zero times NaN is NaN. So
steps that write such numbers are left out of the products, and outputs become NaN from that step
to the end of its sequence.

Milliseconds, forward and backward, by the steps of a chunk, for 32 x 512 steps of 128 inputs and
128 units in 4 heads, on two cores of an AMD EPYC (jax 0.10.2, medians of 7, with
``keep_freed_memory``); softmax attention with ``jax.nn.dot_product_attention`` and the same four
products takes 384:

                             16     32     64    128
    linear attention, gated 157    151    161    209
    mlstm                   164    153    177    233
    delta rule, gated       265    245    265
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.core.forms import MatrixMemory, Projected
from lstm_jax.core.numerics import like
from lstm_jax.core.typing import BatchShape, Params, State
from lstm_jax.unrolling.blocks import even_block, over_blocks
from lstm_jax.unrolling.masks import nan_where, not_finite, where, zero_where_not
from lstm_jax.unrolling.methods.triangular import solve_unit_lower

CHUNK = 32
LOG_ZERO = -1e30  # a finite logarithm of zero, so that the difference of two is not NaN


def why(form: MatrixMemory, shape: BatchShape) -> tuple[str, ...]:
    """The decisions of this solver, in words."""
    return (f"a matrix memory: products within chunks of about {CHUNK} steps, a loop over chunks",)


def over_sequence(
    form: MatrixMemory,
    params: Params,
    xs: jax.Array,
    state: State,
    initial: State,
    lengths: jax.Array | None,
    starts: jax.Array | None,
) -> tuple[State, jax.Array]:
    """The solver of matrix memories; see ``parallel.SOLVERS``.

    The body of a chunk is recomputed in the backward pass, so that only the memories between chunks
    are kept.
    """
    valid = None
    if lengths is not None:
        times = jnp.expand_dims(jnp.arange(xs.shape[0]), range(1, xs.ndim - 1))
        valid = times < lengths
        starts = None if starts is None else starts & valid
    of_x, bad = _finite_writes(_without_writes(form.project(params, xs), valid))
    inputs, again = (of_x._replace(aside=None), bad, starts), _finite_memory(*form.read(initial))
    carry = _finite_memory(*form.read(state))

    def chunk(carry: Memory, block: tuple[Any, ...]) -> tuple[Memory, tuple[Any, ...]]:
        return _chunk(carry, again, *block)

    carry, (o, ms) = over_blocks(
        jax.checkpoint(chunk, prevent_cse=False),
        carry,
        inputs,
        even_block(float(CHUNK), xs.shape[0]),
        reverse=False,
    )
    s = nan_where(carry.bad, carry.s, of_x.q[-1])
    m = carry.m if carry.m is None else nan_where(carry.bad, carry.m, of_x.q[-1])
    return like(state, form.write(s, m)), form.output(params, o, ms, of_x.aside)


def _without_writes(of_x: Projected, valid: jax.Array | None) -> Projected:
    """``of_x`` with steps that keep everything and write nothing where ``valid`` is False."""
    if valid is None:
        return of_x
    keep, write = of_x.log_keep, of_x.log_write
    return of_x._replace(
        k=zero_where_not(valid, of_x.k),
        log_keep=None if keep is None else zero_where_not(valid, keep),
        log_write=None if write is None else where(valid, write, jnp.full_like(write, LOG_ZERO)),
    )


def _finite_writes(of_x: Projected) -> tuple[Projected, jax.Array]:
    """``of_x`` without the writes whose key, value or gate is not finite.

    Returns:
        The new ``of_x``, and where these writes were, ``[T, *batch, heads]``.
    """
    logs = {
        name: jnp.maximum(value, LOG_ZERO)  # a logarithm of minus infinity is valid
        for name in ("log_keep", "log_write")
        if (value := getattr(of_x, name)) is not None
    }
    of_x = of_x._replace(**logs)
    bad = not_finite(of_x.k) | not_finite(of_x.v)
    for value in (*logs.values(), of_x.strength):
        bad = bad if value is None else bad | ~jnp.isfinite(value)
    return _without_writes(of_x, ~bad)._replace(
        v=zero_where_not(~bad, of_x.v),
        strength=None if of_x.strength is None else zero_where_not(~bad, of_x.strength),
    ), bad


class Memory(NamedTuple):
    """The finite part of a memory and of its stabiliser, and the heads that are not finite."""

    s: jax.Array  # [*batch, heads, K, V]
    m: jax.Array | None  # [*batch, heads]
    bad: jax.Array  # [*batch, heads]


def _finite_memory(s: jax.Array, m: jax.Array | None) -> Memory:
    bad = jnp.any(~jnp.isfinite(s), axis=(-2, -1))
    if m is not None:
        m = jnp.maximum(m, LOG_ZERO)
        bad = bad | ~jnp.isfinite(m)
    s, m = zero_where_not(~bad, (s, m))
    return Memory(s, m, bad)


class Weights(NamedTuple):
    """The composition of the memory at each step t of a chunk of C steps.

    Attributes:
        seen: Whether step s is at or before t in the same sequence, ``[..., C, C]``.
        of_writes: The share of the write at s that remains at t, where seen, ``[..., C, C]``.
        of_carried: The share of the memory before the chunk that remains, ``[..., C]``.
        of_initial: The share of the initial memory, ``[..., C]``; None if no row restarts.
        m: The stabilisers, ``[*batch, heads, C]``, or None.
    """

    seen: Any
    of_writes: jax.Array
    of_carried: jax.Array
    of_initial: jax.Array | None
    m: jax.Array | None


def _chunk(
    carried: Memory, initial: Memory, of_x: Projected, bad: jax.Array, starts: jax.Array | None
) -> tuple[Memory, tuple[Any, ...]]:
    """One chunk: ``(memory, (o, m of each step))``."""
    q, k, v = (jnp.moveaxis(a, 0, -2) for a in of_x[:3])  # [*batch, heads, C, ...]
    keep, write, strength = (None if a is None else jnp.moveaxis(a, 0, -1) for a in of_x[3:6])
    bad, q_given = jnp.moveaxis(bad, 0, -1), q
    bad_query = not_finite(q)  # which affects only its own step
    q = zero_where_not(~bad_query, q)
    begins = segment = None
    if starts is not None:
        begins = jnp.moveaxis(starts, 0, -1)[..., None, :]  # the same in each head
        segment = jnp.cumsum(begins.astype(jnp.int32), axis=-1)
    weights = _weights(keep, write, segment, carried.m, initial.m, k.shape[-2], v.dtype)

    def of_earlier(rows: jax.Array) -> jax.Array:
        """What ``rows [..., C, K]`` read at their steps from the memory before the chunk."""
        read = weights.of_carried[..., None] * (rows @ carried.s)
        if weights.of_initial is not None:
            read = read + weights.of_initial[..., None] * (rows @ initial.s)
        return read

    def of_writes(rows: jax.Array) -> jax.Array:
        """The factor of each write in what ``rows [..., C, K]`` read: ``[..., C, C]``."""
        return weights.of_writes * jnp.where(weights.seen, rows @ k.mT, 0.0)

    u = v
    if strength is not None:
        system = strength[..., None] * of_writes(k)  # its diagonal is not read
        u = solve_unit_lower(system, strength[..., None] * (v - of_earlier(k)))
        overflown = not_finite(u)
        u, bad = zero_where_not(~overflown, u), bad | overflown
    o = of_earlier(q) + of_writes(q) @ u
    s = weights.of_carried[..., -1, None, None] * carried.s
    if weights.of_initial is not None:
        s = s + weights.of_initial[..., -1, None, None] * initial.s
    last = jnp.where(weights.seen[..., -1, :], weights.of_writes[..., -1, :], 0.0)
    s = s + (last[..., None] * k).mT @ u
    reached = _reached_by_bad(bad, begins, carried.bad, initial.bad)
    m, ms = None, None
    if weights.m is not None:
        m, ms = weights.m[..., -1], jnp.moveaxis(nan_where(reached, weights.m, q_given), -1, 0)
    o = nan_where(reached | bad_query, o, q_given)
    return Memory(s, m, reached[..., -1]), (jnp.moveaxis(o, -2, 0), ms)


def _reached_by_bad(
    bad: jax.Array, begins: jax.Array | None, carried_bad: jax.Array, initial_bad: jax.Array
) -> jax.Array:
    """The steps ``[*batch, heads, C]`` at or after a bad one in their sequence."""
    axis, step = bad.ndim - 1, jnp.arange(bad.shape[-1])
    last_bad = jax.lax.cummax(jnp.where(bad, step, -1), axis)
    carried_bad, initial_bad = carried_bad[..., None], initial_bad[..., None]
    if begins is None:
        return (last_bad >= 0) | carried_bad
    start = jax.lax.cummax(jnp.where(begins, step, -1), axis)
    reached = (last_bad >= 0) & (last_bad >= start)
    return reached | jnp.where(start >= 0, initial_bad, carried_bad)


def _weights(
    keep: jax.Array | None,
    write: jax.Array | None,
    segment: jax.Array | None,
    m: jax.Array | None,
    initial_m: jax.Array | None,
    steps: int,
    dtype: Any,
) -> Weights:
    """The composition of a chunk, from ``keep`` and ``write [*batch, heads, C]``."""
    seen: Any = np.tril(np.ones((steps, steps), bool))
    anew = None
    if segment is not None:
        seen = seen & (segment[..., :, None] == segment[..., None, :])
        anew = segment > 0
    span, since = _log_decays(keep, seen)
    if write is None:
        of_writes = jnp.exp(jnp.where(seen, span, 0.0)).astype(dtype)
        of_earlier, stabilisers = jnp.exp(since).astype(dtype), None
    else:
        assert m is not None and initial_m is not None
        start = (
            m[..., None] if anew is None else jnp.where(anew, initial_m[..., None], m[..., None])
        )
        logs = jnp.where(seen, span + write[..., None, :], LOG_ZERO)
        stabilisers = jnp.maximum(jnp.max(logs, axis=-1), since + start)
        of_writes = jnp.exp(logs - stabilisers[..., None])
        of_earlier = jnp.exp(since + start - stabilisers)
    if anew is None:
        return Weights(seen, of_writes, of_earlier, None, stabilisers)
    return Weights(
        seen,
        of_writes,
        jnp.where(anew, 0.0, of_earlier),
        jnp.where(anew, of_earlier, 0.0),
        stabilisers,
    )


def _log_decays(keep: jax.Array | None, seen: Any) -> tuple[Any, Any]:
    """The sums of ``keep`` from step s to t, ``[..., C, C]``, and up to t within the segment.

    Each is summed separately. Differences of prefix sums would cost less, but lose all digits after
    a gate that is nearly closed.
    """
    steps = seen.shape[-1]
    if keep is None:
        return np.zeros((steps, steps)), np.zeros(steps)
    step = np.arange(steps)
    between = (step < step[:, None, None]) & (step[:, None] >= step[:, None, None])  # s < r <= t
    return _sums("...r,rts->...ts", keep, between), _sums("...r,...tr->...t", keep, seen)


def _sums(terms: str, keep: jax.Array, chosen: Any) -> jax.Array:
    """The sums of those entries of ``keep`` that are ``chosen``."""
    chosen = jnp.asarray(chosen, keep.dtype)
    return jnp.einsum(terms, keep, chosen, precision=jax.lax.Precision.HIGHEST)
