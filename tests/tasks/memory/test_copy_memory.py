import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.copy_memory import copy_memory, recall

KEY = jax.random.key(3)
FIXED, VARIABLE = copy_memory(6), copy_memory(6, variable=True)


def by_hand(row, lag, symbols=8, width=10):
    """The whole input and target of a row, given its first symbols."""
    kept = list(row[:width])
    assert all(0 <= symbol < symbols for symbol in kept)
    inputs = kept + [symbols] * (lag - 1) + [symbols + 1] + [symbols] * width
    return inputs, [symbols] * (lag + width) + kept


def rows_of(batch):
    """Inputs and targets of each row, within its length."""
    padded = isinstance(batch.xs, tasks.Sequences)
    xs = np.asarray(batch.xs.values if padded else batch.xs)
    steps, size, _ = xs.shape
    lengths = np.asarray(batch.xs.lengths) if padded else np.full(size, steps)
    for row, length in enumerate(lengths):
        inputs = xs[:length, row]
        np.testing.assert_array_equal(inputs.sum(axis=-1), 1)
        assert (np.asarray(batch.targets)[length:, row] == -1).all()
        yield inputs.argmax(axis=-1), np.asarray(batch.targets)[:length, row]


def test_the_symbols_are_asked_for_after_the_marker():
    batch = FIXED.sample(KEY, 50)
    assert batch.xs.shape == (26, 50, 10)
    for inputs, targets in rows_of(batch):
        whole, answers = by_hand(inputs, lag=6)
        np.testing.assert_array_equal(inputs, whole)
        np.testing.assert_array_equal(targets, answers)


def test_variable_lags_are_drawn_for_each_row():
    batch = VARIABLE.sample(KEY, 3000)
    assert batch.xs.values.shape == (26, 3000, 10)
    lags = np.asarray(batch.xs.lengths) - 20
    counts = np.bincount(lags, minlength=7)
    assert counts[0] == 0 and counts.sum() == counts[1:7].sum()
    np.testing.assert_allclose(counts[1:] / 3000, 1 / 6, atol=0.03)
    for lag, (inputs, targets) in zip(lags[:50], rows_of(batch), strict=False):
        whole, answers = by_hand(inputs, lag)
        np.testing.assert_array_equal(inputs, whole)
        np.testing.assert_array_equal(targets, answers)


def test_symbols_are_uniform():
    drawn = np.asarray(FIXED.sample(KEY, 5000).targets)[-10:]
    for place in drawn:
        np.testing.assert_allclose(np.bincount(place, minlength=8) / 5000, 1 / 8, atol=0.02)
    assert np.abs(np.corrcoef(drawn))[~np.eye(10, dtype=bool)].max() < 0.07


def nats(task, batch, probabilities):
    """Score of an answer that is given as probabilities."""
    whole = np.broadcast_to(np.maximum(probabilities, 1e-30), (*batch.targets.shape, 9))
    return float(task.score.measure(jnp.log(whole), batch))


@pytest.mark.parametrize("task", [FIXED, VARIABLE], ids=["fixed", "variable"])
@pytest.mark.slow
def test_the_published_baseline_and_chance_by_simulation(task):
    batch = task.sample(KEY, 4000)
    targets = np.asarray(batch.targets)
    a_symbol = (targets >= 0) & (targets < 8)
    informed = np.where(a_symbol[..., None], np.append(np.full(8, 1 / 8), 0), np.eye(9)[8])
    assert abs(nats(task, batch, informed) - task.score.memoryless) < 0.005
    share = a_symbol.sum() / (targets >= 0).sum()
    constant = np.append(np.full(8, share / 8), 1 - share)
    assert abs(nats(task, batch, constant) - task.score.chance) < 0.005
    for other in (0.8 * share, 1.2 * share):  # no constant answer is better
        worse = nats(task, batch, np.append(np.full(8, other / 8), 1 - other))
        assert worse > nats(task, batch, constant)
    assert not task.score.higher_is_better
    assert not task.success.met(jnp.log(jnp.asarray(informed) + 1e-9), batch)


def test_published_counts():
    score = copy_memory(100).score  # 10 ln 8 / (T + 20)
    np.testing.assert_allclose(score.memoryless, 10 * np.log(8) / 120, rtol=1e-12)
    variable = copy_memory(100, variable=True).score
    np.testing.assert_allclose(variable.memoryless, 10 * np.log(8) / 70.5, rtol=1e-12)


@pytest.mark.parametrize("task", [FIXED, VARIABLE], ids=["fixed", "variable"])
def test_recall_and_success(task):
    batch = task.sample(KEY, 50)
    right = jax.nn.one_hot(jnp.maximum(batch.targets, 0), 9)
    assert task.success.met(right, batch) and recall(right, batch) == 1
    early = right.at[0, :, 8].set(-1.0)  # a symbol where a blank is asked for
    assert recall(early, batch) == 1 and not task.success.met(early, batch)
    np.testing.assert_allclose(task.success.error(early, batch), 0.1, rtol=1e-6)
    blank = jnp.broadcast_to(jnp.eye(9)[8], right.shape)
    assert recall(blank, batch) == 0
    np.testing.assert_array_equal(task.success.error(blank, batch), 1)


def test_a_key_gives_the_same_batch_and_held_out_data_are_apart():
    sample = jax.jit(VARIABLE.sample, static_argnums=1)
    one, same, other = (sample(jax.random.key(seed), 30) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, same)
    assert not np.array_equal(one.xs.values, other.xs.values)
    again = copy_memory(6, variable=True)
    jax.tree.map(np.testing.assert_array_equal, VARIABLE.test, again.test)
    assert not np.array_equal(VARIABLE.test.xs.values, VARIABLE.validation.xs.values)


def test_other_lags():
    for task in (FIXED, VARIABLE):
        batch = task.test_at(15, 20)
        for inputs, targets in rows_of(batch):
            whole, answers = by_hand(inputs, lag=15)
            np.testing.assert_array_equal(inputs, whole)
            np.testing.assert_array_equal(targets, answers)
        jax.tree.map(np.testing.assert_array_equal, batch, task.test_at(15, 20))


def test_names_and_bad_input():
    made = tasks.make("copy_memory", length=3, symbols=2, width=4, variable=True)
    assert made.name == "copy_memory(1 to 3, symbols=2, width=4)"
    assert FIXED.name == "copy_memory(6, symbols=8, width=10)"
    with pytest.raises(ValueError, match=r"length: .*got 0"):
        copy_memory(0)
    with pytest.raises(ValueError, match=r"symbols: .*got 1"):
        copy_memory(5, symbols=1)
    with pytest.raises(ValueError, match=r"width: .*got 0"):
        copy_memory(5, width=0)
