"""Lyapunov exponents: how fast nearby states of a driven net come together or fall apart."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Inputs, Key, Params, State
from lstm_jax.insight.vectors import check_real, check_steps, ravel_rows
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.masks import combine, partition
from lstm_jax.unrolling.parts import start_traversal


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LyapunovSpectrum:
    """The largest Lyapunov exponents of each row's trajectory, n = ``count`` of them.

    Attributes:
        exponents: In 1/step and natural logarithms, the largest first, ``[*batch, n]``. Where the
            largest is below 0, nearby states come together, and above 0 there is chaos. Minus
            infinity is a direction that a step forgets at once, such as a window's oldest place.
        growth: The logarithm of the growth in each step that counts, ``[T - discard, *batch, n]``,
            of which the exponents are the mean.
    """

    exponents: Any  # arrays; but a pytree must hold whatever a function of its leaves returns
    growth: Any

    def running(self) -> jax.Array:
        """The exponents from the first t steps for each t, ``[T - discard, *batch, n]``: how far
        they have converged."""
        steps = jnp.arange(1, len(self.growth) + 1, dtype=self.growth.dtype)
        sums = jnp.cumsum(self.growth, axis=0)
        return sums / jnp.expand_dims(steps, range(1, sums.ndim))


@default_promotion
def lyapunov_exponents(
    cell: Cell,
    params: Params,
    xs: Inputs,
    state: State | None = None,
    *,
    count: int | None = None,
    discard: int = 0,
    key: Key | None = None,
) -> LyapunovSpectrum:
    """The Lyapunov exponents of a cell that is driven by ``xs``.

        found = lj.insight.lyapunov_exponents(cell, params, xs, count=4, discard=100)
        found.exponents  # [*batch, 4]

    An orthonormal frame is carried along the trajectory by Jacobian-vector products of the step and
    made orthonormal again by QR after each (Benettin et al. 1980; for recurrent nets Engelken, Wolf
    & Abbott 2023). The exponents are the mean logarithms of the diagonal of R.

    The first frame is the identity for all exponents, and a fixed random one for some of them. It
    turns towards the directions that grow most, and ``discard`` leaves those steps out; the error
    falls as 1 over the number of steps that count.

    The state is all floating leaves of a row's state, as one vector of size N; counts of steps go
    along. Each step takes ``count`` products with the Jacobian, and a QR of ``N count^2``.

    Args:
        cell: A cell that can be stepped.
        params: As for ``lj.unroll``.
        xs: The inputs, ``[T, *batch, D]``; zeros for the net on its own.
        state: The state before the first step.
        count: How many of the largest exponents; by default all N.
        discard: The number of first steps that do not count.
        key: The random key of noisy cells.

    Returns:
        The ``LyapunovSpectrum``.

    Raises:
        ValueError, TypeError: For a wrong argument, and for a layer that cannot be stepped.
    """
    call = check_call(cell, params, xs, state, None, None, key)
    count = None if count is None else checking.positive_int("count", count)
    discard = checking.seed("discard", discard)
    if discard >= len(call.xs):
        raise WrongValue(
            f"discard: expected fewer than the {len(call.xs)} steps of xs, got {discard}"
        )
    return _spectrum(call, count, discard)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _spectrum(call: Call, count: int | None, discard: int) -> LyapunovSpectrum:
    cell, params, xs, start, *_ = start_traversal(call)
    check_real(start)
    check_steps(cell, params, start, xs[0])
    rank = xs.ndim - 2
    vectors, unravel = ravel_rows(partition(start)[0], rank)
    size = vectors.shape[-1]
    if count is not None and count > size:
        raise WrongValue(
            f"count: expected at most {size}, the size of a state of {cell.name}, got {count}"
        )
    frame = jnp.eye(size, dtype=vectors.dtype)
    if count is not None and count < size:
        gaussian = jax.random.normal(jax.random.key(0), (size, count), vectors.dtype)
        frame = jnp.linalg.qr(gaussian)[0]

    def body(carry: tuple[State, jax.Array], x: jax.Array) -> tuple[Any, jax.Array]:
        state, frame = carry
        floats, others = partition(state)

        def step(floats: State) -> tuple[State, State]:
            new, _ = cell.advance(params, combine(floats, others), x)
            return partition(new)

        new, jvp, others = jax.linearize(step, floats, has_aux=True)
        columns = jax.vmap(lambda column: ravel_rows(jvp(unravel(column)), rank)[0])(
            jnp.moveaxis(frame, -1, 0)
        )
        frame, r = jnp.linalg.qr(jnp.moveaxis(columns, 0, -1))
        growth = jnp.log(jnp.abs(jnp.diagonal(r, axis1=-2, axis2=-1)))
        return (combine(new, others), frame), growth

    frames = jnp.broadcast_to(frame, (*vectors.shape[:-1], *frame.shape))
    _, growth = jax.lax.scan(body, (start, frames), xs)
    growth = growth[discard:]
    means = jnp.mean(growth, axis=0)
    order = jnp.argsort(-means, axis=-1)
    return LyapunovSpectrum(
        jnp.take_along_axis(means, order, -1), jnp.take_along_axis(growth, order[None], -1)
    )
