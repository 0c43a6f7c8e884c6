import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.n_bit_flip_flop import n_bit_flip_flop
from tests.selection import mostly_slow
from tests.tasks.rows import require_fixed_held_out


def held(pulses):
    """The last pulse at each step of a channel."""
    answers = []
    for pulse in pulses:
        answers.append(pulse if pulse != 0 else answers[-1])
    return answers


def test_the_picture():
    assert held([1, 0, 0, -1, 0, 1, 1, 0]) == [1, 1, 1, -1, -1, 1, 1, 1]


@pytest.mark.parametrize(
    ("length", "bits", "probability"),
    mostly_slow([(1, 1, 0.5), (20, 3, 0.1), (5, 2, 1)], [(20, 3, 0.1)]),
)
def test_each_channel_holds_its_last_pulse(length, bits, probability):
    task = n_bit_flip_flop(length, bits=bits, probability=probability)
    for batch, steps in [
        (task.sample(jax.random.key(0), 50), length),
        (task.test_at(2 * length, 50), 2 * length),
    ]:
        xs, targets = np.asarray(batch.xs), np.asarray(batch.targets)
        assert xs.shape == targets.shape == (steps, 50, bits)
        assert set(np.unique(xs)) <= {-1.0, 0.0, 1.0} and (xs[0] != 0).all()
        for row in range(50):
            for bit in range(bits):
                assert targets[:, row, bit].tolist() == held(xs[:, row, bit])
        assert float(task.score.measure(0.3 * batch.targets, batch)) == 1.0
        assert float(task.loss(batch.targets, batch)) == 0.0


@pytest.mark.parametrize("probability", [0.5, 0.1])
def test_pulses_are_as_often_as_said(probability):
    batch = n_bit_flip_flop(20, probability=probability).sample(jax.random.key(5), 5000)
    xs = np.asarray(batch.xs)
    for sign in (-1, 1):
        np.testing.assert_allclose(np.mean(xs[1:] == sign), probability / 2, atol=0.005)
        np.testing.assert_allclose(np.mean(xs[0] == sign), 0.5, atol=0.02)
    channels = np.corrcoef(xs.reshape(-1, 3).T)
    np.testing.assert_allclose(channels, np.eye(3), atol=0.015)


def test_chance_and_memoryless():
    task = n_bit_flip_flop(10, probability=0.3)
    batch = task.sample(jax.random.key(1), 20_000)
    for score in (task.score, *task.scores):
        # The sign of 0 is that of a guess; for the squared error it is the best answer.
        fill = 1.0 if score.name == "accuracy" else 0.0
        constant = jnp.full_like(batch.xs, fill)
        best = jnp.where(batch.xs == 0, constant, batch.xs)
        np.testing.assert_allclose(score.measure(constant, batch), score.chance, atol=0.01)
        np.testing.assert_allclose(score.measure(best, batch), score.memoryless, atol=0.01)
    assert task.score.memoryless == pytest.approx(1 - 0.5 * 0.7 * 0.9)


def test_held_out_data():
    require_fixed_held_out(lambda: n_bit_flip_flop(8))
    task = tasks.make("n_bit_flip_flop")
    assert task.name == "n_bit_flip_flop(64, bits=3, probability 0.1)" and task.reads == "every"
    assert task.success.met(task.test.targets, task.test)
    assert not task.success.met(task.test.xs, task.test)


def test_bad_input_names_the_argument():
    for wrong in (0, 1.5, -0.1):
        with pytest.raises(ValueError, match=r"probability: expected a number in \(0, 1\], got"):
            n_bit_flip_flop(8, probability=wrong)
    with pytest.raises(ValueError, match="bits: expected a positive integer, got 0"):
        n_bit_flip_flop(8, bits=0)
    with pytest.raises(TypeError, match="length: expected a positive integer"):
        n_bit_flip_flop(8.0)
