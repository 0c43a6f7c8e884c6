import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.tasks import Batch, regression


def test_errors_of_numbers_at_the_last_step():
    outputs = jnp.array([[1.0, 2.0], [3.0, -1.0]])  # [B, O]
    batch = Batch(None, jnp.array([[0.0, 4.0], [3.0, jnp.nan]]))
    np.testing.assert_allclose(regression.squared_error(outputs, batch), [2.5, 0.0])
    np.testing.assert_allclose(regression.absolute_error(outputs, batch), [1.5, 0.0])
    np.testing.assert_allclose(regression.largest_error(outputs, batch), [2.0, 0.0])
    np.testing.assert_allclose(regression.mean_squared_error(outputs, batch), 5 / 3, rtol=1e-6)
    np.testing.assert_allclose(regression.mean_absolute_error(outputs, batch), 1.0)
    gradient = jax.grad(lambda o: regression.mean_squared_error(o, batch))(outputs)
    np.testing.assert_allclose(gradient, [[2 / 3, -4 / 3], [0, 0]], rtol=1e-6)


def test_one_output_needs_no_axis_in_the_targets():
    outputs = jnp.array([[[1.0], [2.0]], [[3.0], [-1.0]], [[0.0], [5.0]]])  # [T, B, 1]
    targets = jnp.array([[0.0, 2.0], [3.0, 1.0], [jnp.nan, jnp.nan]])  # [T, B]
    for batch in (Batch(None, targets), Batch(None, targets[..., None])):
        np.testing.assert_allclose(regression.squared_error(outputs, batch), [0.5, 2.0])
        np.testing.assert_allclose(regression.largest_error(outputs, batch), [1.0, 2.0])
        np.testing.assert_allclose(regression.mean_absolute_error(outputs, batch), 0.75)
    last = Batch(None, jnp.array([1.0, 4.0]))
    np.testing.assert_allclose(regression.mean_squared_error(outputs[0], last), 2.0)


def test_targets_of_another_shape_are_no_broadcast():
    with pytest.raises(lj.WrongValue, match=r"batch.targets: expected .*\(3, 2\), got \(3,\)"):
        regression.mean_squared_error(jnp.ones((3, 2)), Batch(None, jnp.ones(3)))


def test_scores_have_their_names_and_directions():
    mse, mae = regression.mse_score(0.5), regression.mae_score(0.4, 0.2)
    assert (mse.name, mse.chance, mse.memoryless, mse.higher_is_better) == ("MSE", 0.5, None, False)
    assert (mae.name, mae.chance, mae.memoryless, mae.higher_is_better) == ("MAE", 0.4, 0.2, False)
