"""Gradients by states and norms of Jacobians, against explicit loops of ``cell.step``."""

import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.insight.vectors import norm
from lstm_jax.unrolling.masks import combine, partition
from tests.cases import CASES
from tests.selection import mostly_slow

T, B, D = 6, 3, 2
LENGTHS = np.array([6, 4, 0])
RESETS = np.zeros((T, B), bool)
RESETS[[2, 0, 3, 5], [0, 0, 1, 1]] = True  # one of them in the padding

CELLS = {
    "lstm": lj.lstm(3),
    "gru": lj.gru(3),
    "chain": lj.chain(lj.lstm(3), lj.residual(lj.gru(3))),
    "attention": lj.attention(4, 2, 3),
    "bidirectional": lj.bidirectional(lj.lstm(3), lj.gru(2)),
}
STEPPED = CELLS | {"bidirectional": (lj.lstm(3), lj.gru(2))}
MASKS = {
    "all": {},
    "lengths": {"lengths": LENGTHS},
    "resets": {"lengths": LENGTHS, "resets": RESETS},
}


def setting(cell, input_size=D):
    params = cell.init(jax.random.key(0), input_size, jnp.float64)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), params)
    return params, jnp.asarray(rng.normal(size=(T, B, *cell.grid.inputs, input_size)))


def loss_of(cell):
    """Reads every output with another weight, and the last state."""
    weights = np.random.default_rng(2).normal(size=(T, B, *cell.grid.outputs, cell.size))

    def loss(ys, last):
        floats = jax.tree.leaves(partition(last)[0])
        return jnp.sum(weights * ys**2) + sum(jnp.sum(jnp.sin(leaf)) for leaf in floats)

    return loss


def run_steps(cell, params, xs, added, lengths=None, resets=None, reverse=False):
    """``(ys, last)`` by steps, with ``added[t]`` added to the state after step t."""
    if type(cell) is tuple:  # the two directions of a bidirectional layer
        ys_f, f = run_steps(cell[0], params["forward"], xs, added.forward, lengths, resets, reverse)
        ys_b, b = run_steps(
            cell[1], params["backward"], xs, added.backward, lengths, resets, not reverse
        )
        return jnp.concatenate([ys_f, ys_b], axis=-1), type(added)(f, b)
    lengths = np.full(B, T) if lengths is None else lengths
    resets = np.zeros((T, B), bool) if resets is None else resets
    initial = state = cell.initial_state(params, (B,))
    ys = [None] * T

    def choose(rows, chosen, other):
        return jax.tree.map(
            lambda a, b: jnp.where(rows.reshape(B, *[1] * (a.ndim - 1)), a, b), chosen, other
        )

    for t in reversed(range(T)) if reverse else range(T):
        valid = t < lengths
        if not reverse:
            first = resets[t]
        else:  # a segment ends where the next one begins
            first = resets[t + 1] & (t + 1 < lengths) if t + 1 < T else np.zeros(B, bool)
        new, y = cell.step(params, choose(first & valid, initial, state), xs[t])
        floats, others = partition(new)
        new = combine(jax.tree.map(lambda leaf, a, t=t: leaf + a[t], floats, added), others)
        state, ys[t] = choose(valid, new, state), jnp.where(valid[:, None], y, 0)
    return jnp.stack(ys), state


def zeros_over_time(cell, params):
    floats, _ = partition(cell.initial_state(params, (B,)))
    return jax.tree.map(lambda leaf: jnp.zeros((T, *leaf.shape)), floats)


@pytest.mark.parametrize(
    ("name", "masks", "reverse"),
    mostly_slow(
        itertools.product(CELLS, MASKS, [False, True]),
        [("lstm", "resets", False), ("lstm", "resets", True), ("bidirectional", "resets", False)],
    ),
)
def test_gradients_are_those_of_a_loop_of_steps(x64, name, masks, reverse):
    cell, masks = CELLS[name], MASKS[masks]
    params, xs = setting(cell)
    loss = loss_of(cell)
    flow = lj.insight.state_gradients(
        cell, params, xs, loss, with_last=True, reverse=reverse, **masks
    )

    def by_steps(added):
        return loss(*run_steps(STEPPED[name], params, xs, added, reverse=reverse, **masks))

    value, expected = jax.jit(jax.value_and_grad(by_steps))(zeros_over_time(cell, params))
    np.testing.assert_allclose(flow.loss, value, rtol=1e-12)
    assert jax.tree.structure(flow.gradients) == jax.tree.structure(expected)
    squares = 0
    for got, norms, want in zip(
        *map(jax.tree.leaves, (flow.gradients, flow.norms, expected)), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-14)
        sums = np.sum(np.square(want), axis=tuple(range(2, want.ndim)))
        np.testing.assert_allclose(norms, np.sqrt(sums), rtol=1e-10, atol=1e-14)
        squares = squares + sums
    np.testing.assert_allclose(flow.total, np.sqrt(squares), rtol=1e-10, atol=1e-14)
    if masks:
        np.testing.assert_array_equal(flow.total[~flow.mask], 0)


