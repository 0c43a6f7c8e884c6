"""Fixed points of maps that are known, and those of nets that have learnt a 3-bit flip-flop."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import lstm_jax as lj
from lstm_jax import tasks


def tanh_net(units):
    """Units that do not see each other, each with ``h -> tanh(2 h + x)``."""
    params = {"w_x": jnp.ones((1, units)), "w_h": 2 * jnp.eye(units), "b": jnp.zeros(units)}
    return lj.rnn(units), params


def random_starts(cell, params, n, scale=1.0):
    state = cell.initial_state(params, (n,))
    leaves, structure = jax.tree.flatten(state)
    rng = np.random.default_rng(0)
    leaves = [jnp.asarray(scale * rng.normal(size=leaf.shape), leaf.dtype) for leaf in leaves]
    return jax.tree.unflatten(structure, leaves)


def root(x, h):
    """The solution of ``h = tanh(2 h + x)`` near h, by Newton's method."""
    for _ in range(50):
        f = np.tanh(2 * h + x)
        h -= (f - h) / (2 * (1 - f**2) - 1)
    return h


def test_one_unit():
    """With w = 2: 0 is unstable and the two others, +-0.9575, are stable."""
    cell, params = tanh_net(1)
    points = lj.insight.fixed_points(cell, params, jnp.zeros(1), random_starts(cell, params, 50))
    s = root(0, 1.0)
    np.testing.assert_array_equal(points.stable, [True, True, False])
    np.testing.assert_array_equal(points.unstable, [0, 0, 1])
    np.testing.assert_allclose(np.sort(points.vectors[:2, 0]), [-s, s], atol=1e-12)
    np.testing.assert_allclose(points.vectors[2], 0, atol=1e-12)
    slopes = 2 * (1 - np.tanh(2 * points.vectors) ** 2)
    np.testing.assert_allclose(points.eigenvalues, slopes, atol=1e-10)
    assert points.found.sum() == 50 and points.unconverged == 0 and len(points.slow) == 0
    assert points.vectors.dtype == points.states.h.dtype == np.float64
    np.testing.assert_array_equal(points.states.h, points.vectors)
    assert np.all(points.q < 1e-24) and len(points) == 3


def test_the_input_moves_the_points():
    cell, params = tanh_net(1)
    points = lj.insight.fixed_points(
        cell, params, jnp.full(1, 0.2), random_starts(cell, params, 50)
    )
    expected = [root(0.2, h) for h in (-0.9, -0.3, 0.9)]
    np.testing.assert_allclose(np.sort(points.vectors[:, 0]), expected, atol=1e-6)


def test_two_bits():
    """Two such units are a memory of two bits: 4 stable points, 4 saddles between them, and 0."""
    cell, params = tanh_net(2)
    points = lj.insight.fixed_points(cell, params, jnp.zeros(1), random_starts(cell, params, 200))
    assert points.unstable.tolist() == [0] * 4 + [1] * 4 + [2]
    assert points.stable.sum() == 4
    s = root(0, 1.0)
    signs = {tuple(np.round(vector / s).astype(int)) for vector in points.vectors}
    assert signs == {(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)}
    np.testing.assert_allclose(np.abs(points.vectors[:4]), s, atol=1e-10)
    # Without the steps of Adam too, and without those with Jacobians, to the tolerance.
    starts = random_starts(cell, params, 200)
    newton = lj.insight.fixed_points(cell, params, jnp.zeros(1), starts, steps=0)
    assert newton.stable.sum() == 4
    adam = lj.insight.fixed_points(cell, params, jnp.zeros(1), starts, polish=0, steps=3000)
    assert adam.stable.sum() == 4 and np.all(adam.q <= 1e-12)


def test_slow_points_and_starts_that_do_not_converge_are_counted():
    """``h -> h + 1e-4 (1 + h^2)`` has no fixed point; q is least at 0, with 5e-9."""

    def advance(params, state, x):
        h = state.h + params["speed"] * (1 + state.h**2)
        return state._replace(h=h), h

    cell = lj.core.plain_cell(
        "drift",
        1,
        lj.core.GateAxis((), ()),
        init=lambda key, size, dtype: {"speed": jnp.full(1, 1e-4, dtype)},
        state=lambda zeros: lj.RNNState(zeros(1)),
        advance=advance,
    )
    params = cell.init(jax.random.key(0), 1)
    starts = lj.RNNState(jnp.linspace(-1, 1, 9)[:, None])
    points = lj.insight.fixed_points(cell, params, jnp.zeros(1), starts)
    assert len(points) == 0 and points.unconverged == 0 and points.found.sum() == 0
    assert points.slow.found.sum() == 9
    np.testing.assert_allclose(points.slow.q.min(), 5e-9, rtol=1e-5)
    assert points.states.h.shape == (0, 1) and points.eigenvalues.shape == (0, 1)
    np.testing.assert_allclose(
        points.slow.eigenvalues, 1 + 2 * np.float32(1e-4) * points.slow.vectors, rtol=1e-12
    )
    none = lj.insight.fixed_points(cell, params, jnp.zeros(1), starts, slow_tolerance=1e-10)
    assert none.unconverged == 9 and len(none.slow) == 0 and np.all(none.q_of_ends > 1e-10)
    nans = lj.insight.fixed_points(
        cell, params, jnp.zeros(1), lj.RNNState(jnp.full((2, 1), jnp.nan))
    )
    assert nans.unconverged == 2


