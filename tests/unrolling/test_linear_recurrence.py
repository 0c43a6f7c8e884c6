"""The solvers of ``h_t = a_t h_{t-1} + b_t`` against a Python loop and JAX's derivatives."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from benchmarks.studies.linear_recurrence import CHUNK, SOLVERS, main
from lstm_jax.unrolling.methods import recurrence
from lstm_jax.unrolling.methods.recurrence import by_platform, linear_recurrence
from tests.cases import Case
from tests.conformance import LAWS, arguments, close
from tests.selection import mostly_slow
from tests.unrolling.allocation import backward_bytes

SOLVERS = SOLVERS | {"by platform": by_platform}
pytestmark = pytest.mark.usefixtures("x64")


def draw_inputs(steps, dtype, shape=(2, 3)):
    rng = np.random.default_rng(0)

    def values(*shape):
        real = rng.normal(size=shape)
        return jnp.asarray(real + 1j * rng.normal(size=shape) if "complex" in dtype else real)

    return 0.6 * values(steps, *shape), values(steps, *shape), values(*shape)


def by_hand(a, b, h0, reverse):
    hs, h = [None] * len(a), h0
    for t in range(len(a))[:: -1 if reverse else 1]:
        h = a[t] * h + b[t]
        hs[t] = h
    return jnp.stack(hs)


def real_loss(solve, *args):
    h = solve(*args)
    weights = np.cos(np.arange(h.size)).reshape(h.shape)
    return jnp.sum(weights * jnp.sin(h.real) + weights[::-1] * h.imag**2)


@pytest.mark.parametrize(
    "reverse, dtype",
    mostly_slow(
        itertools.product([False, True], ["float64", "complex128"]),
        [(False, "complex128"), (True, "float64")],
    ),
)
@pytest.mark.parametrize("solver", SOLVERS)
def test_each_solver_equals_the_loop_by_hand(solver, reverse, dtype):
    args = draw_inputs(7, dtype)
    expected, expected_pull = jax.vjp(partial(by_hand, reverse=reverse), *args)
    solve = jax.jit(partial(linear_recurrence, reverse=reverse, solver=SOLVERS[solver]))
    h, pull = jax.vjp(solve, *args)
    cotangent = draw_inputs(7, dtype)[1]
    close(h, expected)
    close(pull(cotangent), expected_pull(cotangent))


@pytest.mark.parametrize("first, last", mostly_slow([(0, 0), (0, 1), (1, 2)], [(0, 1)]))
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_may_be_constant_along_axes(solver, first, last):
    a, b, h0 = draw_inputs(7, "complex128")
    a = jnp.mean(a, tuple(range(first, last + 1)), keepdims=True)
    solve = jax.jit(partial(linear_recurrence, reverse=True, solver=SOLVERS[solver]))
    spread = lambda a, b, h0: by_hand(a + jnp.zeros_like(b), b, h0, True)  # noqa: E731
    close(solve(a, b, h0), spread(a, b, h0))
    grads = jax.grad(partial(real_loss, solve), (0, 1, 2))(a, b, h0)
    close(grads, jax.grad(partial(real_loss, spread), (0, 1, 2))(a, b, h0))


@pytest.mark.parametrize("dtype", mostly_slow(["float64", "complex128"], ["complex128"]))
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients_of_gradients(solver, dtype):
    args = draw_inputs(5, dtype)

    def squared(solve, *args):
        grads = jax.grad(partial(real_loss, solve), (0, 1, 2))(*args)
        return sum(jnp.sum(g.real**2 + 2.0 * g.imag**2) for g in grads)

    solve = jax.jit(partial(linear_recurrence, solver=SOLVERS[solver]))
    second = jax.jit(jax.grad(partial(squared, solve), (0, 1, 2)))(*args)
    by_jax = jax.jit(jax.grad(partial(squared, partial(by_hand, reverse=False)), (0, 1, 2)))
    close(second, by_jax(*args), 1e-10)


@pytest.mark.parametrize(
    "steps, reverse",
    mostly_slow(
        itertools.product([0, 1, CHUNK, CHUNK + 3], [False, True]),
        [(0, True), (1, False), (CHUNK, False), (CHUNK + 3, True)],
    ),
)
def test_any_number_of_steps(steps, reverse):
    args = draw_inputs(steps, "float64")

    def both(solver, *args):
        solve = jax.jit(partial(linear_recurrence, reverse=reverse, solver=solver))
        return solve(*args), jax.grad(partial(real_loss, solve), (0, 1, 2))(*args)

    expected, *others = (jax.jit(partial(both, solver))(*args) for solver in SOLVERS.values())
    for other in others:
        close(other, expected)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_restart_leaves_nothing_of_nan_and_infinity(solver, reverse):
    a, b, h0 = draw_inputs(9, "float64")
    a = a.at[4].set(0.0)
    before = slice(5, None) if reverse else slice(0, 4)
    since = slice(0, 5) if reverse else slice(4, None)
    solve = jax.jit(
        partial(linear_recurrence, reverse=reverse, restarts=True, solver=SOLVERS[solver])
    )
    broken = b.at[before].set(jnp.nan), jnp.full_like(h0, jnp.inf)
    h, pull = jax.vjp(lambda b, h0: solve(a, b, h0)[since], *broken)
    close(h, by_hand(a, b, h0, reverse)[since])
    d_b, d_h0 = pull(jnp.ones_like(h))
    assert np.all(np.isfinite(d_b)) and not np.any(d_b[before]) and not np.any(d_h0)


LINEAR = lj.chain(lj.min_gru(3), lj.lru(2))
LARGE = lj.chain(lj.attention(2, window=2), lj.linear_attention(2, rule="delta"), lj.mlstm(2))


@pytest.mark.parametrize(
    "cell, method",
    mostly_slow(
        [(LINEAR, "scan"), (LINEAR, "associative"), (LARGE, "scan"), (LARGE, "parallel")],
        [(LINEAR, "scan"), (LINEAR, "associative"), (LARGE, "parallel")],
    ),
)
@pytest.mark.parametrize("reverse", mostly_slow([False, True], [True]))
def test_nan_in_one_sequence_of_a_row_does_not_reach_the_next(cell, method, reverse):
    params = cell.init(jax.random.key(0), 2, jnp.float64)
    xs, resets = jnp.ones((6, 1, 2)), np.array([1, 0, 0, 1, 0, 0], bool)[:, None]
    bad, clean = (slice(3, 6), slice(0, 3)) if reverse else (slice(0, 3), slice(3, 6))

    def loss(xs):
        ys = lj.unroll(cell, params, xs, resets=resets, reverse=reverse, method=method)[1]
        return jnp.sum(ys[clean]), ys

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (_, expected), d_expected = run(xs)
    (_, ys), d_xs = run(xs.at[bad].set(jnp.nan))
    assert np.all(np.isnan(ys[bad]))
    close((ys[clean], d_xs[clean]), (expected[clean], d_expected[clean]))


@pytest.mark.parametrize("cell", [lj.min_gru(32), lj.lru(32)], ids=["min_gru", "lru"])
def test_memory_does_not_grow_by_the_logarithm_of_time(cell):
    """The compiled backward pass keeps a few arrays [T, batch, H], the same number for any T."""

    def arrays(steps):
        return backward_bytes(cell, steps, 8) / (steps * 8 * 32 * 4)

    few, many = arrays(256), arrays(4096)
    assert many < 1.1 * few and many < 30, (few, many)


@pytest.mark.parametrize("platform, loops", [("cpu", True), ("tpu", False)])
def test_the_platform_that_is_compiled_for_decides(platform, loops):
    lowered = (
        jax.jit(linear_recurrence)
        .trace(*draw_inputs(9, "float64"))
        .lower(lowering_platforms=(platform,))
    )
    assert ("stablehlo.while" in lowered.as_text()) == loops


ELSEWHERE = Case(lj.chain(lj.min_gru(2), lj.lru(3)))  # of which no program is kept from before


@pytest.mark.slow
@pytest.mark.parametrize(
    "law",
    [
        pytest.param("methods_agree", marks=pytest.mark.slow),
        "padding_is_inert",
        "vmap_over_seeds",
        pytest.param("gradient_of_gradient", marks=pytest.mark.slow),
        pytest.param("batch_over_devices", marks=[pytest.mark.devices(2), pytest.mark.slow]),
    ],
)
def test_cells_obey_the_laws_with_the_solver_of_other_platforms(law, monkeypatch):
    monkeypatch.setattr(recurrence, "one_by_one", recurrence.all_at_once)
    LAWS[law](ELSEWHERE)
    args = arguments(ELSEWHERE)
    run = jax.jit(lambda xs: lj.unroll(ELSEWHERE.cell, args.params, xs))
    assert "stablehlo.while" not in run.lower(args.xs).as_text()


@pytest.mark.slow
def test_the_benchmark_runs(capsys):
    with jax.enable_x64(False):
        main(["9,2,3"])
    printed = capsys.readouterr().out
    assert "complex64" in printed and "min_gru" in printed
