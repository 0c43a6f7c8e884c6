import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import tasks
from lstm_jax.tasks.formal.counting import counting
from tests.tasks.rows import require_fixed_held_out, right_outputs, rows_of

SETS = ({"a", "b"}, {"b"}, {"end"})


def may_come_next(prefix, longest):
    """The legal next symbols, by trying all strings of the language."""
    strings = ["a" * n + "b" * n for n in range(1, longest + 1)]
    rests = [string[len(prefix) :] for string in strings if string.startswith(prefix)]
    return {rest[0] if rest else "end" for rest in rests}


def test_targets_are_all_that_may_come_next():
    task = counting(1, 6)
    batch = task.sample(jax.random.key(0), 200)
    assert batch.xs.values.shape == (12, 200, 2)
    found = set()
    for symbols, targets in rows_of(batch):
        text = "".join("ab"[symbol] for symbol in symbols)
        n = len(text) // 2
        assert text == "a" * n + "b" * n
        for step, target in enumerate(targets):
            assert SETS[target] == may_come_next(text[: step + 1], 13)
        found.add(n)
    assert found == set(range(1, 7))


def test_a_string_is_right_at_every_step_or_wrong():
    task = counting(2, 3)
    batch = task.sample(jax.random.key(1), 64)
    outputs = right_outputs(batch, 3)
    assert float(task.score.measure(outputs, batch)) == 1.0 and task.success.met(outputs, batch)
    one_wrong = outputs.at[1, 5].set(jnp.array([0.0, 5.0, 0.0]))  # after aa, b alone
    np.testing.assert_allclose(task.score.measure(one_wrong, batch), 63 / 64)
    assert not task.success.met(one_wrong, batch)
    padding = outputs.at[4:].set(jnp.where(batch.targets[4:, :, None] < 0, 7.0, outputs[4:]))
    assert float(task.score.measure(padding, batch)) == 1.0


def test_far_beyond_the_trained_strings():
    task = counting()
    batch = task.test_at(2000, 2)
    (symbols, targets), again = rows_of(batch)
    assert (symbols, targets) == again and symbols == [0] * 1000 + [1] * 1000
    assert targets == [0] * 1000 + [1] * 999 + [2]
    with pytest.raises(ValueError, match="length: expected an even length, got 7"):
        task.test_at(7, 1)


@pytest.mark.parametrize(("low", "high"), [(1, 4), (2, 5)])
def test_chance_and_memoryless(low, high):
    """Tries all answers that depend on the current symbol only, including the constant ones."""
    task = counting(low, high)
    batch = task.sample(jax.random.key(2), 4000)
    symbols = jnp.argmax(batch.xs.values, axis=-1)
    scores = {
        (after_a, after_b): float(
            task.score.measure(jax.nn.one_hot(jnp.where(symbols, after_b, after_a), 3), batch)
        )
        for after_a in range(3)
        for after_b in range(3)
    }
    assert max(scores[same, same] for same in range(3)) == task.score.chance == 0
    np.testing.assert_allclose(max(scores.values()), task.score.memoryless, atol=0.02)
    assert task.score.memoryless == (0.25 if low == 1 else 0)


def test_held_out_data():
    require_fixed_held_out(counting)
    task = tasks.make("counting")
    assert task.name == "counting(1 to 10)" and task.reads == "every"
    for batch in (task.validation, task.test):
        assert set(np.asarray(batch.xs.lengths).tolist()) == set(range(2, 21, 2))


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"max_n: expected at least min_n, 5.*got 2"):
        counting(5, 2)
    with pytest.raises(ValueError, match=r"min_n: .*got 0"):
        counting(0)
