import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.adding import CHANCE, adding


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


def test_variable_lengths_are_drawn_for_each_row():
    task = adding(7, variable=True)
    batch = task.sample(jax.random.key(4), 3000)
    xs, lengths = np.asarray(batch.xs.values), np.asarray(batch.xs.lengths)
    assert task.name == "adding(2 to 7)" and xs.shape == (7, 3000, 2)
    assert np.bincount(lengths)[:2].sum() == 0 and lengths.max() == 7
    np.testing.assert_allclose(np.bincount(lengths)[2:] / 3000, 1 / 6, atol=0.03)
    for row, length in enumerate(lengths[:200]):
        values, marks = xs[:length, row].T
        assert marks[: length // 2].sum() == marks[length // 2 :].sum() == 1
        np.testing.assert_allclose(batch.targets[row], values[marks == 1].sum(), rtol=1e-6)


def test_other_lengths():
    for task in (adding(7), adding(7, variable=True)):
        batch = task.test_at(12, 50)
        padded = isinstance(batch.xs, tasks.Sequences)
        values, marks = np.moveaxis(np.asarray(batch.xs.values if padded else batch.xs), -1, 0)
        assert values.shape == (12, 50) and (not padded or (batch.xs.lengths == 12).all())
        assert (marks[:6].sum(axis=0) == 1).all() and (marks[6:].sum(axis=0) == 1).all()
        np.testing.assert_allclose(batch.targets, (values * marks).sum(axis=0), rtol=1e-6)
        with pytest.raises(ValueError, match=r"length: .*got 1"):
            task.test_at(1, 5)


@pytest.mark.parametrize("variable", [False, True])
def test_memoryless_sees_the_last_step_alone(variable):
    task = adding(5, variable=variable)
    batch = task.sample(jax.random.key(2), 40_000)
    xs = np.asarray(batch.xs.values if variable else batch.xs)
    last = np.asarray(batch.xs.lengths) - 1 if variable else np.full(40_000, 4)
    value, mark = xs[last, np.arange(40_000)].T
    answer = np.where(mark == 1, value + 0.5, 1.0)  # the other number's mean, or both numbers'
    error = np.mean((answer - np.asarray(batch.targets)) ** 2)
    assert abs(error - task.score.memoryless) < 0.003 and task.score.memoryless < 0.15


def test_the_fixed_lengths_data_stay_as_they_are():
    """Kept results in the repository were computed from them."""
    batch = adding(4).sample(jax.random.key(0), 2)
    expected = jax.random.uniform(jax.random.key(0), (6, 2))
    np.testing.assert_array_equal(batch.xs[..., 0], expected[:4])
    first, second = np.floor(2 * np.asarray(expected[4:]))
    marks = [[first[row] == t or second[row] + 2 == t for row in range(2)] for t in range(4)]
    np.testing.assert_array_equal(batch.xs[..., 1], marks)


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
    with pytest.raises(ValueError, match=r"length: .*got 1"):
        adding(1)
    with pytest.raises(ValueError, match=r"batch_size: .*got 0"):
        adding(4).sample(jax.random.key(0), 0)
    with pytest.raises(ValueError, match=r"name: .*got 'ading'.*did you mean 'adding'"):
        tasks.make("ading")
    with pytest.raises(TypeError, match=r"expected adding\(length, variable\), got 'size'"):
        tasks.make("adding", size=3)


def test_a_diverged_run_has_the_worst_score():
    score = adding(4).score
    np.testing.assert_array_equal(score.or_worst([0.5, None, np.nan]), [0.5, np.inf, np.inf])
    higher = score._replace(higher_is_better=True)
    np.testing.assert_array_equal(higher.or_worst([[0.5], [None]]), [[0.5], [-np.inf]])
