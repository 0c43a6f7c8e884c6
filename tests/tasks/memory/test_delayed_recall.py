import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.delayed_recall import delayed_recall
from tests.tasks.rows import require_drawn_from_the_key

TASK = delayed_recall(5, symbols=4)


def check(batch, delay, symbols):
    xs = np.asarray(batch.xs)
    assert xs.shape == (delay + 2, batch.targets.size, symbols + 1)
    np.testing.assert_array_equal(xs.sum(axis=-1), 1)
    for row, target in zip(xs.argmax(axis=-1).T, np.asarray(batch.targets), strict=True):
        *before, cue = row
        assert cue == symbols and max(before) < symbols and target == before[0]


def test_the_first_symbol_is_asked_for_at_the_cue():
    check(TASK.sample(jax.random.key(0), 300), 5, 4)
    check(TASK.test_at(17, 30), 17, 4)
    assert TASK.reads == "last" and (TASK.input_size, TASK.output_size) == (5, 4)


def test_all_symbols_are_uniform_and_independent():
    symbols = np.asarray(TASK.sample(jax.random.key(1), 10_000).xs)[:-1].argmax(axis=-1)
    for step in symbols:
        np.testing.assert_allclose(np.bincount(step, minlength=4) / 10_000, 0.25, atol=0.02)
    assert np.abs(np.corrcoef(symbols))[~np.eye(6, dtype=bool)].max() < 0.05


def test_chance_memoryless_and_success():
    batch = TASK.sample(jax.random.key(2), 20_000)
    constant = jnp.broadcast_to(jnp.eye(4)[2], (20_000, 4))  # at the cue there is nothing else
    assert abs(float(TASK.score.measure(constant, batch)) - TASK.score.chance) < 0.01
    assert TASK.score.chance == TASK.score.memoryless == 0.25
    perfect = batch.xs[0, :, :4]
    assert TASK.success.met(perfect, batch) and not TASK.success.met(constant, batch)
    last_seen = batch.xs[-2, :, :4]  # what goes by is no hint
    assert abs(float(TASK.score.measure(last_seen, batch)) - 0.25) < 0.01


def test_a_key_gives_the_same_batch_and_held_out_data_are_apart():
    require_drawn_from_the_key(TASK, delayed_recall(5, symbols=4))
    assert not np.array_equal(TASK.test_at(17, 30).xs[:7], TASK.test.xs[:, :30])


def test_names_and_bad_input():
    assert tasks.make("delayed_recall", delay=3).name == "delayed_recall(3, symbols=8)"
    with pytest.raises(ValueError, match=r"delay: .*got 0"):
        delayed_recall(0)
    with pytest.raises(ValueError, match=r"symbols: .*got 1"):
        delayed_recall(5, symbols=1)
