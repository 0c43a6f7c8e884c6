import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.selective_copy import selective_copy
from tests.tasks.rows import require_drawn_from_the_key

TASK = selective_copy(4, symbols=6, tokens=3)  # four kinds
ROWS = 7000


@pytest.fixture(scope="module")
def batch():
    return TASK.sample(jax.random.key(0), ROWS)


def check(batch, length, symbols, tokens):
    """Compares every row with one made by hand; returns the places of its tokens."""
    xs, targets = np.asarray(batch.xs), np.asarray(batch.targets)
    assert xs.shape == (length + 2 * tokens, targets.shape[1], symbols)
    np.testing.assert_array_equal(xs.sum(axis=-1), 1)
    places = []
    for row, answers in zip(xs.argmax(axis=-1).T.tolist(), targets.T.tolist(), strict=True):
        read, asking = row[: length + tokens], row[length + tokens :]
        assert asking == [symbols - 1] * tokens and symbols - 1 not in read
        kept = [symbol for symbol in read if symbol != symbols - 2]
        assert len(kept) == tokens
        assert answers == [-1] * (length + tokens) + kept
        places.append(tuple(n for n, symbol in enumerate(read) if symbol != symbols - 2))
    return places


def test_the_tokens_among_the_blanks_are_asked_for_in_order():
    check(TASK.test, 4, 6, 3)
    check(TASK.test_at(11, 30), 11, 6, 3)
    assert TASK.reads == "every" and (TASK.input_size, TASK.output_size) == (6, 4)


def test_places_and_tokens_are_uniform(batch):
    places = check(batch, 4, 6, 3)
    for chosen in itertools.combinations(range(7), 3):  # 35 choices
        assert abs(places.count(chosen) / ROWS - 1 / 35) < 0.01
    for answers in np.asarray(batch.targets)[-3:]:
        np.testing.assert_allclose(np.bincount(answers) / ROWS, 0.25, atol=0.02)


@pytest.mark.slow
def test_chance_memoryless_and_success(batch):
    shape = (*batch.targets.shape, 4)
    constant = jnp.broadcast_to(jnp.eye(4)[1], shape)  # at a marker there is nothing else
    assert abs(float(TASK.score.measure(constant, batch)) - TASK.score.chance) < 0.01
    assert TASK.score.chance == TASK.score.memoryless == 0.25
    perfect = jax.nn.one_hot(batch.targets, 4)
    assert TASK.success.met(perfect, batch) and not TASK.success.met(constant, batch)
    assert TASK.loss(50 * perfect, batch) < 1e-6
    assert selective_copy().score.chance == 1 / 14


def test_a_key_gives_the_same_batch_and_held_out_data_are_apart():
    require_drawn_from_the_key(TASK, selective_copy(4, symbols=6, tokens=3))


def test_names_and_bad_input():
    made = tasks.make("selective_copy", length=3, tokens=2)
    assert made.name == "selective_copy(3, symbols=16, tokens=2)"
    with pytest.raises(ValueError, match=r"length: .*got 0"):
        selective_copy(0)
    with pytest.raises(ValueError, match=r"symbols: .*got 3"):
        selective_copy(5, symbols=3)
    with pytest.raises(ValueError, match=r"tokens: .*got 0"):
        selective_copy(5, tokens=0)
