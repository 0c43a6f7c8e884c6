import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks import Batch, logistic


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_half_the_squared_error_of_classes_at_every_step():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(3, 2, 4)).astype(np.float32)
    targets = np.array([[0, 3], [2, -1], [1, -1]])
    batch = Batch(None, jnp.asarray(targets))
    half, largest = 0.0, np.zeros(2)
    for t in range(3):
        for row in range(2):
            if targets[t, row] >= 0:
                error = np.eye(4)[targets[t, row]] - sigmoid(outputs[t, row])
                half += 0.5 * (error**2).sum()
                largest[row] = max(largest[row], np.abs(error).max())
    outputs = jnp.asarray(outputs)
    np.testing.assert_allclose(logistic.squared_error(outputs, batch), half / 2, rtol=1e-6)
    np.testing.assert_allclose(logistic.largest_error(outputs, batch), largest, rtol=1e-6)


def test_classes_and_numbers_at_the_last_step():
    outputs = jnp.array([[0.0, 2.0], [-1.0, 1.0]])
    classes = Batch(None, jnp.array([0, 1]))
    errors = [[0.5, -sigmoid(2.0)], [-sigmoid(-1.0), 1 - sigmoid(1.0)]]
    np.testing.assert_allclose(logistic.logistic_errors(outputs, classes), errors, rtol=1e-6)
    numbers = Batch(None, jnp.array([0.25, 1.0]))
    np.testing.assert_allclose(
        logistic.largest_error(outputs[:, :1], numbers), [0.25, 1 - sigmoid(-1.0)], rtol=1e-6
    )
    half = 0.5 * np.mean([0.25**2, (1 - sigmoid(-1.0)) ** 2])
    np.testing.assert_allclose(logistic.squared_error(outputs[:, :1], numbers), half, rtol=1e-6)