def test_a_reset_cuts_the_gradient(x64):
    cell = CELLS["lstm"]
    params, xs = setting(cell)
    flow = lj.insight.state_gradients(cell, params, xs, lambda ys: jnp.sum(ys[-1]), resets=RESETS)
    for row, reset in [(0, 2), (1, 5), (2, 0)]:
        np.testing.assert_array_equal(flow.total[:reset, row], 0)
        assert np.all(flow.total[reset:-1, row] > 0)
    np.testing.assert_array_equal(flow.total[-1], 0)  # the last output is not read by a step


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if "bidirectional" not in name])
def test_every_cell_and_wrapper(x64, name):
    cell, input_size, _ = CASES[name]
    key = CASES[name].key
    if name == "deep_noisy":
        pytest.skip("holds a bidirectional layer")
    params, xs = setting(cell, input_size)
    loss = loss_of(cell)

    def by_steps(added):
        state, ys = cell.initial_state(params, (B,)), []
        for t in range(T):
            state, y = cell.step(params, state, xs[t], key=key)
            floats, others = partition(state)
            floats = jax.tree.map(lambda leaf, added, t=t: leaf + added[t], floats, added)
            state = combine(floats, others)
            ys.append(y)
        return loss(jnp.stack(ys), state)

    expected = jax.jit(jax.grad(by_steps))(zeros_over_time(cell, params))
    flow = lj.insight.state_gradients(cell, params, xs, loss, with_last=True, key=key)
    for got, want in zip(*map(jax.tree.leaves, (flow.gradients, expected)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_curve_against_lag(x64):
    cell = lj.gru(2)
    params, xs = setting(cell)
    for reverse in (False, True):
        flow = lj.insight.state_gradients(
            cell, params, xs, jnp.sum, lengths=jnp.asarray(LENGTHS), reverse=reverse
        )
        curve = flow.by_lag()
        for row, length in enumerate(LENGTHS):
            norms = flow.total[:length, row]
            np.testing.assert_array_equal(curve[:length, row], norms if reverse else np.flip(norms))
            assert np.all(np.isnan(curve[length:, row]))
    np.testing.assert_array_equal(flow.by_lag(flow.norms.h)[:4], flow.norms.h[:4] / (LENGTHS > 0))


@pytest.mark.slow
def test_gradients_that_vanish_are_not_zero():
    """In float32 the squares of gradients below 1e-19 are zero, their norms are not."""
    cell = lj.rnn(1, activation="identity")
    params = {"w_x": jnp.ones((1, 1)), "w_h": jnp.full((1, 1), 0.1), "b": jnp.zeros(1)}
    flow = lj.insight.state_gradients(cell, params, jnp.zeros((31, 1)), lambda ys: ys[-1, 0])
    np.testing.assert_allclose(flow.by_lag()[1:], 0.1 ** np.arange(1, 31), rtol=1e-5)
    np.testing.assert_array_equal(norm(jnp.zeros((2, 3))), np.zeros(2))
    np.testing.assert_allclose(norm(jnp.full((1, 4), 1e30)), 2e30, rtol=1e-6)
    assert np.isnan(norm(jnp.array([jnp.nan, 1.0]))) and np.isinf(norm(jnp.array([jnp.inf, 1.0])))


def test_loss_may_change_between_calls():
    cell = lj.gru(2)
    params, xs = cell.init(jax.random.key(0), D), jnp.ones((3, D))
    scale = 1.0

    def loss(ys):
        return scale * jnp.sum(ys)

    first = lj.insight.state_gradients(cell, params, xs, loss).total
    scale = 2.0
    second = lj.insight.state_gradients(cell, params, xs, loss).total
    np.testing.assert_allclose(second, 2 * first, rtol=1e-6)
    compiled = jax.jit(lambda p: lj.insight.state_gradients(cell, p, xs, loss).total)
    np.testing.assert_allclose(compiled(params), second, rtol=1e-6)


def dense_norms(cell, params, xs, reverse):
    """The spectral norms of the dense Jacobians of each row and step; zero in the padding."""

    def last(added):
        _, state = run_steps(cell, params, xs, added, LENGTHS, RESETS, reverse)
        floats = jax.tree.leaves(partition(state)[0])
        return jnp.concatenate([leaf.reshape(B, -1) for leaf in floats], axis=-1)

    jacobians = jax.jit(jax.jacrev(last))(zeros_over_time(cell, params))
    leaves = [leaf.reshape(*leaf.shape[:4], -1) for leaf in jax.tree.leaves(jacobians)]
    dense = np.concatenate(leaves, axis=-1)  # [B, N, T, B, N]
    return np.array(
        [[np.linalg.norm(dense[row, :, t, row], 2) for row in range(B)] for t in range(T)]
    ) * (np.arange(T)[:, None] < LENGTHS)


@pytest.mark.parametrize(
    ("name", "reverse"),
    [
        ("lstm", False),
        ("gru", True),
        pytest.param("chain", False, marks=pytest.mark.slow),
        pytest.param("attention", True, marks=pytest.mark.slow),
    ],
)
def test_jacobian_norms_are_those_of_dense_jacobians(x64, name, reverse):
    cell = CELLS[name]
    params, xs = setting(cell)
    found = lj.insight.jacobian_norms(
        cell, params, xs, lengths=LENGTHS, resets=RESETS, reverse=reverse,
        iterations=20_000, tolerance=1e-6,
    )  # fmt: skip
    expected = dense_norms(cell, params, xs, reverse)
    assert np.all(found.residuals <= 1e-6) and np.all(found.iterations < 20_000)
    np.testing.assert_allclose(found.norms, expected, rtol=1e-8)
    np.testing.assert_array_equal(found.mask, np.arange(T)[:, None] < LENGTHS)
    ends = np.zeros_like(LENGTHS) if reverse else LENGTHS - 1
    lags = np.abs(ends - np.arange(T)[:, None])
    np.testing.assert_array_equal(found.lags[found.mask], lags[found.mask])
    assert np.all(found.lags[~found.mask] < 0)
    assert np.count_nonzero(expected[found.mask] == 0) > 0  # resets cut them


@pytest.mark.slow
def test_jacobian_norms_of_chosen_steps(x64):
    cell = CELLS["lstm"]
    params, xs = setting(cell)
    every = lj.insight.jacobian_norms(cell, params, xs, tolerance=1e-6, iterations=5000)
    some = lj.insight.jacobian_norms(
        cell, params, xs, steps=[4, 1], tolerance=1e-6, iterations=5000
    )
    np.testing.assert_array_equal(some.steps, [4, 1])
    np.testing.assert_allclose(some.norms, every.norms[np.array([4, 1])], rtol=1e-8)
    few = lj.insight.jacobian_norms(cell, params, xs, steps=range(2), iterations=1)
    np.testing.assert_array_equal(few.iterations, [1, 1])
    assert np.all(few.residuals > 1e-3)
    assert len(lj.insight.jacobian_norms(cell, params, jnp.ones((100, D))).steps) == 32


@pytest.fixture
def without_shape_annotations():
    """Users' calls are not type-checked: our own errors must come first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": 3}, "loss: expected a function of the outputs, got 3"),
        ({"loss": lambda ys: ys}, "loss: expected a scalar float, got float32 of shape"),
        ({"loss": lambda ys: jnp.sum(ys).astype(int)}, "loss: expected a scalar float, got int32"),
        ({"with_last": 1}, "with_last: expected True or False"),
        ({"lengths": jnp.ones(3, int)}, "lengths: expected shape"),
        ({"cell": lj.lstm}, "cell: expected a Cell"),
    ],
)
def test_bad_input_of_gradients(change, message, without_shape_annotations):
    cell = lj.gru(2)
    arguments = {"cell": cell, "params": cell.init(jax.random.key(0), D), "loss": jnp.sum}
    with pytest.raises(lj.ArgumentError, match=message):
        lj.insight.state_gradients(xs=jnp.ones((3, D)), **(arguments | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": [3]}, "steps: expected steps from 0 to 2, got 3 to 3"),
        ({"steps": [-1]}, "steps: expected steps from 0 to 2"),
        ({"steps": [0.5]}, "steps: expected a sequence of integers"),
        ({"steps": 3}, "steps: expected a sequence of integers, got 3"),
        ({"iterations": 0}, "iterations: expected a positive integer"),
        ({"tolerance": 0}, "tolerance: expected a number above 0"),
        ({"xs": jnp.ones((0, D))}, "xs: expected at least one step"),
    ],
)
def test_bad_input_of_jacobian_norms(change, message, without_shape_annotations):
    cell = lj.gru(2)
    arguments = {"cell": cell, "params": cell.init(jax.random.key(0), D), "xs": jnp.ones((3, D))}
    with pytest.raises(lj.ArgumentError, match=message):
        lj.insight.jacobian_norms(**(arguments | change))


def test_bidirectional_layers_have_no_last_step():
    layer = lj.bidirectional(lj.gru(2), lj.gru(2))
    params, xs = layer.init(jax.random.key(0), D), jnp.ones((3, D))
    with pytest.raises(lj.WrongValue, match="cell: expected a cell that runs in one direction"):
        lj.insight.jacobian_norms(layer, params, xs)
    flow = lj.insight.state_gradients(layer, params, xs, jnp.sum)
    with pytest.raises(lj.WrongValue, match="by_lag: expected a cell that runs in one direction"):
        flow.by_lag()
    flow = lj.insight.state_gradients(lj.gru(2), params["forward"], xs, jnp.sum)
    with pytest.raises(lj.WrongValue, match="norms: expected shape"):
        flow.by_lag(jnp.ones(2))
