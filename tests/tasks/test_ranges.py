import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks import classes, ranges


def test_lengths_are_all_of_the_range():
    assert ranges.length_choices(3, 6).tolist() == [3, 4, 5, 6]
    assert ranges.length_choices(3, 6, remainder=0).tolist() == [4, 6]
    assert ranges.length_choices(1, 6, remainder=1).tolist() == [1, 3, 5]
    assert ranges.single_length(7, remainder=1).tolist() == [7]
    assert ranges.format_range(ranges.length_choices(3, 6)) == "3 to 6"
    assert ranges.share_of_length(4, ranges.length_choices(3, 6)) == 0.25


def test_draws_are_uniform_and_never_past_the_end():
    uniform = jax.random.uniform(jax.random.key(0), (30_000,))
    lengths = ranges.lengths_from_uniform(uniform, np.array([2, 5, 9]))
    found, counts = np.unique(np.asarray(lengths), return_counts=True)
    assert found.tolist() == [2, 5, 9]
    np.testing.assert_allclose(counts / 30_000, 1 / 3, atol=0.01)
    largest = jnp.array([0.0, np.nextafter(np.float32(1), np.float32(0))])
    for count in (1, 3, 60, 119, 1000):
        assert classes.classes_from_uniform(largest, count).tolist() == [0, count - 1]


def test_past_its_length_a_row_shows_nothing():
    symbols, lengths = jnp.array([[0, 1], [1, 1], [0, 0]]), jnp.array([1, 3])
    xs = ranges.one_hot_sequences(symbols, lengths, 2)
    np.testing.assert_array_equal(xs.values[:, 0], [[1, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(xs.values[:, 1], [[0, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(xs.lengths, lengths)
    np.testing.assert_array_equal(ranges.mask_symbols(symbols, lengths)[:, 0], [0, -1, -1])


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"max_length: expected at least min_length, 4.*got 3"):
        ranges.length_choices(4, 3)
    with pytest.raises(ValueError, match=r"min_length: .*got 0"):
        ranges.length_choices(0, 3)
    with pytest.raises(ValueError, match=r"max_length: expected a range with an odd length.*got 2"):
        ranges.length_choices(2, 2, remainder=1)
    with pytest.raises(ValueError, match="length: expected an even length, got 5"):
        ranges.single_length(5, remainder=0)
