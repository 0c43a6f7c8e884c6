import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks import Batch, classes, logistic, regression
from lstm_jax.tasks.memory import adding, adding_1997
from tests.selection import mostly_slow


def test_what_asks_nothing_counts_nowhere():
    outputs = jnp.log(jnp.array([[[0.7, 0.2, 0.1]] * 2, [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]]))
    batch = Batch(None, jnp.array([[0, -1], [1, 2]]))  # [T, B]
    by_hand = -np.mean(np.log([0.7, 0.25, 0.8]))
    np.testing.assert_allclose(classes.cross_entropy(outputs, batch), by_hand, rtol=1e-6)
    np.testing.assert_allclose(classes.accuracy(outputs, batch), 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(classes.error_rate(outputs, batch), [0.5, 0.0])
    gradient = jax.grad(lambda o: classes.cross_entropy(o, batch))(outputs)
    np.testing.assert_array_equal(gradient[0, 1], 0)
    nothing = Batch(None, jnp.full((2, 2), -1))
    assert classes.cross_entropy(outputs, nothing) == 0


def test_success_is_a_share_of_right_answers():
    success = classes.accuracy_success(0.75, 4, "nobody")
    outputs = jax.nn.one_hot(jnp.array([0, 1, 2, 0]), 3)
    assert success.met(outputs, Batch(None, jnp.array([0, 1, 2, 0])))
    assert not success.met(outputs, Batch(None, jnp.array([0, 1, 2, 1])))  # 0.75 is not more


def test_nan_is_no_success():
    success = classes.accuracy_success(0.5, 1, "nobody")._replace(
        error=lambda answers, _: jnp.abs(answers), limit=1.0, mean_limit=1.0
    )
    batch = Batch(None, jnp.zeros(2))
    assert success.met(jnp.zeros(2), batch)
    assert not success.met(jnp.array([0.0, jnp.nan]), batch)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", mostly_slow([jnp.float16, jnp.bfloat16], [jnp.float16]))
def test_losses_of_narrow_outputs_are_those_in_float32(dtype):
    """Their sums are far above the largest float16."""
    outputs = (20 * jax.random.normal(jax.random.key(0), (100, 300, 4))).astype(dtype)
    targets = jax.random.randint(jax.random.key(1), (100, 300), -1, 4)
    numbers = jax.random.normal(jax.random.key(2), (100, 300, 4))
    column, row = 10 * outputs[0, :, :1], Batch(None, numbers[0, :, 0])
    for loss, given, batch in (
        (classes.cross_entropy, outputs, Batch(None, targets)),
        (logistic.squared_error, outputs, Batch(None, targets)),
        (regression.mean_squared_error, outputs, Batch(None, numbers)),
        (regression.mean_absolute_error, outputs, Batch(None, numbers)),
        (adding.mean_squared_error, column, row),
        (adding_1997.mean_squared_error, column, row),
    ):
        both = jax.jit(jax.value_and_grad(loss))
        found, gradient = both(given, batch)
        expected, wide = both(given.astype(jnp.float32), batch)
        assert (found.dtype, gradient.dtype) == (jnp.float32, dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        np.testing.assert_array_equal(gradient, wide.astype(dtype))
