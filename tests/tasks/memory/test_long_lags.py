import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.long_lags import LONGEST_TAIL, lags_2a, lags_2b, lags_2c


@pytest.fixture(scope="module")
def task_2c():
    return lags_2c(q=6, p=4)


def read(values):
    """Symbols ``[T, B]`` of one-hot values."""
    values = np.asarray(values)
    assert set(np.unique(values)) <= {0.0, 1.0} and (values.sum(axis=-1) == 1).all()
    return values.argmax(axis=-1)


@pytest.mark.parametrize("p", [3, 7])
def test_2a_has_two_sequences(p):
    batch = lags_2a(p).sample(jax.random.key(0), 400)
    symbols, targets = read(batch.xs), np.asarray(batch.targets)
    x, y = p - 1, p
    rows = {(*symbols[:, row], targets[-1, row]) for row in range(400)}
    assert rows == {(x, *range(p - 1), x), (y, *range(p - 1), y)}
    np.testing.assert_array_equal(targets[:-1], symbols[1:])
    assert abs((symbols[0] == x).mean() - 0.5) < 0.1


def test_2b_has_a_random_middle():
    batch = lags_2b(5).sample(jax.random.key(1), 4000)
    symbols, targets = read(batch.xs), np.asarray(batch.targets)
    assert symbols.shape == (5, 4000) and batch.xs.shape == (5, 4000, 6)
    np.testing.assert_array_equal(targets[:-1], symbols[1:])
    np.testing.assert_array_equal(targets[-1], symbols[0])
    assert set(symbols[0]) == {4, 5} and set(symbols[1:].ravel()) == {0, 1, 2, 3}
    shares = np.bincount(symbols[1:].ravel()) / symbols[1:].size
    np.testing.assert_allclose(shares, 0.25, atol=0.015)
    assert abs(np.corrcoef(symbols[1], symbols[2])[0, 1]) < 0.06
    assert abs((symbols[0] == 4).mean() - 0.5) < 0.04


def test_2c_step_by_step(task_2c):
    q, p, count = 6, 4, 4000
    batch = task_2c.sample(jax.random.key(2), count)
    lengths, answers = np.asarray(batch.xs.lengths), np.asarray(batch.targets)
    symbols = read(batch.xs.values)
    assert batch.xs.values.shape == (q + 3 + LONGEST_TAIL, count, p + 4)
    e, b, x, y = p, p + 1, p + 2, p + 3
    for row in range(count):
        string = symbols[: lengths[row], row]
        assert string[0] == b and string[1] == (x, y)[answers[row]] and string[-1] == e
        assert len(string) >= q + 3 and (string[2:-1] < p).all()
    assert abs(answers.mean() - 0.5) < 0.04
    shares = np.bincount(symbols[2 : q + 2].ravel(), minlength=p) / (q * count)
    np.testing.assert_allclose(shares, 1 / p, atol=0.015)


def test_2c_tail_is_geometric(task_2c):
    k = np.asarray(task_2c.sample(jax.random.key(3), 50_000).xs.lengths) - 9
    assert k.min() == 0
    for n in range(12):
        chance = 0.1 * 0.9**n
        assert abs((k == n).mean() - chance) < 4 * np.sqrt(chance / k.size), n
    assert abs(k.mean() - 9) < 0.2  # the mean length with the last symbol is q + 4 + 9
    assert (k <= LONGEST_TAIL).all() and 0.9 ** (LONGEST_TAIL + 1) < 1e-4


def test_sizes_of_the_paper():
    """p + 1 inputs and outputs in 2a; p + 4 inputs, 2 outputs in 2c, where p is q if not given."""
    task = lags_2a()
    assert (task.input_size, task.output_size, task.reads) == (101, 101, "every")
    task = lags_2c(q=20)
    assert (task.input_size, task.output_size, task.reads) == (24, 2, "last")
    assert task.name == "lags_2c(q=20, p=20)"
    assert task.validation.xs.values.nbytes <= 16e6


@pytest.mark.slow
def test_criteria(task_2c):
    """2a asks at every step, 2b only at the last; limits are strict; chance by simulation."""
    logit = float(np.log(4))  # logistic 0.8
    for make, everywhere in ((lags_2a, True), (lags_2b, False)):
        task = make(4)
        batch = task.sample(jax.random.key(4), 200)
        right = logit * (2 * jax.nn.one_hot(batch.targets, 5) - 1)
        assert task.success.met(right, batch)
        assert task.success.met(right.at[1].set(0.0), batch) == (not everywhere)
        assert not task.success.met(right.at[-1, 7].set(-right[-1, 7]), batch)
        assert float(task.score.measure(right.at[1].set(0.0), batch)) == 1
        always_x = jnp.zeros((4, 200, 5)).at[..., 3].set(1.0)
        assert abs(float(task.score.measure(always_x, batch)) - task.score.chance) < 0.12
        assert (task.success.limit, task.success.rows) == (0.25, 10_000)
        assert task.success.on == "training" and not task.success.window_counts
    batch = task_2c.sample(jax.random.key(5), 1000)
    always_x = jnp.zeros((1000, 2)).at[:, 0].set(1.0)
    assert abs(float(task_2c.score.measure(always_x, batch)) - task_2c.score.chance) < 0.06
    goals = 2 * jax.nn.one_hot(batch.targets, 2) - 1
    assert task_2c.success.met(1.4 * goals, batch)  # logistic 0.802
    assert not task_2c.success.met(1.38 * goals, batch)  # 0.799


def test_other_lengths(task_2c):
    batch = task_2c.test_at(40, 30)
    assert (np.asarray(batch.xs.lengths) == 40).all() and batch.xs.values.shape == (40, 30, 8)
    assert (read(batch.xs.values)[-1] == 4).all()
    batch = lags_2b(4).test_at(9, 30)
    symbols = read(batch.xs)
    assert symbols.shape == (9, 30)
    np.testing.assert_array_equal(symbols[0], batch.targets[-1])
    assert lags_2a(4).test_at is None


def test_drawn_by_key_and_held_out(task_2c):
    one, same, other = (task_2c.sample(jax.random.key(seed), 4) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.xs.values, same.xs.values)
    assert not np.array_equal(one.xs.values, other.xs.values)
    again = tasks.make("lags_2c", q=6, p=4)
    np.testing.assert_array_equal(again.test.xs.values, task_2c.test.xs.values)
    assert not np.array_equal(again.test.xs.values, again.validation.xs.values)


def test_bad_input_names_the_argument(task_2c):
    with pytest.raises(ValueError, match=r"p: expected at least 3.*got 2"):
        lags_2a(2)
    with pytest.raises(ValueError, match=r"q: .*got 0"):
        lags_2c(0)
    with pytest.raises(ValueError, match=r"length: expected at least 4.*got 3"):
        task_2c.test_at(3, 1)
