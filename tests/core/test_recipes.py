"""Cells (mechanisms, initialisers, models) built by equal calls are equal to JAX, and pickle."""

import copy
import pickle
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import attend, train
from lstm_jax.core import initializers as init
from lstm_jax.core import recipes

XS = jnp.ones((3, 2, 3))


@lj.core.factory
def scaled(size: int, scale: float = 1.0, *, weights=None, options=None) -> lj.Cell:
    """A cell from outside the library, with options of every kind."""
    built.append((size, scale, weights, options))
    return lj.rnn(size)._replace(name="scaled")


@lj.core.factory
def written_size(size: "int", bias: "float" = 0.0) -> "lj.Cell":
    return lj.lstm(size, forget_bias=bias)


built: list = []


def both_ways(make, one, other):
    return make(*one[0], **one[1]), make(*other[0], **other[1])


SAME = {
    "by position and by name": (lj.attention, ((4, 2), {}), ((), {"size": 4, "heads": 2})),
    "the default": (lj.lstm, ((4,), {}), ((4,), {"forget_bias": 1.0, "peephole": False})),
    "NumPy's integer": (lj.lstm, ((4,), {}), ((np.int64(4),), {})),
    "an array of one size": (lj.lstm, ((4,), {}), ((np.array(4),), {})),
    "JAX's integer": (lj.lstm, ((4,), {}), ((jnp.asarray(4),), {})),
    "an integer for a float": (lj.lstm, ((4,), {}), ((4,), {"forget_bias": 1})),
    "NumPy's float": (lj.lstm, ((4,), {}), ((4,), {"forget_bias": np.float16(1)})),
    "a long float": (lj.lstm, ((4,), {}), ((4,), {"forget_bias": np.longdouble(1)})),
    "JAX's bfloat16": (lj.lstm, ((4,), {}), ((4,), {"forget_bias": jnp.bfloat16(1)})),
    "a fraction": (lj.lstm, ((4,), {"forget_bias": 0.5}), ((4,), {"forget_bias": Fraction(1, 2)})),
    "two zeros": (lj.lstm, ((4,), {"forget_bias": 0.0}), ((4,), {"forget_bias": -0.0})),
    "NumPy's True": (lj.lstm, ((4,), {"peephole": True}), ((4,), {"peephole": np.True_})),
    "NumPy's text": (lj.lstm, ((4,), {"norm": "layer"}), ((4,), {"norm": np.str_("layer")})),
    "a float or None": (
        lj.linear_attention, ((4,), {"gated": True, "forget_bias": 2}),
        ((4,), {"gated": True, "forget_bias": np.float32(2)}),
    ),
    "an array for a list": (
        lj.lstm_1997, ((2,), {"input_gate_bias": [-1, -2]}),
        ((2,), {"input_gate_bias": np.array([-1.0, -2.0])}),
    ),
    "a tuple for JAX's array": (
        lj.lstm_1997, ((2,), {"output_gate_bias": (-1.0, -2.0)}),
        ((2,), {"output_gate_bias": jnp.array([-1.0, -2.0])}),
    ),
    "a rate by field": (
        lj.zoneout, ((lj.lstm(3), {"h": 0.1, "c": 0}), {}),
        ((lj.lstm(3), {"c": np.float64(0.0), "h": 0.1}), {}),
    ),
    "a dtype by name": (
        lj.mixed_precision, ((lj.lstm(3),), {}), ((lj.lstm(3), jnp.bfloat16), {}),
    ),
    "an initialiser": (
        lj.initialize, ((lj.lstm(3),), {"b": init.chrono(20)}),
        ((lj.lstm(3),), {"b": init.chrono(np.float64(20))}),
    ),
    "an initialiser by gate": (
        lj.initialize, ((lj.lstm(3),), {"b": init.per_gate(0, input=[1, 2, 3])}),
        ((lj.lstm(3),), {"b": init.per_gate(input=np.array([1.0, 2.0, 3.0]))}),
    ),
    "the same function": (
        lj.initialize, ((lj.lstm(3),), {"b": init.each_gate(jax.nn.initializers.zeros)}),
        ((lj.lstm(3),), {"b": init.each_gate(jax.nn.initializers.zeros)}),
    ),
    "annotations as text": (written_size, ((4, 1), {}), ((np.int8(4), np.array(1.0)), {})),
    "an array of another cell": (
        scaled, ((3,), {"weights": np.arange(3.0)}), ((3,), {"weights": np.arange(3.0)}),
    ),
    "a mechanism": (attend.local, ((attend.dot(), 2), {}), ((attend.dot(), np.int32(2)), {})),
    "a model": (train.recurrent, ((lj.gru(3), 2, 1), {}), ((lj.gru(3), 2), {"output_size": 1})),
    "a translator": (
        lj.seq2seq.encoder_decoder,
        ((lj.gru(3), lj.gru(3), 5, 6), {"embedding_size": 2, "start": 0, "attention": "dot"}),
        ((lj.gru(3), lj.gru(3), np.array(5), 6),
         {"embedding_size": 2, "start": np.int64(0), "attention": "dot"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("make, one, other", SAME.values(), ids=SAME)
def test_the_same_in_two_spellings(make, one, other):
    a, b = both_ways(make, one, other)
    assert a == b and hash(a) == hash(b)
    assert getattr(a, "name", "") == getattr(b, "name", "")


OTHERS = {
    "size": (lj.lstm(3), lj.lstm(4)),
    "an option": (lj.lstm(3), lj.lstm(3, forget_bias=2.0)),
    "the factory": (lj.min_gru(3), lj.min_lstm(3)),
    "the order": (lj.chain(lj.gru(3), lj.lstm(3)), lj.chain(lj.lstm(3), lj.gru(3))),
    "1 and True": (scaled(1, options=1), scaled(1, options=True)),
    "1 and 1.0": (scaled(1, options=1), scaled(1, options=1.0)),
    "1 and True in a dict": (scaled(1, options={"a": [1]}), scaled(1, options={"a": [True]})),
    "an array's values": (scaled(3, weights=np.ones(3)), scaled(3, weights=np.zeros(3))),
    "an array's dtype": (
        scaled(3, weights=np.ones(3)), scaled(3, weights=np.ones(3, np.float32)),
    ),
    "two functions": (
        lj.initialize(lj.lstm(3), b=lambda *a: 0), lj.initialize(lj.lstm(3), b=lambda *a: 0),
    ),
    "what has no hash": (scaled(3, options=bytearray(b"a")), scaled(3, options=bytearray(b"a"))),
    "its name": (lj.lstm(3), lj.lstm(3)._replace(name="other")),
    "by hand": (lj.lstm(3), lj.Cell(*lj.lstm(3))),
}  # fmt: skip


@pytest.mark.parametrize("one, other", OTHERS.values(), ids=OTHERS)
def test_others_are_not_equal(one, other):
    assert one != other
    assert one == one and other == other


def test_wrong_options_are_refused_after_right_ones_that_compare_equal():
    lj.lstm(1, peephole=True)
    for wrong in (lambda: lj.lstm(True), lambda: lj.lstm(1.0), lambda: lj.lstm(1, peephole=1)):
        with pytest.raises(TypeError):
            wrong()


def test_a_cell_built_in_a_loop_compiles_once():
    traces = []

    @lj.core.factory
    def counted(size: int, note: int) -> lj.Cell:
        cell = lj.rnn(size)

        def advance(params, state, x):
            traces.append(note)
            return cell.advance(params, state, x)

        return cell._replace(name="counted", advance=advance, form=None)

    params = counted(5, 1).init(jax.random.key(0), 3)
    for note in (1, np.int64(1), 1, 2):
        lj.unroll(counted(5, note), params, XS)
    once = traces.count(1)
    lj.unroll(lj.chain(counted(5, 1)), (params,), XS)
    jax.clear_caches()
    lj.unroll(counted(5, 1), params, XS)
    assert traces.count(1) == 3 * once and traces.count(2) == once


def test_many_cells_do_not_stay_for_ever():
    first = written_size(1, 0.5)
    assert recipes.build_once.cache_info().maxsize == recipes.KEPT
    assert written_size(1, 0.5) is first


def test_memories_of_one_shape_run_one_program_also_in_mixed_precision():
    wrapped = []
    for value in (0.0, 1.0):
        cell = lj.attentive(lj.gru(3), jnp.full((4, 2), value))
        wrapped.append(lj.mixed_precision(cell))
    one, other = wrapped
    assert one != other and one.memory is not None
    assert one._replace(memory=None) == other._replace(memory=None)
    params = one.init(jax.random.key(0), 3)
    (_, a), (_, b) = (lj.unroll(cell, params, XS) for cell in wrapped)
    assert np.any(np.asarray(a, np.float32) != np.asarray(b, np.float32))


def test_an_attentive_cell_pickles_with_its_memory():
    memory, mask = np.arange(8.0, dtype=np.float32).reshape(4, 2), np.array([1, 1, 0, 1], bool)
    cell = lj.mixed_precision(lj.attentive(lj.gru(3), memory, mask=mask))
    again = pickle.loads(pickle.dumps(cell))
    params = cell.init(jax.random.key(0), 3)
    np.testing.assert_array_equal(*(np.asarray(lj.unroll(c, params, XS)[1], np.float32)
                                    for c in (cell, again)))  # fmt: skip


def test_a_pickled_cell_gives_the_same_numbers():
    cell = lj.chain(
        lj.zoneout(lj.lstm(3, peephole=True), {"h": 0.2}),
        lj.initialize(lj.gru(4, norm="layer"), b=init.per_gate(0.5, reset=[1, 2, 3, 4])),
    )
    again = pickle.loads(pickle.dumps(cell))
    key = jax.random.key(1)
    params = again.init(key, 3)
    jax.tree.map(np.testing.assert_array_equal, params, cell.init(key, 3))
    a, b = (lj.unroll(c, params, XS, key=key) for c in (cell, again))
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_what_cannot_be_pickled_says_so():
    for cell, named in (
        (lj.initialize(lj.lstm(3), b=lambda *a: 0), "initialize"),
        (lj.chain(lj.lstm(3)._replace(name="mine")), "mine"),
        (lj.lstm(3)._replace(name="mine"), "mine"),
    ):
        with pytest.raises(pickle.PicklingError, match=named):
            pickle.dumps(cell)
        assert copy.deepcopy(cell) == cell == copy.copy(cell)


def test_arrays_that_an_option_holds_are_the_factorys_own():
    weights = np.ones(3)
    cell = scaled(3, weights=weights)
    weights[0] = 5.0
    assert cell == scaled(3, weights=np.ones(3)) != scaled(3, weights=weights)
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert not built[-1][2].flags.writeable


def test_arrays_that_a_factory_makes_inside_jit_are_no_tracers():
    @lj.core.factory
    def shifted(size: int) -> lj.Cell:
        cell, shift = lj.rnn(size), jnp.arange(float(size))

        def advance(params, state, x):
            state, y = cell.advance(params, state, x)
            return state, y + shift

        return cell._replace(name="shifted", advance=advance, form=None)

    params = lj.rnn(5).init(jax.random.key(0), 3)
    inside = jax.jit(lambda xs: lj.unroll(shifted(5), params, xs)[1])(XS)
    np.testing.assert_array_equal(inside, lj.unroll(shifted(5), params, XS)[1])


def test_a_replaced_field_drops_the_recipe_but_the_memory_is_no_part_of_it():
    cell = lj.lstm(3)
    assert cell._replace(name="other").recipe is None
    assert cell._replace(memory=None).recipe is cell.recipe
    model = train.recurrent(cell, 2, 1)
    source = train.Description("lstm", 3, 2, 1)
    assert model._replace(source=source) == train.recurrent(cell, 2, 1)._replace(source=source)
    assert model._replace(source=source) != model


def test_a_cell_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        lj.lstm(3).recipe = None


def test_names_are_the_calls():
    assert lj.chain(lj.lstm(3), lj.gru(2, reset_after=False)).name == (
        "chain(lstm(3), gru(2, reset_after=False))"
    )
    assert lj.initialize(lj.rnn(3), b=init.chrono(20)).name == "initialize(rnn(3), b=chrono(20.0))"
    assert lj.mixed_precision(lj.rnn(3), jnp.float16).name == (
        "mixed_precision(rnn(3), compute_dtype=float16)"
    )
    assert scaled(np.int64(3), 2).name == "scaled(3, scale=2.0)"
    assert attend.make("coverage", 3).name == "additive(3, coverage=True)"
