"""The 1997 cell against the statements of its paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    "experiment, blocks, block_size, biases, inputs, outputs, output_biases, weights",
    [
        ("1, four blocks", 4, 1, "gates", 7, 7, False, 264),
        ("1, three blocks", 3, 2, "gates", 7, 7, False, 276),
        ("3", 3, 1, "all", 1, 1, False, 102),
        ("4", 2, 2, "all", 2, 1, True, 93),
        ("6a", 2, 2, "all", 8, 4, True, 156),
        ("6b", 3, 2, "all", 8, 8, True, 308),
    ],
)
def test_the_papers_parameter_counts(
    experiment, blocks, block_size, biases, inputs, outputs, output_biases, weights
):
    """The readout reads the cells' outputs, with biases where the paper has them."""
    cell = lj.lstm_1997(blocks, block_size, biases=biases)
    readout = cell.size * outputs + (outputs if output_biases else 0)
    assert count(cell.init(jax.random.key(0), inputs)) + readout == weights


def test_without_output_gates_there_are_fewer_units():
    cell = lj.lstm_1997(2, 3, output_gate=False, biases="none")
    params = cell.init(jax.random.key(0), 5)
    assert cell.gates == ("input", "cell")
    assert params["w_x"].shape == (5, 2 + 6) and params["w_h"].shape == (8, 8)
    assert "b" not in params


def test_squashing_stays_in_its_range():
    cell = lj.lstm_1997(1, 1, biases="all")
    params = jax.tree.map(lambda leaf: jnp.full_like(leaf, 100.0), cell.init(jax.random.key(0), 1))
    state, _ = cell.step(params, cell.initial_state(params), jnp.ones(1))
    np.testing.assert_allclose(state.c, 2.0)  # the input gate open, g at its upper end
    np.testing.assert_allclose(state.h, np.tanh(1.0), rtol=1e-6)  # 2 logistic(2) - 1 = tanh(1)


def test_initial_biases_go_to_their_blocks():
    cell = lj.lstm_1997(3, 2, input_gate_bias=-1.0, output_gate_bias=(-1.0, -2.0, -3.0))
    b = cell.axis.split(cell.init(jax.random.key(0), 2)["b"])
    np.testing.assert_array_equal(b["input"], [-1, -1, -1])
    np.testing.assert_array_equal(b["output"], [-1, -2, -3])
    np.testing.assert_array_equal(b["cell"], np.zeros(6))


@pytest.mark.usefixtures("x64")
def test_the_truncated_error_survives_in_the_cell_alone():
    """With all gates open, the paper's constant error carousel: at any lag, the derivative of the
    final internal state with respect to an early input is that of the input squashing function."""
    truncated, exact = lj.lstm_1997(1, 1), lj.lstm_1997(1, 1, truncate=False)
    params = draw(truncated.init(jax.random.key(0), 1, jnp.float64), 1)
    xs = draw(jnp.zeros((50, 1)), 2)

    def last_state(cell, xs):
        return lj.unroll(cell, params, xs)[0].c[0]

    def early_input_alone(x, rest):
        first, _ = truncated.step(params, truncated.initial_state(params), x)
        return first.c[0] + rest

    d_truncated = jax.grad(lambda xs: last_state(truncated, xs))(xs)
    close(d_truncated[0], jax.grad(early_input_alone)(xs[0], 0.0))
    d_exact = jax.grad(lambda xs: last_state(exact, xs))(xs)
    assert np.abs(d_exact[0] - d_truncated[0]).max() > 1e-3
