"""The cells with a matrix memory and the sLSTM: against NumPy, in chunks, and at extremes."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.core.steps import memory_step
from lstm_jax.unrolling.methods import over_matrices, triangular
from tests.cases import Case
from tests.conformance import LAWS, close, draw
from tests.reference import numpy_matrix_memory as reference
from tests.selection import mostly_slow
from tests.unrolling.allocation import backward_bytes

GATED = ("linear_attention_gated", "delta_net_gated", "mlstm")

T, B, D, H = 7, 3, 3, 4
CELLS = {
    "linear_attention": lj.linear_attention(H, 2),
    "linear_attention_gated": lj.linear_attention(H, 2, gated=True),
    "delta_net": lj.linear_attention(H, 2, rule="delta"),
    "delta_net_gated": lj.linear_attention(H, 2, rule="delta", gated=True),
    "mlstm": lj.mlstm(H, 2),
}


def draw_inputs(cell, dtype=jnp.float64, steps=T):
    params = draw(cell.init(jax.random.key(0), D, dtype), 1, dtype)
    xs = draw(jnp.zeros((steps, B, D)), 2, dtype)
    return params, xs, cell.initial_state(params, (B,))


# --- The papers --------------------------------------------------------------------------------


def without_stabiliser(state):
    """c and n times ``exp(m)``, as in the papers before stabilisation."""
    fields = state._asdict()
    m = fields.pop("m")
    for name in ("c", "n"):
        scale = jnp.expand_dims(jnp.exp(m), range(m.ndim, fields[name].ndim))
        fields[name] = scale * fields[name]
    return fields


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "name, heads, forget",
    mostly_slow(
        itertools.product(["slstm", "mlstm"], [1, 2], ["sigmoid", "exp"]),
        [
            ("slstm", 1, "exp"),
            ("slstm", 2, "sigmoid"),
            ("mlstm", 1, "sigmoid"),
            ("mlstm", 2, "exp"),
        ],
    ),
)
def test_xlstm_cells_equal_numpy(name, heads, forget):
    cell = getattr(lj, name)(H, heads, forget_activation=forget)
    params, xs, zero = draw_inputs(cell)
    given = draw(zero, 3)._replace(n=jnp.abs(draw(zero, 4).n) + 1.0)
    for start in (zero, given):
        expected, expected_ys = getattr(reference, name)(params, xs, start, heads, forget)
        for method in ("scan", "auto"):
            final, ys = lj.unroll(cell, params, xs, start, method=method)
            close((without_stabiliser(final), ys), (expected, expected_ys))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("heads, gated", [(1, False), (2, True)])
@pytest.mark.parametrize("feature_map", ["elu", "softmax", "identity"])
def test_linear_attention_is_attention(feature_map, heads, gated):
    cell = lj.linear_attention(H, heads, feature_map=feature_map, gated=gated)
    params, xs, start = draw_inputs(cell)
    normalize = feature_map != "identity"
    expected = reference.linear_attention(params, xs, heads, feature_map, gated, normalize)
    for method in ("scan", "parallel"):
        close(lj.unroll(cell, params, xs, start, method=method)[1], expected)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("heads, gated", [(1, False), (2, True)])
def test_the_delta_rule_equals_numpy(heads, gated):
    cell = lj.linear_attention(H, heads, rule="delta", gated=gated)
    params, xs, start = draw_inputs(cell)
    start = draw(start, 3)
    expected = reference.delta_net(params, xs, start.memory, heads, gated=gated)
    for method in ("scan", "parallel"):
        final, ys = lj.unroll(cell, params, xs, start, method=method)
        close((final._asdict(), ys), expected)


def test_the_delta_rule_overwrites():
    """A key that is written again with full strength holds its last value; a plain sum holds
    both."""
    k, v, w = jnp.eye(3)[:1], jnp.array([[1.0, 2.0]]), jnp.array([[5.0, -1.0]])
    one = jnp.ones(1)
    memory = {}
    for strength in (one, None):
        s = jnp.zeros((1, 3, 2))
        for value in (v, w):
            of_x = lj.core.Projected(k, k, value, strength=strength)
            s, _ = memory_step(of_x, s, None)
        memory[strength is None] = s[0, 0]
    close(memory, {False: w[0], True: (v + w)[0]}, 0.0)


# --- Chunks ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "law",
    [
        pytest.param("methods_agree", marks=pytest.mark.slow),
        "padding_is_inert",
        pytest.param("gradient_of_gradient", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        # Of whose chunks test_many_steps_at_once_equal_one_after_the_other tells the chief.
        pytest.param("linear_attention_gated", marks=pytest.mark.slow),
        pytest.param("delta_net_gated", marks=pytest.mark.slow),
        "mlstm",
    ],
)
def test_the_laws_hold_across_chunks(name, law, monkeypatch):
    """Chunks of 4 do not divide the laws' T of 6; resets and row ends fall inside them."""
    monkeypatch.setattr(over_matrices, "CHUNK", 4)
    monkeypatch.setattr(over_matrices, "even_block", lambda wanted, steps: int(wanted))
    LAWS[law](Case(CELLS[name]._replace(name=f"{name} in chunks of 4")))


