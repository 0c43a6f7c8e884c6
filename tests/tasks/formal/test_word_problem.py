import itertools

import jax
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.formal.word_problem import GENERATORS, elements_of, products, word_problem
from tests.tasks.rows import require_fixed_held_out, right_outputs, rows_of, simulated

ORDERS = {"Z2": 2, "Z60": 60, "S3": 6, "A4": 12, "S4": 24, "A4xZ5": 60, "A5": 60, "S5": 120}


def inversions(permutation):
    return sum(a > b for a, b in itertools.combinations(permutation, 2))


@pytest.mark.parametrize("group", GENERATORS)
def test_groups_have_their_order_and_laws(group):
    elements, generators = elements_of(group)
    table = products(elements)
    order = ORDERS[group]
    assert table.shape == (order, order) and generators[0] == 0
    np.testing.assert_array_equal(table[0], range(order))
    np.testing.assert_array_equal(table[:, 0], range(order))
    for lines in (table, table.T):
        np.testing.assert_array_equal(np.sort(lines, axis=1), np.tile(range(order), (order, 1)))
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(order, size=(3, 500))
    np.testing.assert_array_equal(table[table[a, b], c], table[a, table[b, c]])
    assert (table == table.T).all() == (group[0] == "Z")


def test_which_permutations():
    assert set(map(tuple, elements_of("S5")[0])) == set(itertools.permutations(range(5)))
    even = {p for p in itertools.permutations(range(5)) if inversions(p) % 2 == 0}
    assert set(map(tuple, elements_of("A5")[0])) == even
    elements, generators = elements_of("S5")
    assert elements[generators].tolist() == [[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [1, 2, 3, 4, 0]]


@pytest.mark.parametrize(
    ("group", "inputs"),
    [("S5", "all"), ("S5", "generators"), ("A4xZ5", "generators"), ("Z2", "all")],
)
def test_targets_are_the_products_so_far(group, inputs):
    task = word_problem(group, 1, 9, inputs)
    elements, generators = elements_of(group)
    factors = elements if inputs == "all" else elements[generators]
    assert (task.input_size, task.output_size) == (len(factors), ORDERS[group])
    batch = task.sample(jax.random.key(0), 150)
    lengths = set()
    for symbols, targets in (*rows_of(batch), *rows_of(task.test_at(60, 3))):
        points = list(range(elements.shape[1]))  # where each point has gone
        for symbol, target in zip(symbols, targets, strict=True):
            points = [int(factors[symbol][point]) for point in points]
            assert elements[target].tolist() == points
        lengths.add(len(symbols))
    assert lengths == {*range(1, 10), 60}
    assert float(task.score.measure(right_outputs(batch, ORDERS[group]), batch)) == 1.0


def test_z2_is_parity():
    for symbols, targets in rows_of(word_problem("Z2", 1, 8).sample(jax.random.key(1), 50)):
        assert targets == (np.cumsum(symbols) % 2).tolist()


@pytest.mark.parametrize(
    ("group", "lengths", "inputs"),
    [
        ("S3", (1, 4), "all"),
        ("S3", (3, 6), "generators"),
        ("A5", (2, 5), "generators"),
        ("Z60", (1, 8), "generators"),
        ("Z2", (4, 4), "all"),
    ],
)
def test_chance_and_memoryless(group, lengths, inputs):
    task = word_problem(group, *lengths, inputs)
    found = simulated(task.sample(jax.random.key(2), 30_000))
    np.testing.assert_allclose(found, [task.score.chance, task.score.memoryless], atol=0.015)


def test_baselines_by_hand():
    """With all elements every product is equally likely; the current element is the product at the
    first step only."""
    score = word_problem("S5", 4, 4).score
    np.testing.assert_allclose(score.chance, 1 / 120)
    np.testing.assert_allclose(score.memoryless, (1 + 3 / 120) / 4)


def test_held_out_data():
    require_fixed_held_out(lambda: word_problem("A5", inputs="generators"))
    task = tasks.make("word_problem", group="S3", max_length=5)
    assert task.name == "word_problem(S3, all, 1 to 5)" and task.reads == "every"
    assert task.success.met(right_outputs(task.test, 6), task.test)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"group: .*got 'S6'"):
        word_problem("S6")
    with pytest.raises(ValueError, match=r"inputs: .*got 'some'"):
        word_problem("S3", inputs="some")
    with pytest.raises(ValueError, match=r"max_length: expected at least min_length, 2.*got 1"):
        word_problem("S3", 2, 1)
