"""The search for units and moments, against plain loops over a trace of random numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj

T, B, H = 12, 5, 6
LENGTHS = np.array([12, 7, 0, 12, 10])


@pytest.fixture(scope="module")
def trace():
    cell = lj.lstm(H)
    params = cell.init(jax.random.key(0), 2)
    made = lj.trace(cell, params, jnp.zeros((T, B, 2)), lengths=LENGTHS)
    c = np.random.default_rng(0).normal(size=(T, B, H)).cumsum(axis=0)  # also in the padding
    return dataclasses.replace(made, states=made.states._replace(c=jnp.asarray(c, jnp.float32)))


def test_active_units_equal_a_loop(trace):
    c = np.asarray(trace.states.c)
    for start, stop, row, alone in [(2, 5, 0, False), (0, 3, 1, True), (4, 7, 1, True)]:
        got = lj.insight.active_units(trace, start, stop, 0.5, row=row, name="c", alone=alone)
        expected = []
        for unit in range(H):
            on = all(c[t, row, unit] >= 0.5 for t in range(start, stop))
            if alone and start > 0:
                on = on and c[start - 1, row, unit] < 0.5
            if alone and stop < LENGTHS[row]:
                on = on and c[stop, row, unit] < 0.5
            if on:
                expected.append(unit)
        np.testing.assert_array_equal(got.units, expected)
        assert got[1:] == ((row,), start, stop, 0.5, "c")


def test_matching_moments_equal_a_loop(trace):
    c = np.asarray(trace.states.c)
    selection = lj.insight.active_units(trace, 3, 6, -0.5, row=3, name="c")
    units = selection.units
    assert len(units) >= 2
    expected = []
    for row in range(B):
        start = None
        for t in range(LENGTHS[row] + 1):
            on = t < LENGTHS[row] and np.mean(c[t, row, units] >= -0.5) >= 0.5
            if on and start is None:
                start = t
            if not on and start is not None:
                if row != 3 or t <= 3 or start >= 6:
                    share = np.mean(c[start:t, row][:, units] >= -0.5)
                    expected.append((-round(share, 9), abs(t - start - 3), (row,), start, t))
                start = None
    expected.sort()
    got = lj.insight.matching_moments(trace, selection)
    assert [(m.row, m.start, m.stop) for m in got] == [(e[2], e[3], e[4]) for e in expected]
    for moment in got:
        own = c[moment.start : moment.stop, moment.row[0]]
        np.testing.assert_array_equal(moment.units, [u for u in units if (own[:, u] >= -0.5).all()])
    itself = lj.insight.matching_moments(trace, selection, itself=True, share=1.0)
    assert any(m.row == (3,) and m.start <= 3 and m.stop >= 6 for m in itself)
    assert len(lj.insight.matching_moments(trace, selection, count=1)) == 1


def test_outputs_and_gates_without_batch_axes(trace):
    row = trace.row(0)
    assert lj.insight.active_units(row, 0, 2, -1.0).units.tolist() == list(range(H))
    gate = np.asarray(row.gates["forget"])
    level = float(np.median(gate[0]))
    got = lj.insight.active_units(row, 0, 1, level, name="forget")
    np.testing.assert_array_equal(got.units, np.flatnonzero(gate[0] >= level))


def test_bad_input(trace):
    some = lj.insight.active_units(trace, 0, 2, -9.0, row=0)
    none = lj.insight.active_units(trace, 0, 2, 1e9, row=0)
    for message, call in {
        "stop: expected a range within the 7 steps of the row, got 5 to 8":
            lambda: lj.insight.active_units(trace, 5, 8, 0.0, row=1),
        "row: expected a row of a batch": lambda: lj.insight.active_units(trace, 0, 1, 0.0, row=5),
        "row: expected an integer": lambda: lj.insight.active_units(trace, 0, 1, 0.0, row=True),
        "name: expected one of outputs, h, c, ":
            lambda: lj.insight.active_units(trace, 0, 1, 0.0, row=0, name="reset"),
        "selection: expected at least one unit":
            lambda: lj.insight.matching_moments(trace, none),
        "share: expected a number above 0":
            lambda: lj.insight.matching_moments(trace, some, share=0.0),
        "count: expected a positive integer":
            lambda: lj.insight.matching_moments(trace, some, count=0),
        "threshold: expected a finite number":
            lambda: lj.insight.active_units(trace, 0, 1, float("nan"), row=0),
    }.items():  # fmt: skip
        with pytest.raises(lj.ArgumentError) as error:
            call()
        assert message in str(error.value)
