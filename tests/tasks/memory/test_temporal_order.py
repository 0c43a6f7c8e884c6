import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.temporal_order import SYMBOLS, temporal_order

WINDOWS = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}  # of the paper
CLASSES = {2: "QRSU", 3: "QRSUVABC"}


@pytest.mark.parametrize("marks", [2, 3])
def test_the_paper_s_sequences(marks):
    count = 3000
    task = temporal_order(marks)
    batch = task.sample(jax.random.key(0), count)
    values, lengths = np.asarray(batch.xs.values), np.asarray(batch.xs.lengths)
    assert values.shape == (110, count, 8) and task.output_size == 2**marks
    rules = dict(zip(itertools.product("XY", repeat=marks), CLASSES[marks], strict=True))
    seen = [set() for _ in range(marks)]
    for row in range(count):
        string = "".join(SYMBOLS[s] for s in values[: lengths[row], row].argmax(axis=-1))
        assert string[0] == "E" and string[-1] == "B"
        assert not set(string[1:-1]) - set("abcdXY")
        marked = [(t, s) for t, s in enumerate(string, 1) if s in "XY"]
        assert len(marked) == marks
        for place, (t, _) in enumerate(marked):
            seen[place].add(t)
        rule = rules[tuple(s for _, s in marked)]
        assert CLASSES[marks].index(rule) == np.asarray(batch.targets)[row]
    for places, (low, high) in zip(seen, WINDOWS[marks], strict=True):
        assert places == set(range(low, high + 1))
    assert set(lengths) == set(range(100, 111))
    shares = np.bincount(np.asarray(batch.targets)) / count
    np.testing.assert_allclose(shares, 1 / 2**marks, atol=0.04)
    letters = values[1:99, :, 2:6].mean(axis=(0, 1))
    np.testing.assert_allclose(letters, letters.mean(), atol=0.005)


@pytest.mark.parametrize("marks", [2, 3])
def test_windows_grow_with_the_length_and_never_meet(marks):
    task = temporal_order(marks, 20, 20)
    values = np.asarray(task.sample(jax.random.key(1), 500).xs.values)
    assert values.shape == (20, 500, 8) and (values[..., 6:].sum(axis=(0, 2)) == marks).all()
    assert (values[0, :, 0] == 1).all() and (values[-1, :, 1] == 1).all()
    longer = task.test_at(200, 300)
    marked = np.asarray(longer.xs.values)[..., 6:].sum(axis=-1)
    starts = [2 * low for low, _ in WINDOWS[marks]]
    assert set(np.flatnonzero(marked.sum(axis=1)) + 1) <= {
        t for start in starts for t in range(start, start + 21)
    }
    assert (np.asarray(longer.xs.lengths) == 200).all() and (marked.sum(axis=0) == marks).all()


@pytest.mark.slow
def test_chance_loss_and_criterion():
    task = temporal_order(2, 20, 22)
    batch = task.sample(jax.random.key(2), 4000)
    constant = jnp.zeros((4000, 4)).at[:, 2].set(1.0)
    assert abs(float(task.score.measure(constant, batch)) - task.score.chance) < 0.03
    assert task.score.chance == task.score.memoryless == 0.25
    goals = 2 * jax.nn.one_hot(batch.targets, 4) - 1
    off = 1 / (1 + np.exp(2.2))  # 0.0998
    np.testing.assert_allclose(task.loss(2.2 * goals, batch), 0.5 * 4 * off**2, rtol=1e-4)
    assert task.success.met(2.2 * goals, batch) and not task.success.met(2.19 * goals, batch)
    assert not task.success.met((9 * goals).at[3, 1].set(-0.84), batch)  # off by 0.3015
    assert (task.success.limit, task.success.rows) == (0.3, 2000)


def test_held_out_data_keys_and_bad_input():
    task = tasks.make("temporal_order", marks=3, min_length=20, max_length=21)
    again = temporal_order(3, 20, 21)
    np.testing.assert_array_equal(again.test.xs.values, task.test.xs.values)
    assert not np.array_equal(again.test.xs.values, again.validation.xs.values)
    one, same, other = (task.sample(jax.random.key(seed), 4) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.xs.values, same.xs.values)
    assert not np.array_equal(one.xs.values, other.xs.values)
    assert task.name == "temporal_order(marks=3, T=20-21)"
    with pytest.raises(ValueError, match="marks: expected 2 or 3, got 4"):
        temporal_order(4)
    with pytest.raises(ValueError, match=r"min_length: .*got 19"):
        temporal_order(2, 19, 30)
    with pytest.raises(ValueError, match=r"max_length: .*got 20"):
        temporal_order(2, 30, 20)
    with pytest.raises(ValueError, match=r"length: .*got 5"):
        task.test_at(5, 1)
