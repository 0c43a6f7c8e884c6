"""The softmax with a mask."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.core.numerics import masked_softmax

SCORES = np.random.default_rng(0).normal(size=(3, 4))
MASK = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]], bool)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("axis", [0, -1])
def test_masked_softmax_is_the_softmax_of_what_is_left(axis):
    mask = MASK if axis == -1 else MASK.T
    powers = np.exp(SCORES.reshape(mask.shape)) * mask
    total = powers.sum(axis, keepdims=True)
    expected = np.divide(powers, total, out=np.zeros(mask.shape), where=total > 0)
    poisoned = jnp.where(mask, SCORES.reshape(mask.shape), jnp.nan)
    np.testing.assert_allclose(masked_softmax(poisoned, jnp.asarray(mask), axis), expected, 1e-14)


@pytest.mark.usefixtures("x64")
def test_gradients_are_those_of_the_softmax_and_zero_where_masked():
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)))

    def loss(scores):
        return jnp.sum(weights * masked_softmax(scores, jnp.asarray(MASK)))

    p = np.asarray(masked_softmax(jnp.asarray(SCORES), jnp.asarray(MASK)))
    expected = p * (weights - np.sum(weights * p, -1, keepdims=True))
    grad = np.asarray(jax.grad(loss)(jnp.where(MASK, SCORES, jnp.nan)))
    np.testing.assert_allclose(grad, expected, rtol=1e-12, atol=1e-15)
    assert not np.any(grad[~MASK])


def test_scores_out_of_the_range_of_exp():
    scores = jnp.array([[-1e30, -1e30, -3e38], [3e38, 3e38, 0.0], [-jnp.inf] * 3])
    expected = [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_array_equal(masked_softmax(scores), expected)
    grad = jax.grad(lambda s: masked_softmax(s)[..., 0].sum())(scores)
    np.testing.assert_array_equal(grad, [[0.25, -0.25, 0.0], [0.25, -0.25, 0.0], [0.0] * 3])


def test_narrow_scores_are_summed_in_float32():
    weights = masked_softmax(jnp.zeros(1000, jnp.bfloat16))
    assert weights.dtype == jnp.float32
    np.testing.assert_allclose(weights, 1e-3, rtol=1e-6)


def test_nan_that_is_not_masked_is_not_hidden():
    assert np.all(np.isnan(masked_softmax(jnp.array([1.0, jnp.nan]))))