@pytest.mark.parametrize("name", mostly_slow(CELLS, ["delta_net_gated"]))
def test_many_steps_at_once_equal_one_after_the_other(name):
    """In float32, over several chunks, with gates that are occasionally almost closed."""
    cell = CELLS[name]
    params, xs, start = draw_inputs(cell, jnp.float32, 200)
    xs = xs.at[::17].multiply(30.0)
    lengths, resets = np.array([200, 77, 130]), np.zeros((200, B), bool)
    resets[[0, 40, 41, 150], [1, 0, 0, 2]] = True
    given = {"lengths": lengths, "resets": resets}

    def run(method):
        def loss(params, xs):
            state, ys = lj.unroll(cell, params, xs, start, method=method, **given)
            return jnp.mean(jnp.sin(ys)), (state, ys)

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(params, xs)

    (_, got), d_got = run("parallel")
    (_, expected), d_expected = run("scan")
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.max(np.abs(b)))
    for a, b in zip(jax.tree.leaves(d_got), jax.tree.leaves(d_expected), strict=True):
        assert np.linalg.norm(a - b) <= 1e-3 * np.linalg.norm(b) + 1e-7


@pytest.mark.parametrize(
    "name", mostly_slow(["linear_attention_gated", "delta_net_gated", "mlstm"], ["mlstm"])
)
def test_the_memory_of_the_gradient_grows_as_time_does(name):
    """20,000 steps need a few arrays [T, size] and the states between chunks; scores of all pairs
    of steps would take 6.4 GB."""
    cell = lj.cells.make(name, 16, heads=2)

    def arrays(steps):
        return backward_bytes(cell, steps, 2) / (steps * 2 * 16 * 4)

    few, many = arrays(2000), arrays(20000)
    assert many < 1.1 * few and many < 60, (few, many)


@pytest.mark.slow
def test_20000_steps_have_a_gradient():
    cell = lj.mlstm(4, 2)
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (20000, 1, 2))
    loss = lambda xs: jnp.sum(jnp.square(lj.unroll(cell, params, xs)[1][-1]))  # noqa: E731
    late = jax.jit(jax.grad(loss))(xs)[-50:]
    np.testing.assert_allclose(late[-1:], jax.grad(loss)(xs[-2000:])[-1:], rtol=1e-4)
    assert np.all(np.isfinite(late)) and np.any(late[-1])


