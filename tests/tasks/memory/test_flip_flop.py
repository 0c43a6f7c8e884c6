import jax
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.memory.flip_flop import flip_flop
from tests.tasks.rows import require_fixed_held_out, right_outputs, simulated


def register(text):
    """The bit after each read, from a register that is written and read."""
    bit, answers = None, []
    for instruction, data in zip(text[0::2], text[1::2], strict=True):
        bit = data if instruction == "w" else bit
        answers += [int(bit) if instruction == "r" else -1, -1]
    return answers


def test_the_picture():
    assert register("w1i0i0r1w0i1r0") == [-1] * 6 + [1] + [-1] * 5 + [0, -1]


@pytest.mark.parametrize(("length", "ignore"), [(4, 0.8), (10, 0.1), (64, 0.8)])
@pytest.mark.slow
def test_reads_give_what_was_written_last(length, ignore):
    task = flip_flop(length, ignore)
    for batch in (task.sample(jax.random.key(0), 200), task.test_at(2 * length, 50)):
        xs, targets = np.asarray(batch.xs), np.asarray(batch.targets)
        assert (xs.sum(axis=-1) == 1).all() and xs.shape[2] == 5
        for row in range(xs.shape[1]):
            text = "".join("wri01"[s] for s in xs[:, row].argmax(axis=-1))
            assert set(text[0::2]) <= set("wri") and set(text[1::2]) <= set("01")
            assert text[0] == "w" and text[-2] == "r"
            answers = register(text)
            assert targets[:, row].tolist() == answers
            reads = [int(text[i + 1]) for i in range(len(text)) if text[i] == "r"]
            assert reads == [answer for answer in answers if answer >= 0]
        assert float(task.score.measure(right_outputs(batch, 2), batch)) == 1.0


@pytest.mark.parametrize("ignore", [0.8, 0.1])
def test_instructions_and_bits_are_as_often_as_the_paper_says(ignore):
    batch = flip_flop(20, ignore).sample(jax.random.key(5), 10_000)
    symbols = np.asarray(batch.xs).argmax(axis=-1)
    inner = symbols[2:-2:2]
    shares = [np.mean(inner == symbol) for symbol in range(3)]  # w r i
    np.testing.assert_allclose(shares, [(1 - ignore) / 2, (1 - ignore) / 2, ignore], atol=0.006)
    np.testing.assert_allclose(np.mean(symbols[1::2] == 4), 0.5, atol=0.01)


def test_chance_and_memoryless():
    task = flip_flop(20)
    found = simulated(task.sample(jax.random.key(1), 20_000))
    np.testing.assert_allclose(found, [0.5, 0.5], atol=0.01)
    assert (task.score.chance, task.score.memoryless) == (0.5, 0.5)


def test_held_out_data():
    require_fixed_held_out(lambda: flip_flop(32))
    task = tasks.make("flip_flop")
    assert task.name == "flip_flop(64, ignore 0.8)" and task.reads == "every"
    assert task.success.met(right_outputs(task.test, 2), task.test)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"length: expected at least 4.*got 2"):
        flip_flop(2)
    with pytest.raises(ValueError, match="length: expected an even length, got 9"):
        flip_flop(8).test_at(9, 1)
    with pytest.raises(ValueError, match=r"ignore: expected a probability in \[0, 1\), got 1.0"):
        flip_flop(8, 1.0)
