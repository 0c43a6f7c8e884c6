"""Attribution by derivatives and by occlusion, against finite differences and explicit runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.selection import mostly_slow

T, B, D = 7, 3, 2
LENGTHS = np.array([7, 4, 0])
RESETS = np.zeros((T, B), bool)
RESETS[[3, 2], [0, 1]] = True
METHODS = {
    "gradient": lj.insight.gradient_times_input,
    "integrated": lj.insight.integrated_gradients,
    "occlusion": lj.insight.occlusion,
    "occlusion_inputs": lambda *args, **kwargs: lj.insight.occlusion(*args, each="input", **kwargs),
}
CELLS = {
    "lstm": lj.lstm(4, peephole=True),
    "gru": lj.gru(3, reset_after=False),
    "linear": lj.min_gru(3),
    "chain": lj.chain(lj.gru(3), lj.lstm(3)),
    "both": lj.bidirectional(lj.rnn(3), lj.gru(2)),
    "attention": lj.attention(4, 2, 3),
}


def sample(cell, dtype=np.float64, scale=1.5):
    params = cell.init(jax.random.key(1), D, dtype)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.2 * rng.normal(size=leaf.shape), params)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    return params, jnp.asarray(scale * rng.normal(size=(T, B, D)), dtype)


def row_answer(cell, params, xs, row, unit, *, lengths=LENGTHS, resets=None, reverse=False):
    """The output ``unit`` of one row at the last step that it reads, run by itself."""
    xs = np.asarray(xs)[: lengths[row], row]
    if resets is None:
        _, ys = lj.unroll(cell, params, jnp.asarray(xs), reverse=reverse, method="scan")
    else:
        starts = jnp.asarray(resets[: lengths[row], row])
        _, ys = lj.unroll(cell, params, jnp.asarray(xs), resets=starts, reverse=reverse)
    return float(ys[0 if reverse else -1, unit])


@pytest.mark.parametrize(
    ("name", "reverse"),
    mostly_slow([("lstm", True), ("both", False), ("chain", False)], [("lstm", True)]),
)
def test_gradient_times_input_equals_finite_differences(x64, name, reverse):
    cell = CELLS[name]
    params, xs = sample(cell)
    shares = lj.insight.gradient_times_input(
        cell, params, xs, 1, lengths=LENGTHS, reverse=reverse, resets=RESETS
    )
    run = jax.jit(
        lambda xs: lj.unroll(cell, params, xs, lengths=LENGTHS, resets=RESETS, reverse=reverse)[1]
    )

    def answers(xs):
        ys = np.asarray(run(xs))
        return [ys[0 if reverse else max(n - 1, 0), row, 1] for row, n in enumerate(LENGTHS)]

    expected, eps = np.zeros((T, B, D)), 1e-6
    for step in range(T):
        for column in range(D):
            up, down = (xs.at[step, :, column].add(sign * eps) for sign in (1, -1))
            slope = (np.array(answers(up)) - np.array(answers(down))) / (2 * eps)
            expected[step, :, column] = slope * xs[step, :, column]
    np.testing.assert_allclose(shares.values, expected, atol=1e-8)
    np.testing.assert_allclose(shares.output, answers(xs), atol=1e-12)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("each", ["step", "input"])
@pytest.mark.parametrize("baseline", [None, [0.5, -0.25]])
def test_occlusion_equals_explicit_runs(x64, baseline, each):
    cell = CELLS["lstm"]
    params, xs = sample(cell)
    given = None if baseline is None else np.array(baseline)
    shares = lj.insight.occlusion(
        cell, params, xs, 2, lengths=LENGTHS, baseline=given, each=each, chunk=3
    )
    expected = np.zeros((T, B, 1 if each == "step" else D))
    for row in range(B - 1):  # the last row has no steps
        whole = row_answer(cell, params, xs, row, 2)
        for step in range(LENGTHS[row]):
            for column in range(expected.shape[-1]):
                hidden = slice(None) if each == "step" else column
                without = np.array(xs)
                without[step, row, hidden] = np.array(baseline or [0.0, 0.0])[hidden]
                without = row_answer(cell, params, without, row, 2)
                expected[step, row, column] = whole - without
    np.testing.assert_allclose(shares.values, expected, atol=1e-12)
    assert (np.abs(expected[:, 0]) > 1e-6).all()


@pytest.mark.slow
def test_integrated_gradients_equal_a_fine_sum(x64):
    """A sum over many equal steps, of derivatives that JAX takes of one row's plain loop."""
    cell = CELLS["lstm"]
    params, xs = sample(cell)
    baseline = np.array([0.5, -0.25])
    shares = lj.insight.integrated_gradients(
        cell, params, xs, 1, lengths=LENGTHS, baseline=baseline
    )

    def last(xs):
        state = cell.initial_state(params)
        for x in xs:
            state, y = cell.step(params, state, x)
        return y[1]

    slope = jax.jit(jax.vmap(jax.grad(last)))
    for row in (0, 1):
        inputs = xs[: LENGTHS[row], row]
        places = (np.arange(2000) + 0.5)[:, None, None] / 2000
        mean = slope(baseline + places * (inputs - baseline)).mean(axis=0)
        np.testing.assert_allclose(
            shares.values[: LENGTHS[row], row], mean * (inputs - baseline), atol=1e-7
        )
        expected = last(inputs) - last(jnp.broadcast_to(baseline, inputs.shape))
        np.testing.assert_allclose(shares.expected[row], expected, atol=1e-12)