def test_sums_of_closed_gates_do_not_cancel():
    """Sums between two steps are as exact after gates of e^-100 as without them."""
    keep = jnp.where(jnp.arange(32) % 2 == 0, -100.3, -0.1).at[20:].set(-0.01)[None]
    span, since = over_matrices._log_decays(keep, np.tril(np.ones((32, 32), bool)))
    exact = np.cumsum(np.asarray(keep[0], np.float64))
    np.testing.assert_allclose(span[0, 31, 19], exact[31] - exact[19], rtol=1e-5)
    np.testing.assert_allclose(span[0, 31, 5], exact[31] - exact[5], rtol=1e-6)
    np.testing.assert_allclose(since[0], exact, rtol=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("steps", mostly_slow([1, 2, 7], [1, 7]))
def test_the_triangular_system_is_solved(steps):
    rng = np.random.default_rng(0)
    system, right = rng.normal(size=(2, steps, steps)), rng.normal(size=(2, steps, 3))
    full = np.eye(steps) + np.tril(system, -1)

    def direct(system, right):
        return jnp.linalg.solve(jnp.eye(steps) + jnp.tril(system, -1), right)

    args = jnp.asarray(system), jnp.asarray(right)
    u, pull = jax.vjp(triangular.solve_unit_lower, *args)
    close(full @ u, right)
    d_u = jnp.asarray(rng.normal(size=u.shape))
    close(pull(d_u), jax.vjp(direct, *args)[1](d_u))


# --- Extremes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, forget",
    mostly_slow(
        itertools.product(["slstm", "mlstm"], ["sigmoid", "exp"]),
        [("slstm", "sigmoid"), ("mlstm", "exp")],
    ),
)
def test_gates_at_their_extremes_stay_finite(name, forget):
    """All pairs of input and forget pre-activations of -100, 0 and 100, set by biases."""
    cell = getattr(lj, name)(2, forget_activation=forget)
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (40, 1, 2))

    def run(method):
        def loss(bias):
            b = cell.axis.split(params["b"])
            b |= {g: jnp.full_like(b[g], bias[i]) for i, g in enumerate(("input", "forget"))}
            state, ys = lj.unroll(cell, params | {"b": cell.axis.pack(b)}, xs, method=method)
            leaves = jax.tree.leaves((state, ys))
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves), ys

        return jax.jit(jax.vmap(jax.value_and_grad(loss, has_aux=True)))

    pairs = jnp.array([[i, f] for i in (-100.0, 0.0, 100.0) for f in (-100.0, 0.0, 100.0)])
    outcomes = [run(method)(pairs) for method in ("scan", "auto")]
    for (value, ys), grads in outcomes:
        assert all(np.all(np.isfinite(leaf)) for leaf in (value, ys, grads))
    np.testing.assert_allclose(outcomes[0][0][1], outcomes[1][0][1], rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("i", [-100.0, 100.0])
def test_an_slstm_remembers_the_mean_of_what_it_saw_at_any_scale(i):
    """With open forget gates, h is o times the mean of the cell inputs, whatever i is."""
    cell = lj.slstm(1)
    params = {"w_x": jnp.array([[0.0, 0.0, 1.0, 0.0]]), "w_h": jnp.zeros((1, 4)),
              "b": jnp.array([i, 100.0, 0.0, 100.0])}  # fmt: skip
    xs = jnp.arange(1.0, 5.0)[:, None]
    ys = lj.unroll(cell, params, xs)[1]
    np.testing.assert_allclose(ys[:, 0], np.cumsum(np.tanh(xs[:, 0])) / xs[:, 0], rtol=1e-5)


def test_an_slstm_that_remembers_nothing_does_not_read_its_stabiliser():
    cell = lj.slstm(3)
    params, xs, zero = draw_inputs(cell, jnp.float32)
    far = zero._replace(m=jnp.full_like(zero.m, 90.0))
    close(lj.unroll(cell, params, xs, far), lj.unroll(cell, params, xs, zero), 0.0)


@pytest.mark.parametrize("options", [{"feature_map": "relu"}, {"rule": "delta"}], ids=str)
def test_queries_and_keys_of_zero_have_finite_gradients(options):
    cell = lj.linear_attention(2, **options)
    params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), 2))
    loss = lambda params, xs: jnp.sum(lj.unroll(cell, params, xs)[1])  # noqa: E731
    value, grads = jax.jit(jax.value_and_grad(loss, (0, 1)))(params, jnp.zeros((3, 1, 2)))
    assert value == 0.0 and all(np.all(np.isfinite(g)) for g in jax.tree.leaves(grads))


# --- How they start ----------------------------------------------------------------------------


def test_forget_gates_start_open_and_heads_orthogonal():
    key = jax.random.key(0)
    np.testing.assert_array_equal(lj.mlstm(2).init(key, 1)["b"], [0] * 7 + [3] + [0] * 2)
    gated = partial(lj.linear_attention, 2, gated=True)
    np.testing.assert_array_equal(gated(forget_bias=5.0).init(key, 1)["b"], [0] * 6 + [5])
    params = lj.slstm(6, 2, forget_bias=2.0).init(key, 1)
    np.testing.assert_array_equal(params["b"], np.repeat([0.0, 2.0, 0.0, 0.0], 6))
    for block in np.split(params["w_h"], 8, axis=1):
        np.testing.assert_allclose(block @ block.T, np.eye(3), atol=1e-6)
    chrono = lj.initialize(lj.mlstm(4, 2), b=lj.initializers.chrono(100.0)).init(key, 1)["b"]
    assert np.all(chrono[14:16] > 0)
    np.testing.assert_array_equal(chrono[12:14], -chrono[14:16])