@pytest.mark.slow
def test_states_of_any_structure():
    """A chain of an LSTM and a GRU: its points are those of its step, and so are the Jacobians."""
    cell = lj.chain(lj.lstm(2), lj.gru(2))
    params = jax.tree.map(lambda leaf: 1.5 * leaf, cell.init(jax.random.key(3), 1))
    x = jnp.full(1, 0.3)
    points = lj.insight.fixed_points(cell, params, x, random_starts(cell, params, 20))
    assert len(points) > 0 and points.vectors.shape[1] == 6
    states = jax.tree.map(jnp.asarray, points.states)
    new, _ = cell.step(params, states, jnp.stack([x] * len(points)))
    for got, want in zip(jax.tree.leaves(new), jax.tree.leaves(points.states), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)

    def step(vector):
        h, c, h2 = jnp.split(vector, 3)
        (a, b), _ = cell.step(params, (lj.LSTMState(h, c), lj.GRUState(h2)), x)
        return jnp.concatenate([a.h, a.c, b.h])

    values = np.linalg.eigvals(jax.jacobian(step)(jnp.asarray(points.vectors[0], jnp.float32)))
    np.testing.assert_allclose(
        np.sort(np.abs(values))[::-1], np.abs(points.eigenvalues[0]), atol=1e-4
    )


def test_a_cell_with_a_memory():
    cell = lj.attentive(lj.gru(2), jnp.ones((3, 2)))
    params = cell.init(jax.random.key(0), 1)
    points = lj.insight.fixed_points(cell, params, jnp.zeros(1), random_starts(cell, params, 5))
    assert len(points) > 0


def test_starts_from_a_trace():
    cell = lj.lstm(3)
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (6, 4, 2))
    trace = lj.trace(cell, params, xs, lengths=np.array([6, 2, 0, 5]))
    starts = lj.insight.starts_from(trace, 500, jax.random.key(2))
    seen = {tuple(row) for row in np.asarray(trace.states.c[trace.mask])}
    assert starts.c.shape == (500, 3)
    assert {tuple(row) for row in np.asarray(starts.c)} == seen  # all 13 of them, and no others
    pairs = {tuple(row): tuple(c) for row, c in zip(
        np.asarray(trace.states.h[trace.mask]), np.asarray(trace.states.c[trace.mask]), strict=True
    )}  # fmt: skip
    for h, c in zip(np.asarray(starts.h), np.asarray(starts.c), strict=True):
        assert pairs[tuple(h)] == tuple(c)
    noisy = lj.insight.starts_from(trace, 500, jax.random.key(2), noise=0.1)
    np.testing.assert_allclose(np.std(noisy.c - starts.c), 0.1, rtol=0.1)
    assert abs(np.corrcoef((noisy.c - starts.c).ravel(), (noisy.h - starts.h).ravel())[0, 1]) < 0.1


GRU = lj.gru(2)
PARAMS = GRU.init(jax.random.key(0), 1)
STARTS = GRU.initial_state(PARAMS, (4,))
MISTAKES = [
    ({"x": jnp.zeros((1, 1))}, "x: expected .D., got shape"),
    ({"x": jnp.zeros(2)}, "x: expected input size 1"),
    ({"starts": lj.GRUState(jnp.zeros((0, 2)))}, "starts: expected states with a leading axis"),
    ({"starts": lj.GRUState(jnp.zeros(()))}, "starts: expected states with a leading axis"),
    ({"starts": lj.GRUState(jnp.zeros((4, 3)))}, r"starts.h: expected shape \(4, 2\)"),
    ({"starts": ()}, "starts: expected states with a leading axis"),
    ({"tolerance": 0}, "tolerance: expected a number above 0"),
    ({"slow_tolerance": -1}, "slow_tolerance: expected a number above 0"),
    ({"unique": -1}, "unique: expected a number of 0 or more"),
    ({"learning_rate": -1}, "learning_rate: expected a number of 0 or more"),
    ({"steps": -1}, "steps: expected a whole number"),
    ({"polish": 0.5}, "polish: expected a whole number"),
    ({"cell": lj.gru}, "cell: expected a Cell"),
]


