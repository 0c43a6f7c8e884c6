"""The comparison of the deferred method's options."""

import jax
import pytest

import lstm_jax as lj
from benchmarks.studies import choices
from lstm_jax.unrolling.methods.deferred_options import Choice


def test_ways_begin_with_the_one_taken_and_differ_in_one_decision_each():
    found = choices.list_options(Choice("apart", "products", 8, ()), 100, additive=True)
    assert found[0] == lj.Deferred("apart", "products", 8)
    differing = [sum(a != b for a, b in zip(way, found[0], strict=True)) for way in found]
    assert differing == [0] + [1] * (len(found) - 1)
    assert {way.block for way in found} == {4, 8, 16, 100}
    assert {way.product for way in found} == {"apart", "joined", "hoisted"}


def test_a_cell_that_is_not_additive_has_no_joined_product():
    found = choices.list_options(Choice("apart", "products", None, ()), 100, additive=False)
    assert found[0].block == 100
    assert all(way.product != "joined" for way in found)


def test_a_row_says_how_far_the_way_taken_is_from_the_fastest():
    found = [lj.Deferred("apart", "products", 8), lj.Deferred("joined", "products", 8)]
    assert choices.make_row((2, 100, 1, 4), found, [3.0, 2.0]) == [
        "2 x 100 x 1 x 4",
        "apart, products, 8: 3.0",
        "50 % longer",
        "joined, products, 8: 2.0",
    ]
    assert choices.make_row((2, 100, 1, 4), found, [2.0, 3.0])[2] == "the fastest"


@pytest.mark.slow
def test_every_way_runs():
    found, calls = choices.compile_options(lj.lstm(4), (2, 6, 3, 4), devices=2)
    values = [float(call()[0]) for call in calls]
    assert len(found) == len(calls) > 3
    assert values == pytest.approx([values[0]] * len(values), rel=1e-5)


def test_only_cells_of_the_gated_form():
    with pytest.raises(ValueError, match=r"^cell: expected one of the gated form, got mgu\(4\)"):
        choices.compile_options(lj.mgu(4), (2, 6, 3, 4), devices=len(jax.devices()))
