"""Packing ragged sequences into rows, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_jax as lj
from tests.conformance import close, draw

lengths = st.lists(st.integers(0, 40), min_size=1, max_size=60)


def ragged(steps, features=2):
    """Sequences whose values are all different."""
    ends = np.cumsum(steps)
    values = np.arange(1.0, 1.0 + features * sum(steps)).reshape(-1, features)
    return [values[end - n : end] for n, end in zip(steps, ends, strict=True)]


@settings(deadline=None)
@given(steps=lengths, rows=st.none() | st.integers(1, 8))
@pytest.mark.slow
def test_nothing_is_lost_and_each_sequence_stands_alone(steps, rows):
    sequences = ragged(steps)
    packed = lj.pack(sequences, rows=rows)
    for back, sequence in zip(lj.unpack(packed, packed.xs), sequences, strict=True):
        np.testing.assert_array_equal(back, sequence)
    valid = np.arange(len(packed.xs))[:, None] < packed.lengths
    assert valid.sum() == sum(steps)  # no place twice, no gap within a row
    assert packed.resets.sum() == sum(n > 0 for n in steps)
    assert not np.any(packed.resets & ~valid) and not np.any(packed.xs[~valid])
    assert rows is None or packed.xs.shape[1] == rows


@settings(deadline=None)
@given(steps=lengths, max_padding=st.floats(0.0, 0.5))
def test_padding_stays_within_its_bound(steps, max_padding):
    packed = lj.pack(ragged(steps), max_padding=max_padding)
    assert sum(steps) >= (1.0 - max_padding) * packed.resets.size - 1e-9


def test_many_short_sequences_leave_next_to_no_padding_in_many_rows():
    steps = np.random.default_rng(0).integers(5, 50, 1000)
    packed = lj.pack(ragged(list(steps)))
    assert packed.xs.shape[1] > 50
    assert packed.lengths.sum() / packed.resets.size > 0.95


@pytest.mark.usefixtures("x64")
def test_packed_rows_give_what_the_sequences_give_alone():
    cell = lj.chain(lj.lstm(3), lj.gru(2))
    params = draw(cell.init(jax.random.key(0), 2, jnp.float64), 1)
    sequences = [np.sin(s) for s in ragged([7, 1, 4, 0, 5, 2, 6])]
    packed = lj.pack(sequences, rows=2)
    _, ys = lj.unroll(cell, params, packed.xs, lengths=packed.lengths, resets=packed.resets)
    for y, sequence in zip(lj.unpack(packed, ys), sequences, strict=True):
        close(jnp.asarray(y), lj.unroll(cell, params, jnp.asarray(sequence))[1])


def test_tokens_are_packed_too():
    packed = lj.pack([np.array([1, 2, 3]), np.array([4]), np.array([5, 6])], rows=2)
    assert packed.xs.dtype == np.int64 and packed.xs.shape == (3, 2)
    assert [list(s) for s in lj.unpack(packed, packed.xs)] == [[1, 2, 3], [4], [5, 6]]
