"""Non-finite and huge values at one step, over several blocks of the method "parallel".

The laws of causality run every cell over a few steps; here sequences are longer than a block.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.selection import mostly_slow

GATED = ("linear_attention_gated", "delta_net_gated", "mlstm")

key = jax.random.key
T, B, D = 70, 2, 3
CELLS = {
    "attention": lj.attention(4, 2, 3),
    "attention_long": lj.attention(4, 2, 40, positions="learned"),
    "linear_attention": lj.linear_attention(4, 2),
    "delta_net_gated": lj.linear_attention(4, 2, rule="delta", gated=True),
    "mlstm": lj.mlstm(4, 2),
}
LENGTHS = np.array([T, 50])
RESETS = np.zeros((T, B), bool)
RESETS[[20, 41, 60], [0, 0, 1]] = RESETS[33, 1] = True


@functools.partial(jax.jit, static_argnums=(0, 5, 6))
def run(cell, params, xs, state, masks, method, reverse=False):
    return lj.unroll(cell, params, xs, state, method=method, reverse=reverse, **masks)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "cell, last",
    [(lj.attention(4, 2, 3), 7), (lj.linear_attention(4, 2), 11), (lj.mlstm(4, 2), 11)],
)
def test_a_step_reaches_later_steps_alone(cell, last, bad):
    xs = jax.random.normal(key(0), (12, 1, 3)).at[5].set(bad)
    params = cell.init(key(0), 3)
    for method in ("auto", "scan"):
        ys = lj.unroll(cell, params, xs, method=method)[1]
        finite = np.isfinite(ys).all((1, 2))
        assert list(np.flatnonzero(~finite)) == list(range(5, last + 1)), method


@pytest.mark.parametrize("reverse", mostly_slow([False, True], [False]))
@pytest.mark.parametrize("name", mostly_slow(CELLS, ["attention", "mlstm"]))
def test_bad_steps_over_several_blocks(name, reverse):
    """In any block, in the given state, and beside resets: the same as step by step."""
    cell = CELLS[name]
    params = cell.init(key(0), D)
    clean = jax.random.normal(key(1), (T, B, D))
    zero = cell.initial_state(params, (B,))
    given, _ = run(cell, params, clean[:9], zero, {}, "scan")
    poisoned = jax.tree.map(
        lambda leaf: leaf.at[1].set(jnp.nan) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf,
        given,
    )
    for steps in ((5,), (31, 32), (45, 64)):
        xs = clean.at[np.array(steps), 0].set(jnp.nan).at[steps[0], 1].set(jnp.nan)
        for state in (zero, given, poisoned):
            for masks in ({}, {"lengths": LENGTHS, "resets": RESETS}):
                expected = run(cell, params, xs, state, masks, "scan", reverse)
                got = run(cell, params, xs, state, masks, "parallel", reverse)
                masks_of = [jax.tree.map(np.isfinite, outcome) for outcome in (got, expected)]
                jax.tree.map(np.testing.assert_array_equal, *masks_of)
                for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
                    both = np.isfinite(b)
                    np.testing.assert_allclose(np.where(both, a, 0), np.where(both, b, 0),
                                               rtol=2e-5, atol=2e-6)  # fmt: skip


def test_a_loss_that_reads_nan_has_no_finite_gradient():
    """A training step that checks only gradients must notice it."""
    cell = lj.mlstm(4, 2)
    params = cell.init(key(0), D)
    xs = jax.random.normal(key(1), (12, 1, D)).at[5].set(jnp.nan)

    def loss(params):
        return jnp.mean(lj.unroll(cell, params, xs)[1] ** 2)

    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    assert np.isnan(value) and not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def test_products_that_overflow_reach_later_steps_alone():
    """The inputs are finite, but their products with earlier queries are not."""
    for cell in (lj.linear_attention(4, feature_map="identity", normalize=False), lj.attention(4)):
        params = cell.init(key(0), D)
        xs = jax.random.normal(key(1), (12, 1, D))
        clean = lj.unroll(cell, params, xs)[1]
        ys = lj.unroll(cell, params, xs.at[5].set(1e38))[1]
        np.testing.assert_allclose(ys[:5], clean[:5], rtol=1e-5, atol=1e-6)


def test_a_closed_gate_leaves_the_next_sequence_alone():
    """With an outlier of 1e9 in the first sequence of a row, the second is the same as alone."""
    cell = lj.mlstm(4, forget_bias=-2.0)
    params = cell.init(key(0), D)
    xs = jax.random.normal(key(1), (20, 1, D)).at[4].set(-1e9 * jnp.array([1.0, 0.3, -0.5]))
    resets = jnp.zeros((20, 1), bool).at[8].set(True)
    alone = lj.unroll(cell, params, xs[8:], method="scan")[1]
    assert np.max(np.abs(alone)) > 1.0
    for method in ("auto", "scan"):
        ys = lj.unroll(cell, params, xs, resets=resets, method=method)[1]
        np.testing.assert_allclose(ys[8:], alone, rtol=1e-5, atol=1e-6, err_msg=method)


@pytest.mark.parametrize(
    "name", mostly_slow(["linear_attention_gated", "delta_net_gated", "mlstm"], ["mlstm"])
)
@pytest.mark.parametrize("logit", mostly_slow([-1e9, -1e4, -300.0, 300.0, 1e9], [-300.0]))
def test_gates_nearly_closed_or_open(name, logit):
    """Outputs, states and gradients after one gate of any size equal those step by step."""
    cell = lj.cells.make(name, 4, heads=2)
    params = cell.init(key(0), D)
    at = cell.axis.names.index("forget")
    start = sum(cell.axis.widths[:at])
    xs = jnp.concatenate([jax.random.normal(key(1), (T, B, D)), jnp.zeros((T, B, 1))], -1)
    xs = xs.at[12, 0, -1].set(1.0)
    row = jnp.zeros((1, cell.axis.width)).at[0, start : start + cell.axis.widths[at]].set(logit)
    params |= {"w_x": jnp.concatenate([params["w_x"], row])}

    @functools.partial(jax.jit, static_argnums=1)
    def both(params, method):
        def loss(params):
            state, ys = lj.unroll(cell, params, xs, method=method)
            return jnp.sum(jnp.sin(ys)), (state, ys)

        return jax.value_and_grad(loss, has_aux=True)(params)

    (_, scanned), d_scanned = both(params, "scan")
    (_, parallel), d_parallel = both(params, "parallel")
    close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-4)
    jax.tree.map(close, parallel, scanned)
    jax.tree.map(close, d_parallel, d_scanned)
