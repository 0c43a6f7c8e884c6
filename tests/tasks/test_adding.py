import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.adding import CHANCE, adding


@pytest.mark.parametrize("length", [2, 3, 10, 101])
def test_the_target_is_the_sum_of_the_two_marked_values(length):
    batch = adding(length).sample(jax.random.key(3), 500)
    xs, targets = np.asarray(batch.xs), np.asarray(batch.targets)
    assert xs.shape == (length, 500, 2) and targets.shape == (500,)
    values, marks = xs[..., 0], xs[..., 1]
    assert set(np.unique(marks)) <= {0.0, 1.0}
    assert (marks[: length // 2].sum(axis=0) == 1).all()
    assert (marks[length // 2 :].sum(axis=0) == 1).all()
    assert values.min() >= 0 and values.max() < 1
    for row in range(500):
        by_hand = sum(values[t, row] for t in range(length) if marks[t, row] == 1)
        np.testing.assert_allclose(targets[row], by_hand, rtol=1e-6)


def test_marks_and_values_are_uniform():
    batch = adding(10).sample(jax.random.key(0), 20_000)
    values, marks = np.asarray(batch.xs[..., 0]), np.asarray(batch.xs[..., 1])
    np.testing.assert_allclose(marks.mean(axis=1), 0.2, atol=0.015)
    np.testing.assert_allclose(values.mean(), 0.5, atol=0.005)
    np.testing.assert_allclose(values.var(), 1 / 12, atol=0.002)


def test_chance_is_the_error_of_always_answering_one():
    task = adding(20)
    batch = task.sample(jax.random.key(1), 100_000)
    error = float(task.score.measure(jnp.ones((100_000, 1)), batch))
    assert abs(error - 1 / 6) < 0.003 and task.score.chance == CHANCE == 1 / 6
    assert not task.score.higher_is_better


def test_a_key_gives_the_same_batch_and_another_key_another():
    sample = jax.jit(adding(10).sample, static_argnums=1)
    one, same, other = (sample(jax.random.key(seed), 4) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.xs, same.xs)
    assert not np.array_equal(one.xs, other.xs)


def test_held_out_data_are_fixed_and_apart():
    one, again = adding(10), adding(10)
    np.testing.assert_array_equal(one.test.xs, again.test.xs)
    assert not np.array_equal(one.test.xs, one.validation.xs)
    for seed in range(3):
        drawn = one.sample(jax.random.key(seed), one.test.targets.size)
        assert not np.isin(np.asarray(drawn.targets), np.asarray(one.test.targets)).all()


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match="length: got 1"):
        adding(1)
    with pytest.raises(ValueError, match="batch_size: got 0"):
        adding(4).sample(jax.random.key(0), 0)
    with pytest.raises(ValueError, match=r"name: got 'ading'.*did you mean 'adding'"):
        tasks.make("ading")
    with pytest.raises(TypeError, match="adding takes no such options"):
        tasks.make("adding", size=3)


def test_a_diverged_run_has_the_worst_score():
    score = adding(4).score
    np.testing.assert_array_equal(score.or_worst([0.5, None, np.nan]), [0.5, np.inf, np.inf])
    higher = score._replace(higher_is_better=True)
    np.testing.assert_array_equal(higher.or_worst([[0.5], [None]]), [[0.5], [-np.inf]])
