"""A solver of unit lower triangular systems, by products only."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def solve_unit_lower(system: jax.Array, right: jax.Array) -> jax.Array:
    """Solves ``(I + L) u = right`` for ``u [..., C, V]``.

    L is the part of ``system [..., C, C]`` below its diagonal. The derivatives solve systems with
    the same L, or with its transpose from the end. ``jax.lax.linalg.triangular_solve`` has no
    derivatives on Explicit meshes.
    """
    below = np.tril(np.ones(system.shape[-2:], bool), -1)

    def times(u: jax.Array) -> jax.Array:
        return u + jnp.where(below, system, 0.0) @ u

    def solve(_: Any, right: jax.Array) -> jax.Array:
        return _solve_by_halves(system, right)

    def solve_transposed(_: Any, right: jax.Array) -> jax.Array:
        flipped = jnp.flip(system.mT, (-2, -1))
        return jnp.flip(_solve_by_halves(flipped, jnp.flip(right, -2)), -2)

    return jax.lax.custom_linear_solve(times, right, solve, solve_transposed)


def _solve_by_halves(system: jax.Array, right: jax.Array) -> jax.Array:
    """Solves for the first half of u, subtracts its part, and solves for the second half.

    It consists of products only, which work on every mesh.
    """
    steps = right.shape[-2]
    if steps == 1:
        return right
    half = steps // 2
    first = _solve_by_halves(system[..., :half, :half], right[..., :half, :])
    rest = right[..., half:, :] - system[..., half:, :half] @ first
    return jnp.concatenate([first, _solve_by_halves(system[..., half:, half:], rest)], axis=-2)