@pytest.mark.parametrize("name", mostly_slow(["both", "linear", "attention"], ["linear"]))
def test_integrated_gradients_are_complete(name):
    """In float32, with inputs that saturate the gates."""
    cell = CELLS[name]
    params, xs = sample(cell, np.float32, scale=3.0)
    shares = lj.insight.integrated_gradients(
        cell, params, xs, 1, lengths=LENGTHS, resets=RESETS, steps=64
    )
    assert (shares.relative_gap[:2] < 0.01).all(), shares.relative_gap
    np.testing.assert_allclose(
        shares.of_steps.sum(axis=0) - shares.expected, shares.residual, atol=1e-6
    )
    assert shares.gap[2] == shares.relative_gap[2] == 0  # a row without steps


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", mostly_slow(["lstm", "both"], ["lstm"]))
def test_padding_and_other_segments_have_no_share(name, method):
    cell, attribute = CELLS[name], METHODS[method]
    params, xs = sample(cell, np.float32)
    options = {"lengths": LENGTHS, "resets": RESETS, "baseline": 0.25}
    if method == "gradient":
        del options["baseline"]
    clean = attribute(cell, params, xs, 0, **options)
    padded = np.array(xs)
    padded[np.arange(T)[:, None] >= LENGTHS] = np.nan
    poisoned = attribute(cell, params, jnp.asarray(padded), 0, **options)
    np.testing.assert_array_equal(clean.values, poisoned.values)
    reached = np.zeros((T, B), bool)
    reached[3:7, 0] = reached[2:4, 1] = True  # from the last reset to the end
    assert (np.asarray(clean.of_steps)[~reached] == 0).all()
    assert (np.asarray(clean.of_steps)[reached] != 0).all()


@pytest.mark.parametrize("method", ["integrated", "occlusion"])
def test_a_function_of_the_outputs(x64, method):
    """A readout of one unit is that unit; a readout of two steps sees both."""
    cell, attribute = CELLS["gru"], METHODS[method]
    params, xs = sample(cell)
    w = jnp.zeros((3, 2)).at[1, 0].set(2.0)
    unit = attribute(cell, params, xs, 1)
    readout = attribute(cell, params, xs, lambda ys: (ys[-1] @ w + 1.0)[..., 0])
    np.testing.assert_allclose(readout.values, 2 * unit.values, atol=1e-12)
    early = attribute(cell, params, xs, lambda ys: ys[2, :, 1])
    assert (early.of_steps[:3] != 0).all() and (early.of_steps[3:] == 0).all()


def test_streaming_state_and_no_batch_axes(x64):
    cell = CELLS["lstm"]
    params, xs = sample(cell)
    whole = lj.insight.gradient_times_input(cell, params, xs[:, 0], 1)
    state, _ = lj.unroll(cell, params, xs[:3, 0])
    rest = lj.insight.gradient_times_input(cell, params, xs[3:, 0], 1, state)
    assert whole.values.shape == (T, D) and whole.of_steps.shape == (T,)
    np.testing.assert_allclose(rest.values, whole.values[3:], atol=1e-12)


def test_under_jit_and_on_two_batch_axes():
    cell = CELLS["gru"]
    params, xs = sample(cell, np.float32)
    xs = jnp.stack([xs, xs[::-1]], axis=1)

    @jax.jit
    def attribute(xs, lengths):
        return lj.insight.integrated_gradients(cell, params, xs, 1, lengths=lengths)

    lengths = np.stack([LENGTHS, LENGTHS])
    expected = lj.insight.integrated_gradients(cell, params, xs, 1, lengths=lengths)
    got = attribute(xs, lengths)
    np.testing.assert_allclose(got.values, expected.values, atol=1e-6)
    assert got.gap.shape == (2, B)


CALLS = {
    "output: expected a unit from 0 to 3, got 4": {"output": 4},
    "output: expected a unit from 0 to 3, got -1": {"output": -1},
    "output: expected a unit of the output, or a function": {"output": True},
    "output: expected a function from ys": {"output": lambda ys: ys[-1]},
    "output: expected floats": {"output": lambda ys: jnp.zeros(B, int)},
    "baseline: expected a shape that broadcasts": {"baseline": np.zeros(3)},
    "baseline: expected floats": {"baseline": np.zeros(2, int)},
    "baseline: expected a finite number": {"baseline": float("nan")},
    "xs: expected T of at least 1": {"xs": jnp.zeros((0, B, D))},
    "steps: expected a positive integer": {"steps": 0},
    "lengths: expected": {"lengths": np.array([8, 0, 0])},
}


@pytest.mark.parametrize("message", CALLS)
def test_bad_input(message):
    cell = CELLS["lstm"]
    params, xs = sample(cell, np.float32)
    arguments = {"cell": cell, "params": params, "xs": xs, "output": 0} | CALLS[message]
    with pytest.raises(lj.ArgumentError) as error:
        lj.insight.integrated_gradients(**arguments)
    assert message in str(error.value)


def test_bad_options():
    cell = CELLS["lstm"]
    params, xs = sample(cell, np.float32)
    with pytest.raises(lj.ArgumentError, match="each: expected one of step, input"):
        lj.insight.occlusion(cell, params, xs, 0, each="unit")
    with pytest.raises(lj.ArgumentError, match="chunk: expected a positive integer"):
        lj.insight.occlusion(cell, params, xs, 0, chunk=0)
    with pytest.raises(lj.ArgumentError, match="residual: expected an attribution by"):
        _ = lj.insight.occlusion(cell, params, xs, 0).residual