@pytest.fixture
def without_shape_annotations():
    """Users' calls are not type-checked: our own errors must come first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_bad_input(change, message, without_shape_annotations):
    arguments = {"cell": GRU, "params": PARAMS, "x": jnp.zeros(1), "starts": STARTS} | change
    with pytest.raises(lj.ArgumentError, match=message):
        lj.insight.fixed_points(**arguments)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            lj.attention(4, 2, 3),
            r"cell: expected a state of floats alone, got int32 in state\.filled of attention",
        ),
        (lj.zoneout(lj.gru(2), 0.1), r"got uint32 in state\.t of zoneout"),
        (lj.bidirectional(lj.gru(2), lj.gru(2)), "cell: expected a cell that can be stepped"),
    ],
)
def test_cells_without_fixed_points(cell, message):
    params = cell.init(jax.random.key(0), 1)
    with pytest.raises(lj.WrongValue, match=message):
        lj.insight.fixed_points(cell, params, jnp.zeros(1), cell.initial_state(params, (4,)))


def test_bad_input_of_starts_from(without_shape_annotations):
    trace = lj.trace(GRU, PARAMS, jnp.ones((3, 1)), keep=())
    key = jax.random.key(0)
    with pytest.raises(lj.WrongValue, match="trace: expected all fields of the state"):
        lj.insight.starts_from(trace, 3, key)
    with pytest.raises(lj.WrongType, match="trace: expected a Trace, got int"):
        lj.insight.starts_from(3, 3, key)
    trace = lj.trace(GRU, PARAMS, jnp.ones((3, 1)))
    for change, message in [
        ({"n": 0}, "n: expected a positive integer"),
        ({"noise": -1}, "noise: expected a number of 0 or more"),
        ({"key": 3}, "key: expected one key"),
    ]:
        with pytest.raises(lj.ArgumentError, match=message):
            lj.insight.starts_from(**({"trace": trace, "n": 3, "key": key} | change))
    with pytest.raises(lj.WrongValue, match="trace: expected a trace with steps and rows"):
        lj.insight.starts_from(lj.trace(GRU, PARAMS, jnp.ones((0, 1))), 3, key)


def train_flip_flop(cell, seed, steps=1500):
    """``(params, readout)`` of a net that has learnt three bits."""
    task = tasks.make("n_bit_flip_flop")
    key_cell, key_readout, key_data = jax.random.split(jax.random.key(seed), 3)
    readout = jax.random.normal(key_readout, (cell.size, 3)) / np.sqrt(cell.size)
    params = (cell.init(key_cell, 3), readout, jnp.zeros(3))
    schedule = optax.cosine_decay_schedule(0.02, steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    def loss(params, key):
        batch = task.sample(key, 64)
        _, ys = lj.unroll(cell, params[0], batch.xs)
        return task.loss(ys @ params[1] + params[2], batch)

    def update(carry, key):
        params, state = carry
        value, gradients = jax.value_and_grad(loss)(params, key)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(params, updates), state), value

    @jax.jit
    def train(params, key):
        keys = jax.random.split(key, steps)
        return jax.lax.scan(update, (params, optimizer.init(params)), keys)

    (params, _), losses = train(params, key_data)
    assert np.mean(losses[-20:]) < 1e-3
    return params


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("cell", [lj.lstm(16), lj.gru(16)], ids=["lstm", "gru"])
def test_nets_that_hold_three_bits_have_eight_stable_points_and_saddles(cell, seed):
    """As the LSTM of Golub & Sussillo 2018 has, and the simple RNN of Sussillo & Barak 2013."""
    params, readout, bias = train_flip_flop(cell, seed)
    trace = lj.trace(cell, params, tasks.make("n_bit_flip_flop").test.xs[:, :100])
    starts = lj.insight.starts_from(trace, 512, jax.random.key(0), noise=0.3)
    points = lj.insight.fixed_points(cell, params, jnp.zeros(3), starts)
    assert points.stable.sum() == 8
    bits = points.states.h @ np.asarray(readout) + np.asarray(bias)
    np.testing.assert_allclose(np.abs(bits[points.stable]), 1, atol=0.1)
    assert len({tuple(row) for row in np.sign(bits[points.stable]).astype(int)}) == 8
    # A saddle between two states that differ in one bit: the two others are held.
    saddles = points.unstable == 1
    assert saddles.sum() >= 6
    held = np.sum(np.abs(np.abs(bits[saddles]) - 1) < 0.25, axis=-1)
    assert np.sum(held == 2) >= 6
