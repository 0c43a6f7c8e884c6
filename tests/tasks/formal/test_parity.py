from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.formal.parity import even_pairs, parity
from tests.tasks.rows import require_fixed_held_out, right_outputs, rows_of, simulated

# Two automata: the next state by state and symbol, and the class of each state.
PARITY = {"start": (0, 1), 0: (0, 1), 1: (1, 0)}, {0: 0, 1: 1}
# (first, last) is the state; its class is whether they differ.
ENDS = (
    {
        "start": ((0, 0), (1, 1)),
        **{(first, last): ((first, 0), (first, 1)) for first in (0, 1) for last in (0, 1)},
    },
    {(first, last): int(first != last) for first in (0, 1) for last in (0, 1)},
)


def run(automaton, symbols):
    transitions, classes = automaton
    state = "start"
    for symbol in symbols:
        state = transitions[state][symbol]
    return classes[state]


@pytest.mark.parametrize(("make", "automaton"), [(parity, PARITY), (even_pairs, ENDS)])
def test_the_target_is_what_an_automaton_says(make, automaton):
    task = make(1, 12)
    batch = task.sample(jax.random.key(3), 1000)
    rows = list(rows_of(batch))
    assert all(run(automaton, symbols) == target for symbols, target in rows)
    counts = Counter(len(symbols) for symbols, _ in rows)
    assert set(counts) == set(range(1, 13)) and min(counts.values()) > 40
    assert batch.xs.values.shape == (12, 1000, 2)
    assert float(task.score.measure(right_outputs(batch, 2), batch)) == 1.0
    longer = task.test_at(50, 20)
    rows = list(rows_of(longer))
    assert longer.xs.values.shape == (50, 20, 2) and all(len(symbols) == 50 for symbols, _ in rows)
    assert all(run(automaton, symbols) == target for symbols, target in rows)
    assert {target for _, target in rows} == {0, 1}


def test_even_pairs_counts_the_changes():
    for symbols, target in rows_of(even_pairs(2, 9).sample(jax.random.key(0), 100)):
        text = "".join(map(str, symbols))
        changes = sum(text[i : i + 2] in ("01", "10") for i in range(len(text)))
        assert target == changes % 2


def test_pictures():
    """The examples of the docstrings."""
    assert run(PARITY, [0, 1, 1, 0, 1]) == 1 and run(ENDS, [0, 1, 1, 0, 1]) == 1


@pytest.mark.parametrize("make", [parity, even_pairs])
@pytest.mark.parametrize("lengths", [(1, 4), (3, 6)])
def test_chance_and_memoryless(make, lengths):
    task = make(*lengths)
    found = simulated(task.sample(jax.random.key(1), 40_000))
    np.testing.assert_allclose(found, [task.score.chance, task.score.memoryless], atol=0.01)
    assert task.score.higher_is_better


def test_baselines_by_hand():
    assert parity(1, 4).score[3:] == (0.5, 0.625)
    assert even_pairs(1, 4).score[3:] == (0.625, 0.625)
    assert parity(3, 40).score[3:] == even_pairs(3, 40).score[3:] == (0.5, 0.5)


@pytest.mark.parametrize("make", [parity, even_pairs])
def test_held_out_data(make):
    require_fixed_held_out(make)
    task = tasks.make(make.__name__)
    assert task.name == f"{make.__name__}(1 to 40)" and task.success.source == "lstm_jax"
    assert task.success.met(right_outputs(task.test, 2), task.test)
    assert not task.success.met(jnp.zeros((1000, 2)), task.test)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"max_length: expected at least min_length, 5.*got 2"):
        parity(5, 2)
    with pytest.raises(ValueError, match=r"length: .*got 0"):
        even_pairs(1, 3).test_at(0, 4)
