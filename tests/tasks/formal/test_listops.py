import statistics

import jax
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.formal import listops as module
from lstm_jax.tasks.formal.listops import TOKENS, grow, listops


@pytest.fixture(scope="module")
def task():
    return listops(10, 40, max_depth=6, max_args=4, training=300)


def texts(batch):
    """The tokens of each row; the padding is checked to be empty."""
    values, lengths = np.asarray(batch.xs.values), np.asarray(batch.xs.lengths)
    rows = []
    for row, length in enumerate(lengths):
        inputs = values[:, row]
        assert (inputs[:length].sum(axis=-1) == 1).all() and (inputs[length:] == 0).all()
        rows.append([TOKENS[i] for i in inputs[:length].argmax(axis=-1)])
    return rows


def parsed(words):
    """The tree that starts at the first word, and the words after it."""
    if words[0].isdigit():
        return int(words[0]), words[1:]
    operator, rest, arguments = words[0].removeprefix("["), words[1:], []
    while rest[0] != "]":
        argument, rest = parsed(rest)
        arguments.append(argument)
    return (operator, arguments), rest[1:]


def value(tree):
    if isinstance(tree, int):
        return tree
    operator, arguments = tree
    values = [value(argument) for argument in arguments]
    return {
        "MIN": min(values),
        "MAX": max(values),
        "MED": int(statistics.median(values)),
        "SM": sum(values) % 10,
    }[operator]


def depth(tree):
    return 1 if isinstance(tree, int) else 1 + max(map(depth, tree[1]))


def widths(tree):
    if isinstance(tree, int):
        return []
    return [len(tree[1]), *(width for argument in tree[1] for width in widths(argument))]


@pytest.mark.slow
def test_the_evaluators_agree_and_the_expressions_are_as_asked(task):
    for batch, low, high in (
        (task.test, 10, 40),
        (task.sample(jax.random.key(0), 100), 10, 40),
        (task.test_at(80, 30), 72, 88),
    ):
        trees = []
        for words, target in zip(texts(batch), np.asarray(batch.targets), strict=True):
            assert low <= len(words) <= high
            tree, rest = parsed(words)
            assert rest == [] and value(tree) == target
            trees.append(tree)
        assert max(map(depth, trees)) == 6
        assert {width for tree in trees for width in widths(tree)} == {2, 3, 4}


def test_each_operator_by_hand():
    rows = {
        "[MIN 4 2 9 ]": 2,
        "[MAX 4 [SM 9 8 ] 0 ]": 7,
        "[MED 1 8 2 9 ]": 5,
        "[MED 1 2 ]": 1,  # 1.5, rounded down
        "[MED 7 7 0 ]": 7,
        "[SM 5 5 ]": 0,
        "[SM [MAX 1 3 ] [MIN 9 [MED 6 8 ] ] ]": 0,
    }
    tokens = np.full((len(rows), 13), module.PAD, np.uint8)
    for row, text in enumerate(rows):
        tokens[row, : len(text.split())] = [TOKENS.index(word) for word in text.split()]
    assert list(module.evaluate(tokens)) == list(rows.values())


def test_lengths_are_distributed_as_the_source_draws_them():
    """The exact distribution: an argument at depth d is one token, or a list with probability 1/4
    and 2 to M arguments at d + 1."""
    longest, deepest, most, count = 60, 5, 4, 20_000
    argument = np.eye(1, longest + 1, 1)[0]  # at the greatest depth, a digit
    for _ in range(deepest - 1):
        arguments, a_list = np.eye(1, longest + 1)[0], np.zeros(longest + 1)
        for width in range(1, most + 1):
            arguments = np.convolve(arguments, argument)[: longest + 1]
            if width >= 2:
                a_list[2:] += arguments[:-2] / (most - 1)
        argument = 0.25 * a_list + 0.75 * np.eye(1, longest + 1, 1)[0]
    tokens, lengths = grow(np.random.RandomState(5), count, longest, deepest, most)
    shares = np.bincount(lengths, minlength=longest + 1) / count
    error = np.sqrt(a_list / count)
    assert (np.abs(shares - a_list)[1:] < 4.5 * error[1:] + 1e-4).all()
    assert shares[4] > 0.1 and shares[21:].sum() > 0.1  # it is no empty test
    short = tokens[lengths == 4]  # a list of two digits: each digit and operator as likely
    np.testing.assert_allclose(
        np.bincount(short[:, 0], minlength=14)[10:] / len(short), 0.25, atol=0.03
    )
    np.testing.assert_allclose(
        np.bincount(short[:, 1:3].ravel()) / (2 * len(short)), 0.1, atol=0.02
    )


@pytest.mark.slow
def test_no_expression_is_in_two_parts(task):
    def held(batch):
        return {" ".join(words) for words in texts(batch)}

    drawn = held(task.sample(jax.random.key(1), 4000))
    validation, test, longer = held(task.validation), held(task.test), held(task.test_at(30, 500))
    assert len(drawn) == 300 and len(validation) == len(test) == 1000 and len(longer) == 500
    assert len(drawn | validation | test | longer) == 2800
    # Another training part has the same held-out ones.
    again = listops(10, 40, max_depth=6, max_args=4, training=20)
    np.testing.assert_array_equal(again.test.xs.values, task.test.xs.values)
    np.testing.assert_array_equal(again.validation.targets, task.validation.targets)
    assert len(held(again.sample(jax.random.key(0), 500))) == 20
    assert again.name == "listops(10 to 40, max_depth=6, max_args=4, training=20)" != task.name


def test_a_key_gives_the_same_batch_and_another_key_another(task):
    sample = jax.jit(task.sample, static_argnums=1)
    one, same, other = (sample(jax.random.key(seed), 8) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.xs.values, same.xs.values)
    assert not np.array_equal(one.xs.values, other.xs.values)
    few, more = task.test_at(80, 10), task.test_at(80, 30)
    np.testing.assert_array_equal(few.targets, more.targets[:10])


def test_chance_and_memoryless_are_those_of_a_constant_answer(task):
    targets = np.asarray(task.test.targets)
    assert task.score.chance == task.score.memoryless
    assert task.score.chance == max(np.mean(targets == answer) for answer in range(10))
    last = {words[-1] for words in texts(task.test)}
    assert last == {"]"}  # nothing else to be seen at the last step
    right = jax.nn.one_hot(task.test.targets, 10)
    assert task.success.met(right, task.test) and not task.success.met(right[::-1], task.test)


@pytest.mark.slow
def test_bad_input_names_the_argument(task):
    for options, message in (
        ({"min_length": 3}, "min_length: expected at least 4.*got 3"),
        ({"min_length": 9, "max_length": 8}, "max_length: expected at least min_length, 9, got 8"),
        ({"max_depth": 1}, "max_depth: expected at least 2, got 1"),
        ({"max_args": 1}, "max_args: expected at least 2, got 1"),
        ({"training": 0}, "training: .*got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            listops(**options)
    with pytest.raises(
        ValueError, match=r"max_length: expected 1000 different expressions of 4 to 4 tok"
    ):
        listops(4, 4)  # there are 400
    with pytest.raises(ValueError, match="training: expected 99999 different expressions of 5"):
        tasks.make("listops", min_length=5, max_length=5, max_depth=2, training=99_999)
    with pytest.raises(ValueError, match=r"length: expected 5 different .* of 1800 to 2200"):
        task.test_at(2000, 5)
    with pytest.raises(ValueError, match=r"length: expected at least 4.*got 3"):
        task.test_at(3, 5)
    with pytest.raises(ValueError, match=r"batch_size: .*got 0"):
        task.sample(jax.random.key(0), 0)
