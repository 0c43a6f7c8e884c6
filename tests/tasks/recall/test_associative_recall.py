import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.recall.associative_recall import associative_recall
from tests.tasks.rows import require_drawn_from_the_key

TASK = associative_recall(14, pairs=2, vocabulary=9)  # keys 1 to 3, values 4 to 8; five places
ROWS = 8000
NOISY = associative_recall(14, pairs=2, vocabulary=9, power=1.0, noise=True)


@pytest.fixture(scope="module")
def batches():
    """One batch of each task, all of one size, so that each program is compiled once."""
    return {task.name: task.sample(jax.random.key(0), ROWS) for task in (TASK, NOISY)}


def check(batch, length, pairs, vocabulary, noise=False):
    """Compares every row with one made by hand; returns keys, values and the places of the
    queries."""
    xs, targets = np.asarray(batch.xs), np.asarray(batch.targets)
    assert xs.shape == (length, targets.shape[1], vocabulary)
    np.testing.assert_array_equal(xs.sum(axis=-1), 1)
    found = []
    for row, answers in zip(xs.argmax(axis=-1).T.tolist(), targets.T.tolist(), strict=True):
        keys, values = row[: 2 * pairs : 2], row[1 : 2 * pairs : 2]
        value_of = dict(zip(keys, values, strict=True))
        assert len(value_of) == len(set(values)) == pairs
        assert all(1 <= key < vocabulary // 2 for key in keys)
        assert all(vocabulary // 2 <= value < vocabulary for value in values)
        asked = [step for step in range(length) if answers[step] >= 0]
        assert sorted(row[step] for step in asked) == sorted(keys)
        assert all(answers[step] == value_of[row[step]] for step in asked)
        gaps = {row[step]: step - 2 * pairs for step in asked}
        assert all(gap >= 0 and gap % 2 == 0 for gap in gaps.values())
        if not noise:
            assert all(row[t] == 0 for t in range(2 * pairs, length) if t not in asked)
        found.append((tuple(keys), tuple(values), tuple(gaps[key] // 2 for key in keys)))
    return found


def test_each_key_is_asked_for_once_and_its_value_is_the_answer():
    check(TASK.test, 14, 2, 9)
    check(NOISY.test, 14, 2, 9, noise=True)
    check(TASK.test_at(31, 30), 31, 2, 9)
    check(TASK.test_at(8, 30), 8, 2, 9)  # as many places as keys
    assert TASK.reads == "every" and (TASK.input_size, TASK.output_size) == (9, 9)


def shares(drawn):
    return {choice: drawn.count(choice) / len(drawn) for choice in set(drawn)}


@pytest.mark.parametrize("task, power", [(TASK, 0.01), (NOISY, 1.0)])
def test_keys_and_values_are_uniform_and_gaps_follow_the_power_law(batches, task, power):
    found = check(batches[task.name], 14, 2, 9, noise=task is NOISY)
    keys, values, gaps = (shares(list(column)) for column in zip(*found, strict=True))
    assert len(keys) == 6 and all(abs(share - 1 / 6) < 0.02 for share in keys.values())
    assert len(values) == 20 and all(abs(share - 1 / 20) < 0.01 for share in values.values())
    weights = [n ** (power - 1) for n in range(1, 6)]
    for one, two in itertools.permutations(range(5), 2):  # drawn without replacement, in order
        rest = sum(weights) - weights[one]
        expected = weights[one] / sum(weights) * weights[two] / rest
        assert abs(gaps[one, two] - expected) < 0.015


def test_noise_is_of_the_whole_vocabulary(batches):
    batch = batches[NOISY.name]
    inputs, targets = np.asarray(batch.xs).argmax(axis=-1), np.asarray(batch.targets)
    counts = np.bincount(inputs[4:][targets[4:] < 0], minlength=9)
    np.testing.assert_allclose(counts / counts.sum(), 1 / 9, atol=0.01)


def test_chance_memoryless_and_success(batches):
    batch = batches[TASK.name]
    constant = jnp.broadcast_to(jnp.eye(9)[6], (*batch.targets.shape, 9))
    assert abs(float(TASK.score.measure(constant, batch)) - TASK.score.chance) < 0.01
    inputs, targets = np.asarray(batch.xs).argmax(axis=-1), np.asarray(batch.targets)
    best = 0  # the best answer to each query, in hindsight
    for key in (1, 2, 3):
        best += np.bincount(targets[(inputs == key) & (targets >= 0)]).max()
    assert abs(best / (targets >= 0).sum() - TASK.score.memoryless) < 0.02
    assert TASK.score.chance == TASK.score.memoryless == 1 / 5
    perfect = jax.nn.one_hot(batch.targets, 9)
    assert TASK.success.met(perfect, batch) and not TASK.success.met(constant, batch)


def test_a_key_gives_the_same_batch_and_held_out_data_are_apart():
    require_drawn_from_the_key(TASK, associative_recall(14, pairs=2, vocabulary=9))


def test_names_and_bad_input():
    made = tasks.make("associative_recall", length=9, pairs=2, noise=True)
    assert made.name == "associative_recall(9, pairs=2, vocabulary=64, power=0.01, noise)"
    assert TASK.name == "associative_recall(14, pairs=2, vocabulary=9, power=0.01)"
    with pytest.raises(ValueError, match=r"length: expected at least 16.*got 15"):
        associative_recall(15)
    with pytest.raises(ValueError, match=r"length: .*got 7"):
        TASK.test_at(7, 5)
    with pytest.raises(ValueError, match=r"vocabulary: expected at least 10.*got 9"):
        associative_recall(vocabulary=9)
    with pytest.raises(ValueError, match=r"power: .*got 0"):
        associative_recall(power=0.0)
