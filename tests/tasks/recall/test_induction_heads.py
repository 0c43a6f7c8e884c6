import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.recall.induction_heads import induction_heads
from tests.tasks.rows import require_drawn_from_the_key

TASK = induction_heads(8, symbols=5)
ROWS = 6000


@pytest.fixture(scope="module")
def batch():
    return TASK.sample(jax.random.key(0), ROWS)


def check(batch, length, symbols):
    """Compares every row with one made by hand; returns the places of the first special token."""
    xs = np.asarray(batch.xs)
    assert xs.shape == (length, batch.targets.size, symbols)
    np.testing.assert_array_equal(xs.sum(axis=-1), 1)
    places = []
    for row, answer in zip(xs.argmax(axis=-1).T.tolist(), batch.targets.tolist(), strict=True):
        assert row[-1] == symbols - 1 and row.count(symbols - 1) == 2
        places.append(row.index(symbols - 1))
        assert answer == row[places[-1] + 1] != symbols - 1
    return np.array(places)


def test_what_followed_the_special_token_is_asked_for():
    check(TASK.test, 8, 5)
    check(TASK.test_at(3, 30), 3, 5)
    check(TASK.test_at(50, 30), 50, 5)
    assert TASK.reads == "last" and (TASK.input_size, TASK.output_size) == (5, 4)


def test_places_and_answers_are_uniform(batch):
    places = check(batch, 8, 5)
    np.testing.assert_allclose(np.bincount(places, minlength=8)[:6] / ROWS, 1 / 6, atol=0.02)
    for place in range(6):
        counts = np.bincount(np.asarray(batch.targets)[places == place], minlength=4)
        np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.06)


def test_chance_memoryless_and_success(batch):
    constant = jnp.broadcast_to(jnp.eye(4)[1], (ROWS, 4))  # the last step is always the same
    assert abs(float(TASK.score.measure(constant, batch)) - TASK.score.chance) < 0.02
    assert TASK.score.chance == TASK.score.memoryless == 0.25
    perfect = jax.nn.one_hot(batch.targets, 4)
    assert TASK.success.met(perfect, batch) and not TASK.success.met(constant, batch)
    assert induction_heads(16).score.chance == 1 / 15


def test_a_key_gives_the_same_batch_and_held_out_data_are_apart():
    require_drawn_from_the_key(TASK, induction_heads(8, symbols=5))


def test_names_and_bad_input():
    made = tasks.make("induction_heads", length=9)
    assert made.name == "induction_heads(9, symbols=16)"
    with pytest.raises(ValueError, match=r"length: .*got 2"):
        induction_heads(2)
    with pytest.raises(ValueError, match=r"length: .*got 2"):
        TASK.test_at(2, 5)
    with pytest.raises(ValueError, match=r"symbols: .*got 2"):
        induction_heads(5, symbols=2)
