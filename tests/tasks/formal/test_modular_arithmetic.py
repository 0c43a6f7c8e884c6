import itertools

import jax
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.formal.modular_arithmetic import modular_arithmetic
from tests.tasks.rows import require_fixed_held_out, right_outputs, rows_of, simulated


def written(symbols, modulus):
    return "".join(str(s) if s < modulus else "+-*"[s - modulus] for s in symbols)


@pytest.mark.parametrize("modulus", [2, 5, 6])
def test_the_target_is_the_value_that_python_gives(modulus):
    task = modular_arithmetic(modulus, 1, 10)
    batch = task.sample(jax.random.key(2), 500)
    assert batch.xs.values.shape == (9, 500, modulus + 3) and task.input_size == modulus + 3
    lengths, seen = set(), set()
    for symbols, target in rows_of(batch):
        text = written(symbols, modulus)
        assert target == eval(text) % modulus, text
        lengths.add(len(text))
        seen |= set(text)
        assert all((symbol < modulus) == (i % 2 == 0) for i, symbol in enumerate(symbols))
    assert lengths == {1, 3, 5, 7, 9}
    assert seen == set("+-*") | {str(digit) for digit in range(modulus)}
    assert float(task.score.measure(right_outputs(batch, modulus), batch)) == 1.0


def test_far_beyond_the_trained_lengths():
    task = modular_arithmetic(5, 1, 7)
    batch = task.test_at(201, 10)
    for symbols, target in rows_of(batch):
        assert len(symbols) == 201 and target == eval(written(symbols, 5)) % 5
    with pytest.raises(ValueError, match="length: expected an odd length, got 200"):
        task.test_at(200, 10)


def test_baselines_against_all_expressions():
    """All expressions of lengths 1, 3 and 5, each length equally likely."""
    modulus = 3
    by_last = np.zeros((modulus, modulus))
    for pairs in range(3):
        spaces = [range(modulus)] + [range(modulus), "+-*"] * pairs
        texts = list(itertools.product(*spaces))
        for number, *rest in texts:
            text = str(number)
            for digit, operator in zip(rest[0::2], rest[1::2], strict=True):
                text += operator + str(digit)
            by_last[int(text[-1]), eval(text) % modulus] += 1 / len(texts) / 3
    score = modular_arithmetic(modulus, 1, 5).score
    np.testing.assert_allclose(score.chance, by_last.sum(axis=0).max(), rtol=1e-12)
    np.testing.assert_allclose(score.memoryless, by_last.max(axis=1).sum(), rtol=1e-12)


@pytest.mark.parametrize(("modulus", "lengths"), [(5, (1, 6)), (4, (3, 9))])
def test_chance_and_memoryless(modulus, lengths):
    task = modular_arithmetic(modulus, *lengths)
    found = simulated(task.sample(jax.random.key(1), 40_000))
    np.testing.assert_allclose(found, [task.score.chance, task.score.memoryless], atol=0.012)
    assert 1 / modulus < task.score.chance < task.score.memoryless < 0.7


def test_held_out_data():
    require_fixed_held_out(modular_arithmetic)
    task = tasks.make("modular_arithmetic")
    assert task.name == "modular_arithmetic(5, 1 to 39)"
    assert task.success.met(right_outputs(task.test, 5), task.test)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"modulus: expected at least 2.*got 1"):
        modular_arithmetic(1)
    with pytest.raises(ValueError, match=r"max_length: expected a range with an odd length.*got 4"):
        modular_arithmetic(5, 4, 4)
