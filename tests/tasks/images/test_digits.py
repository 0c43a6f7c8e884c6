import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from lstm_jax.tasks.images.digits import digits, load, stratified


@pytest.fixture(scope="module")
def task():
    return digits()


def test_the_parts_are_disjoint_cover_all_and_have_the_same_mix():
    _, labels = load()
    split = stratified(labels, 0)
    every = np.concatenate(split)
    assert len(every) == len(set(every)) == 1797
    for part in split:
        mix = np.bincount(labels[part], minlength=10) / len(part)
        np.testing.assert_allclose(mix, np.bincount(labels) / 1797, atol=0.004)
    np.testing.assert_allclose(len(split.test) / 1797, 0.2, atol=0.005)
    assert len(split.test) == len(split.validation)
    assert not np.array_equal(split.test, stratified(labels, 1).test)


def test_pixels_come_row_by_row_between_zero_and_one(task):
    images = load_digits().images
    _, labels = load()
    rows = stratified(labels, 0).test
    for column in (0, 17, 100):
        image = np.asarray(task.test.xs[:, column, 0]).reshape(8, 8)
        np.testing.assert_array_equal(image * 16, images[rows[column]])
        assert task.test.targets[column] == labels[rows[column]]
    assert float(task.test.xs.min()) == 0 and float(task.test.xs.max()) == 1


def test_training_digits_are_training_digits(task):
    pixels, labels = load()
    train = stratified(labels, 0).train
    known = {(pixels[row].tobytes(), int(labels[row])) for row in train}
    batch = jax.jit(task.sample, static_argnums=1)(jax.random.key(5), 64)
    assert batch.xs.shape == (64, 64, 1)
    for column in range(64):
        pixels_of_one = np.asarray(batch.xs[:, column, 0]).tobytes()
        assert (pixels_of_one, int(batch.targets[column])) in known
    same = task.sample(jax.random.key(5), 64)
    np.testing.assert_array_equal(batch.xs, same.xs)


@pytest.mark.slow
def test_loss_score_and_chance_by_hand(task):
    batch = task.test._replace(targets=jnp.array([1, 2, 3, 1]))
    outputs = jnp.zeros((4, 10)).at[:, 1].set(2.0)
    assert float(task.score.measure(outputs, batch)) == 0.5
    log_sum = np.log(9 + np.exp(2.0))
    by_hand = np.mean([log_sum - 2, log_sum, log_sum, log_sum - 2])
    np.testing.assert_allclose(task.loss(outputs, batch), by_hand, rtol=1e-6)
    counts = np.bincount(np.asarray(task.test.targets))
    always = jnp.zeros((counts.sum(), 10)).at[:, counts.argmax()].set(1.0)
    np.testing.assert_allclose(task.score.measure(always, task.test), task.score.chance, rtol=1e-6)


@pytest.mark.parametrize("seed", [-1, True])
def test_a_seed_that_is_none_names_the_argument(seed):
    with pytest.raises(
        ValueError, match=(f"split_seed: expected a whole number from 0 up, got {seed!r}")
    ):
        digits(seed)
