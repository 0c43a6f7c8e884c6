import math
from collections import Counter

import jax
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.formal.dyck import dyck
from tests.tasks.rows import require_fixed_held_out, right_outputs, rows_of, simulated


def run_stack(symbols, kinds):
    """What may be closed after each step, and the largest depth; fails if the word is not a
    prefix."""
    stack, answers, deepest = [], [], 0
    for symbol in symbols:
        if symbol < kinds:
            stack.append(symbol)
        else:
            assert stack.pop() == symbol - kinds
        answers.append(1 + stack[-1] if stack else 0)
        deepest = max(deepest, len(stack))
    return answers, deepest


def test_the_picture():
    """( [ ] ( ) ) with the brackets ( [ ) ] as 0 1 2 3."""
    assert run_stack([0, 1, 3, 0, 2, 2], 2) == ([1, 2, 1, 1, 1, 0], 2)


@pytest.mark.parametrize(("kinds", "max_depth"), [(1, None), (2, None), (3, 2)])
def test_words_are_balanced_and_targets_are_on_the_stack(kinds, max_depth):
    task = dyck(kinds, 2, 13, max_depth)
    assert (task.input_size, task.output_size) == (2 * kinds, kinds + 1)
    batch = task.sample(jax.random.key(0), 400)
    lengths, seen = set(), set()
    for symbols, targets in rows_of(batch):
        answers, deepest = run_stack(symbols, kinds)
        assert targets == answers and answers[-1] == 0
        assert deepest <= (max_depth or 6)
        lengths.add(len(symbols))
        seen |= set(symbols)
    assert lengths == {2, 4, 6, 8, 10, 12} and seen == set(range(2 * kinds))
    assert float(task.score.measure(right_outputs(batch, kinds + 1), batch)) == 1.0


@pytest.mark.parametrize(("max_depth", "words"), [(None, 132), (2, 32), (3, 89)])
def test_every_word_is_as_likely(max_depth, words):
    """There are Catalan's number of words with six pairs; with bounded depth, powers of two and
    Fibonacci numbers."""
    if max_depth is None:
        assert words == math.comb(12, 6) // 7
    task = dyck(1, 12, 12, max_depth)
    symbols = np.asarray(task.sample(jax.random.key(1), 20_000).xs.values).argmax(axis=-1)
    counts = Counter(map(tuple, symbols.T.tolist()))
    assert len(counts) == words
    expected = 20_000 / words
    statistic = sum((count - expected) ** 2 / expected for count in counts.values())
    assert statistic < words - 1 + 5 * math.sqrt(2 * (words - 1))


def test_kinds_are_uniform():
    batch = dyck(2, 2, 12).sample(jax.random.key(2), 5000)
    symbols = np.asarray(batch.xs.values).sum(axis=(0, 1))
    np.testing.assert_allclose(symbols / symbols.sum(), 0.25, atol=0.01)


@pytest.mark.parametrize(
    "options", [(1, 2, 10, None), (2, 2, 10, None), (2, 20, 20, 3), (1, 4, 16, 2), (3, 2, 2, None)]
)
@pytest.mark.slow
def test_chance_and_memoryless(options):
    task = dyck(*options)
    found = simulated(task.sample(jax.random.key(3), 20_000))
    np.testing.assert_allclose(found, [task.score.chance, task.score.memoryless], atol=0.01)


def test_two_kinds_need_the_stack():
    """In Dyck-2, counting the depth and reading the current symbol is worse than remembering."""
    task = dyck(2, 2, 50)
    assert task.score.memoryless < 0.75
    asked = right = 0
    for symbols, targets in rows_of(task.sample(jax.random.key(4), 500)):
        depth = 0
        for symbol, target in zip(symbols, targets, strict=True):
            depth += 1 if symbol < 2 else -1
            guess = 0 if depth == 0 else symbol % 2 + 1
            asked, right = asked + 1, right + (guess == target)
    assert 0.7 < right / asked < 0.9


def test_far_beyond_the_trained_lengths():
    task = dyck(2, 2, 10)
    for symbols, targets in rows_of(task.test_at(400, 5)):
        assert len(symbols) == 400 and run_stack(symbols, 2)[0] == targets
    bounded = dyck(2, 2, 10, 3)
    for symbols, targets in rows_of(bounded.test_at(2000, 2)):
        answers, deepest = run_stack(symbols, 2)
        assert answers == targets and deepest == 3
    with pytest.raises(ValueError, match="length: expected an even length, got 7"):
        task.test_at(7, 1)


@pytest.mark.slow
def test_held_out_data():
    require_fixed_held_out(dyck)
    task = tasks.make("dyck", kinds=1, max_depth=4)
    assert task.name == "dyck(1, 2 to 50, depth 4)" and task.reads == "every"
    assert dyck().name == "dyck(2, 2 to 50)"
    assert task.success.met(right_outputs(task.test, 2), task.test)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"kinds: .*got 0"):
        dyck(0)
    with pytest.raises(ValueError, match=r"max_depth: .*got 0"):
        dyck(1, max_depth=0)
    with pytest.raises(
        ValueError, match=r"max_length: expected a range with an even length.*got 3"
    ):
        dyck(1, 3, 3)
