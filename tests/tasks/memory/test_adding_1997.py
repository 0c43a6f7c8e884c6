import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.adding_1997 import adding_1997


@pytest.fixture(scope="module")
def task():
    return adding_1997(40)


def outputs(values):
    return jnp.asarray(values, jnp.float32)[:, None]


@pytest.mark.parametrize("length", [20, 40, 101])
def test_the_target_by_hand(length):
    count = 2000
    batch = adding_1997(length).sample(jax.random.key(3), count)
    values, markers = np.moveaxis(np.asarray(batch.xs.values), -1, 0)
    lengths, targets = np.asarray(batch.xs.lengths), np.asarray(batch.targets)
    assert values.shape == (length + length // 10, count)
    assert set(lengths) == set(range(length, length + length // 10 + 1))
    on_first = 0
    for row in range(count):
        marks = markers[: lengths[row], row]
        assert marks[0] == marks[-1] == -1 and set(marks[1:-1]) <= {0.0, 1.0}
        marked = np.flatnonzero(marks == 1)
        assert 1 <= len(marked) <= 2
        # Counted from 1: one within the first ten; none past T/2, the lag of at least T/2.
        assert marked[-1] + 1 <= length // 2 and (len(marked) == 1 or marked[0] < 10)
        on_first += len(marked) == 1
        by_hand = 0.5 + sum(values[t, row] for t in marked) / 4
        np.testing.assert_allclose(targets[row], by_hand, atol=1e-6)
    chance = 0.1 + 0.9 / (length // 2 - 1)
    assert abs(on_first / count - chance) < 4 * np.sqrt(chance / count)
    assert values.min() >= -1 and values.max() < 1 and abs(values.mean()) < 0.01
    np.testing.assert_allclose(values.var(), 1 / 3, atol=0.01)


def test_marks_are_where_the_paper_draws_them():
    """Against the paper's description, drawn by NumPy: the share of sequences in which a pair is
    marked."""
    length, count = 24, 20_000
    rng = np.random.default_rng(0)
    by_words = np.zeros(length)
    for _ in range(count):
        first = rng.integers(10)
        unmarked = [pair for pair in range(length) if pair != first]
        second = unmarked[rng.integers(length // 2 - 1)]
        for pair in {first, second} - {0}:
            by_words[pair] += 1 / count
    markers = np.asarray(adding_1997(length).sample(jax.random.key(0), count).xs.values)[..., 1]
    shares = (markers == 1).mean(axis=1)[:length]
    np.testing.assert_allclose(shares, by_words, atol=0.02)
    assert shares[11] > 0 and (shares[12:] == 0).all()


def test_chance_is_the_error_of_always_answering_a_half(task):
    batch = task.sample(jax.random.key(1), 50_000)
    error = float(task.score.measure(jnp.full((50_000, 1), 0.5), batch))
    assert abs(error - task.score.chance) < 0.0005
    assert task.score.memoryless == task.score.chance and not task.score.higher_is_better


def test_loss_and_criterion_by_hand(task):
    batch = task.validation
    targets = np.asarray(batch.targets)
    off = outputs(targets + 0.008)
    np.testing.assert_allclose(task.loss(off, batch), 0.5 * 0.008**2, rtol=1e-3)
    np.testing.assert_allclose(task.score.measure(off, batch), 0.008**2, rtol=1e-3)
    assert task.success.met(off, batch)
    assert not task.success.met(outputs(targets + 0.012), batch)  # the mean
    once = targets.copy()
    once[5] += 0.041 if once[5] < 0.5 else -0.041
    assert not task.success.met(outputs(once), batch) and task.success.met(outputs(targets), batch)
    assert task.success.rows == 2000 and task.success.on == "training"


def test_held_out_data_keys_and_lengths(task):
    again = tasks.make("adding_1997", length=40)
    np.testing.assert_array_equal(again.test.xs.values, task.test.xs.values)
    assert not np.array_equal(again.test.xs.values, again.validation.xs.values)
    one, same, other = (task.sample(jax.random.key(seed), 4) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.xs.values, same.xs.values)
    assert not np.array_equal(one.targets, other.targets)
    longer = task.test_at(80, 200)
    assert (np.asarray(longer.xs.lengths) == 80).all()
    marked = np.asarray(longer.xs.values)[..., 1].argmax(axis=0)
    assert marked.max() <= 39
    with pytest.raises(ValueError, match=r"length: expected at least 20.*got 19"):
        adding_1997(19)
    with pytest.raises(ValueError, match=r"length: .*got 10"):
        task.test_at(10, 1)
