import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.two_sequence import two_sequence


@pytest.fixture(scope="module")
def task():
    return two_sequence(n=3, length=20)


def test_signs_noise_and_lengths(task):
    batch = task.sample(jax.random.key(0), 6000)
    values, lengths = np.asarray(batch.xs.values)[..., 0], np.asarray(batch.xs.lengths)
    targets = np.asarray(batch.targets)
    assert values.shape == (22, 6000) and set(targets) == {0.0, 1.0}
    np.testing.assert_array_equal(values[:3], np.where(targets == 1, 1.0, -1.0) * np.ones((3, 1)))
    noise = values[3:]
    np.testing.assert_allclose(noise.mean(axis=1), 0.0, atol=0.03)
    np.testing.assert_allclose(noise.var(axis=1), 0.2, atol=0.02)
    # A Gaussian has 68.3 % within a deviation, and a fourth moment of three variances squared.
    assert abs((np.abs(noise) < np.sqrt(0.2)).mean() - 0.6827) < 0.01
    assert abs((noise**4).mean() / 0.04 - 3) < 0.1
    assert abs(np.corrcoef(noise[0], targets)[0, 1]) < 0.05
    np.testing.assert_allclose(np.bincount(lengths)[20:] / 6000, 1 / 3, atol=0.025)
    assert abs(targets.mean() - 0.5) < 0.03


def test_loss_score_and_criterion_by_hand(task):
    batch = task.validation._replace(targets=jnp.array([1.0, 0.0, 1.0]))
    outputs = jnp.array([[2.0], [-1.0], [-0.5]])
    values = 1 / (1 + np.exp([-2.0, 1.0, 0.5]))
    half = 0.5 * np.mean((np.array([1.0, 0.0, 1.0]) - values) ** 2)
    np.testing.assert_allclose(task.loss(outputs, batch), half, rtol=1e-6)
    np.testing.assert_allclose(task.score.measure(outputs, batch), 2 / 3, rtol=1e-6)
    signs = jnp.array([[1.0], [-1.0], [1.0]])
    assert task.success.met(4.7 * signs, batch)  # off by 0.009
    assert not task.success.met(4.5 * signs, batch)  # by 0.011
    assert not task.success.met(jnp.array([[20.0], [-20.0], [1.38]]), batch)  # one by 0.201
    assert task.success.on == "held-out" and task.success.rows == 256


def test_chance_by_simulation(task):
    batch = task.sample(jax.random.key(1), 4000)
    last = np.asarray(batch.xs.values)[np.asarray(batch.xs.lengths) - 1, np.arange(4000)]
    for outputs in (jnp.ones((4000, 1)), jnp.asarray(last)):
        assert abs(float(task.score.measure(outputs, batch)) - task.score.chance) < 0.03
    assert task.score.memoryless == task.score.chance == 0.5


def test_held_out_data_keys_and_lengths(task):
    assert task.validation.targets.shape == (256,)
    again = tasks.make("two_sequence", n=3, length=20)
    np.testing.assert_array_equal(again.validation.xs.values, task.validation.xs.values)
    assert not np.array_equal(again.validation.xs.values, again.test.xs.values)
    one, same, other = (task.sample(jax.random.key(seed), 4) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.xs.values, same.xs.values)
    assert not np.array_equal(one.xs.values, other.xs.values)
    assert (np.asarray(task.test_at(50, 10).xs.lengths) == 50).all()


def test_bad_input_names_the_argument(task):
    with pytest.raises(ValueError, match="length: expected more than n = 3, got 3"):
        two_sequence(n=3, length=3)
    with pytest.raises(ValueError, match=r"length: .*got 2"):
        task.test_at(2, 1)
    with pytest.raises(ValueError, match=r"n: .*got 0"):
        two_sequence(n=0)
