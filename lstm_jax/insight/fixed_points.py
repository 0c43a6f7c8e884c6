"""Fixed and slow points of a cell at a constant input, with the stability of each."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell, with_memory, without_memory
from lstm_jax.core.typing import Key, Params, State
from lstm_jax.insight.points import FixedPoints, Points
from lstm_jax.insight.traces import Trace
from lstm_jax.insight.vectors import check_real, check_steps, ravel_rows
from lstm_jax.unrolling.masks import partition


@default_promotion
def fixed_points(
    cell: Cell,
    params: Params,
    x: Any,
    starts: State,
    *,
    tolerance: float = 1e-12,
    slow_tolerance: float = 1e-6,
    unique: float = 1e-3,
    steps: int = 1000,
    learning_rate: float = 0.01,
    polish: int = 100,
) -> FixedPoints:
    """The fixed and slow points of ``F(s) = step(s, x)`` at a constant input (Sussillo & Barak
    2013).

        trace = lj.trace(cell, params, xs)
        starts = lj.insight.starts_from(trace, 256, key, noise=0.1)
        points = lj.insight.fixed_points(cell, params, jnp.zeros(3), starts)
        points.states.h[points.stable]

    From all starts at once ``q = |F(s) - s|^2 / 2`` is minimised by Adam, with a learning rate that
    falls to zero (Golub & Sussillo 2018, whose tolerances are the defaults), and then by steps of
    Levenberg and Marquardt with dense Jacobians. Minimising finds saddles as well as stable points,
    and also minima of q above zero, the slow points.

    The search runs in float64 also where JAX is set to float32, whose rounding would hide a q of
    1e-12 for a cell state of size 10. It cannot be called under ``jax.jit``, since the number of
    points is not known before. For R starts and states of size N it takes ``steps`` gradients of
    R steps, and up to ``polish`` times R Jacobians ``[N, N]`` with a QR of each, in
    ``R N^2`` numbers; set ``polish`` to 0 for large states.

    Args:
        cell: A cell that can be stepped, with a state of floats alone.
        params: As ``cell.init`` gives them.
        x: The constant input, ``[D]``.
        starts: States with one leading axis, ``[starts, ...]`` in each leaf.
        tolerance: The largest q of a fixed point.
        slow_tolerance: The largest q of a slow point.
        unique: Two ends that are at most this far apart are one point, that of the lower q.
        steps: The number of steps of Adam.
        learning_rate: The first learning rate of Adam.
        polish: The largest number of steps with Jacobians.

    Returns:
        The ``FixedPoints``.

    Raises:
        ValueError, TypeError: For a wrong argument, for a layer that cannot be stepped, and for a
            state with leaves that are not floats, such as counts.
    """
    cell_checks.cell("cell", cell, memory=True)
    bare = without_memory(cell)
    if checking.float_array("x", x, "[D]", 1).ndim != 1:
        raise WrongValue(f"x: expected [D], got shape {x.shape}")
    cell_checks.params(bare, params, "x", x.shape[0])
    _check_float_state(bare, params)
    rows = _check_starts(bare, params, starts)
    for name, value in (("tolerance", tolerance), ("slow_tolerance", slow_tolerance)):
        if checking.real(name, value) <= 0:
            raise WrongValue(f"{name}: expected a number above 0, got {value!r}")
    for name, value in (("unique", unique), ("learning_rate", learning_rate)):
        if checking.real(name, value) < 0:
            raise WrongValue(f"{name}: expected a number of 0 or more, got {value!r}")
    numbers = checking.seed("steps", steps), checking.seed("polish", polish)
    bound, x, starts = jax.tree.map(_to_float64, (with_memory(cell, params), x, starts))
    with jax.enable_x64(True):
        starts = jax.tree.map(jnp.asarray, starts)
        check_steps(bare, bare.prepare(bound, (rows,), None), starts, jnp.stack([x] * rows))
        first, unravel = ravel_rows(starts, 1)
        ends, q = map(np.asarray, _search(bare, bound, x, starts, *numbers, learning_rate))

        def points(chosen: np.ndarray) -> Points:
            places, found = _unique(ends, q, np.flatnonzero(chosen), unique)
            states = unravel(jnp.asarray(ends[places]))
            eigenvalues = _eigenvalues(bare, bound, x, states, ends.shape[-1])
            between = [np.linalg.norm(first - ends[place], axis=-1).min() for place in places]
            order = np.lexsort((q[places], -found, np.sum(np.abs(eigenvalues) > 1, axis=-1)))
            states = jax.tree.map(lambda leaf: np.asarray(leaf)[order], states)
            fields = ends[places], q[places], eigenvalues, found, np.array(between, float)
            return Points(states, *(field[order] for field in fields))

        fixed = points(q <= tolerance)
        slow = points((q > tolerance) & (q <= slow_tolerance))
    unconverged = rows - int(fixed.found.sum() + slow.found.sum())
    fields = {field.name: getattr(fixed, field.name) for field in dataclasses.fields(fixed)}
    return FixedPoints(**fields, slow=slow, unconverged=unconverged, ends=ends, q_of_ends=q)


def starts_from(trace: Trace, n: int, key: Key, noise: float = 0.0) -> State:
    """States in which the net has been, as starts for ``fixed_points``.

        starts = lj.insight.starts_from(lj.trace(cell, params, xs), 256, key, noise=0.1)

    Args:
        trace: A trace with all fields of the state.
        n: The number of states, drawn from all rows and steps that count, with replacement.
        key: A random key.
        noise: The standard deviation of Gaussian noise that is added, in units of the state.

    Returns:
        States ``[n, ...]``.

    Raises:
        ValueError, TypeError: For a wrong argument, and for a trace that lacks a field.
    """
    if not isinstance(trace, Trace):
        raise WrongType(f"trace: expected a Trace, got {type(trace).__name__}")
    n, key = checking.positive_int("n", n), checking.random_key("key", key)
    if checking.real("noise", noise) < 0:
        raise WrongValue(f"noise: expected a number of 0 or more, got {noise!r}")
    leaves, structure = jax.tree.flatten(trace.states, is_leaf=lambda leaf: leaf is None)
    if any(leaf is None for leaf in leaves):
        raise WrongValue("trace: expected all fields of the state, got a trace that keeps some")
    keys = jax.random.split(key, len(leaves) + 1)
    counts = trace.mask.reshape(-1)
    if not counts.size:
        raise WrongValue("trace: expected a trace with steps and rows, got none")
    places = jax.random.categorical(keys[0], jnp.where(counts, 0.0, -jnp.inf), shape=(n,))
    drawn = []
    for leaf, leaf_key in zip(leaves, keys[1:], strict=True):
        chosen = leaf.reshape(-1, *leaf.shape[trace.mask.ndim :])[places]
        if jnp.issubdtype(chosen.dtype, jnp.floating):
            chosen = chosen + noise * jax.random.normal(leaf_key, chosen.shape, chosen.dtype)
        drawn.append(chosen)
    return jax.tree.unflatten(structure, drawn)


def _to_float64(leaf: Any) -> Any:
    leaf = np.asarray(leaf)
    return leaf.astype(np.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _check_float_state(cell: Cell, params: Params) -> None:
    state = jax.eval_shape(lambda p: cell.initial_state(p), params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(partition(state)[1]):
        raise WrongValue(
            f"cell: expected a state of floats alone, got {leaf.dtype.name} in "
            f"state{jax.tree_util.keystr(path)} of {cell.name}"
        )
    check_real(state)


def _check_starts(cell: Cell, params: Params, starts: State) -> int:
    """The number of starts."""
    leaves = jax.tree.leaves(starts)
    rows = np.shape(leaves[0])[:1] if leaves else ()
    if not rows or rows[0] == 0:
        raise WrongValue("starts: expected states with a leading axis, [starts, ...], got none")
    try:
        cell_checks.state(cell, params, starts, rows)
    except WrongValue as error:
        raise WrongValue(str(error).replace("state", "starts", 1)) from None
    return int(rows[0])


def _step(cell: Cell, params: Params, x: jax.Array, state: State) -> Any:
    """F as a function of one vector ``[N]``, for states like ``state``, which has no batch."""
    prepared = cell.prepare(params, (), None)
    _, unravel = ravel_rows(state, 0)

    def step(vector: jax.Array) -> jax.Array:
        new, _ = cell.advance(prepared, unravel(vector), x)
        return ravel_rows(new, 0)[0]

    return step


@functools.partial(jax.jit, static_argnums=(0, 4, 5))
def _search(
    cell: Cell,
    params: Params,
    x: jax.Array,
    starts: State,
    steps: int,
    polish: int,
    learning_rate: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Where the starts end, as vectors ``[starts, N]``, and q there."""
    step = _step(cell, params, x, jax.tree.map(lambda leaf: leaf[0], starts))
    vectors, _ = ravel_rows(starts, 1)

    def residual(s: jax.Array) -> jax.Array:
        return step(s) - s

    def q_of(s: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum(jnp.square(residual(s)))

    def adam(i: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        s, m, v = carry
        g = jax.vmap(jax.grad(q_of))(s)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * jnp.square(g)
        m_hat, v_hat = m / (1 - 0.9 ** (i + 1)), v / (1 - 0.999 ** (i + 1))
        rate = learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * i / steps))
        return s - rate * m_hat / (jnp.sqrt(v_hat) + 1e-12), m, v

    zeros = jnp.zeros_like(vectors)
    s, _, _ = jax.lax.fori_loop(0, steps, adam, (vectors, zeros, zeros))

    def marquardt(s: jax.Array, q: jax.Array, damping: jax.Array) -> tuple[Any, ...]:
        """One step of one start, which is taken only if it lowers q."""
        r, jacobian = residual(s), jax.jacfwd(residual)(s)
        # The least squares of |J d + r|^2 + damping |d|^2, without squaring J's condition.
        root = jnp.sqrt(damping) * jnp.eye(len(s), dtype=s.dtype)
        orthogonal, upper = jnp.linalg.qr(jnp.concatenate([jacobian, root]))
        d = jax.scipy.linalg.solve_triangular(upper, -orthogonal[: len(s)].T @ r)
        q_new = q_of(s + d)
        better = q_new < q
        damping = jnp.clip(jnp.where(better, damping / 10, damping * 10), 1e-20, 1e10)
        return jnp.where(better, s + d, s), jnp.where(better, q_new, q), damping

    def body(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, s, q, damping = carry
        return i + 1, *jax.vmap(marquardt)(s, q, damping)

    def goes_on(carry: tuple[Any, ...]) -> jax.Array:
        i, _, q, damping = carry
        # Far below the tolerance, so that points and eigenvalues are accurate too. Where nothing
        # lowers q any more, the damping has grown to its limit.
        return (i < polish) & jnp.any((q > 1e-28) & (damping < 1e10))

    q = jax.vmap(q_of)(s)
    first = (jnp.asarray(0), s, q, jnp.full_like(q, 1e-3))
    _, s, q, _ = jax.lax.while_loop(goes_on, body, first)
    return s, q


def _unique(
    ends: np.ndarray, q: np.ndarray, chosen: np.ndarray, unique: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the ``chosen`` ends are kept, and how many ends each stands for."""
    kept: list[int] = []
    found: list[int] = []
    for place in chosen[np.argsort(q[chosen], kind="stable")]:
        near = np.linalg.norm(ends[kept] - ends[place], axis=-1) if kept else np.array([np.inf])
        if near.min() <= unique:
            found[int(near.argmin())] += 1
        else:
            kept.append(int(place))
            found.append(1)
    return np.array(kept, int), np.array(found, int)


def _eigenvalues(cell: Cell, params: Params, x: jax.Array, states: State, size: int) -> np.ndarray:
    """The eigenvalues of the Jacobian at each of the states, ``[P, N]``, the largest first."""
    rows = len(jax.tree.leaves(states)[0])
    eigenvalues = np.zeros((rows, size), complex)
    for i in range(rows):  # one by one, since another number of points would be another program
        state = jax.tree.map(lambda leaf, i=i: leaf[i], states)
        values = np.linalg.eigvals(np.asarray(_jacobian(cell, params, x, state)))
        eigenvalues[i] = values[np.argsort(-np.abs(values), kind="stable")]
    return eigenvalues


@functools.partial(jax.jit, static_argnums=0)
def _jacobian(cell: Cell, params: Params, x: jax.Array, state: State) -> jax.Array:
    return jax.jacfwd(_step(cell, params, x, state))(ravel_rows(state, 0)[0])
