"""Arrays of dtypes that JAX does not have are errors, which name the argument, everywhere.

And numbers and sequences of NumPy and JAX, which options take where they take Python's.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import attend, decode, seq2seq, tasks, train
from lstm_jax._internal.errors import ArgumentError
from lstm_jax.core import initializers as init

KEY = jax.random.key(0)
CELL = lj.lstm(4)
PARAMS = CELL.init(KEY, 3)
XS, X = np.ones((5, 2, 3), np.float32), np.ones((2, 3), np.float32)
STATE = CELL.initial_state(PARAMS, (2,))
LEARNED = lj.learned_state(CELL)
LEARNED_PARAMS = LEARNED.init(KEY, 3)
MODEL = train.recurrent(CELL, 3, 2)
MODEL_PARAMS = MODEL.init(KEY)
TRANSLATOR = seq2seq.encoder_decoder(CELL, CELL, 7, 7, embedding_size=3, start=0, end=1)
TRANSLATOR_PARAMS = TRANSLATOR.init(KEY)
SOURCE = np.ones((5, 2), np.int32)
DOT = attend.general()
DOT_PARAMS = DOT.init(KEY, 4, 3)
TABLE = jnp.ones((7, 7))

pytestmark = pytest.mark.usefixtures("without_shape_annotations")

DTYPES = {
    "objects": lambda a: np.asarray(a).astype(object),
    "big endian": lambda a: np.asarray(a).astype(">f4"),
    "long": lambda a: np.asarray(a).astype(np.longdouble),
    "text": lambda a: np.asarray(a).astype(str),
    "times": lambda a: np.asarray(a).astype(int).astype("M8[s]"),
    "complex": lambda a: np.asarray(a).astype(np.complex64),
    "long complex": lambda a: np.asarray(a).astype(np.clongdouble),
    "float8": lambda a: np.asarray(a).astype(jnp.float8_e4m3fn),
}


def weights(params, wrong, *path):
    """``params`` with one leaf changed."""
    first, *rest = path
    inner = wrong(params[first]) if not rest else weights(params[first], wrong, *rest)
    return params | {first: inner}


def walk(state, tokens):
    return state, TABLE[tokens], ()


PLACES = {
    "unroll's xs": ("xs", lambda w: lj.unroll(CELL, PARAMS, w(XS))),
    "explain's xs": ("xs", lambda w: lj.explain(CELL, PARAMS, w(XS))),
    "step's x": ("x", lambda w: CELL.step(PARAMS, STATE, w(X))),
    "unroll's params": ("params", lambda w: lj.unroll(CELL, weights(PARAMS, w, "b"), XS)),
    "step's params": ("params", lambda w: CELL.step(weights(PARAMS, w, "w_x"), STATE, X)),
    "initial_state's params": (
        "params", lambda w: CELL.initial_state(weights(PARAMS, w, "b"), (2,)),
    ),
    "a learned state": (
        "params",
        lambda w: LEARNED.initial_state(
            {**LEARNED_PARAMS, "state": lj.LSTMState(w(np.ones(4)), np.ones(4))}
        ),
    ),
    "a chain's params": (
        "params", lambda w: lj.unroll(lj.chain(CELL), (weights(PARAMS, w, "w_h"),), XS),
    ),
    "unroll's state": (
        "state", lambda w: lj.unroll(CELL, PARAMS, XS, STATE._replace(c=w(STATE.c))),
    ),
    "step's state": ("state", lambda w: CELL.step(PARAMS, STATE._replace(h=w(STATE.h)), X)),
    "lengths": ("lengths", lambda w: lj.unroll(CELL, PARAMS, XS, lengths=w(np.array([1, 2])))),
    "resets": ("resets", lambda w: lj.unroll(CELL, PARAMS, XS, resets=w(np.zeros((5, 2))))),
    "unroll's key": ("key", lambda w: lj.unroll(CELL, PARAMS, XS, key=w(np.zeros(2)))),
    "init's key": ("key", lambda w: CELL.init(w(np.zeros(2)), 3)),
    "step's key": ("key", lambda w: CELL.step(PARAMS, STATE, X, key=w(np.zeros(2)))),
    "a memory": ("memory", lambda w: lj.attentive(CELL, w(XS))),
    "a mask": ("mask", lambda w: lj.attentive(CELL, XS, mask=w(np.ones((5, 2))))),
    "prepare's memory": ("memory", lambda w: DOT.prepare(DOT_PARAMS, w(XS))),
    "a query": (
        "query",
        lambda w: DOT.attend(
            DOT_PARAMS, DOT.prepare(DOT_PARAMS, XS), DOT.start((2,), 5), w(np.ones((2, 4)))
        ),
    ),
    "length_mask's lengths": ("lengths", lambda w: attend.length_mask(w(np.array([1, 2])), 3)),
    "coverage_loss's weights": ("weights", lambda w: attend.coverage_loss(w(np.ones((3, 2, 4))))),
    "a source": ("source", lambda w: TRANSLATOR.encode(TRANSLATOR_PARAMS, w(SOURCE))),
    "targets": ("targets", lambda w: TRANSLATOR.loss(TRANSLATOR_PARAMS, SOURCE, w(SOURCE))),
    "source_lengths": (
        "source_lengths",
        lambda w: TRANSLATOR.encode(
            TRANSLATOR_PARAMS, SOURCE, source_lengths=w(np.array([1, 2]))
        ),
    ),
    "target_lengths": (
        "target_lengths",
        lambda w: TRANSLATOR.loss(
            TRANSLATOR_PARAMS, SOURCE, SOURCE, target_lengths=w(np.array([1, 2]))
        ),
    ),
    "a translator's params": (
        "params",
        lambda w: TRANSLATOR.encode(weights(TRANSLATOR_PARAMS, w, "source_embedding"), SOURCE),
    ),
    "decode's key": (
        "key",
        lambda w: TRANSLATOR.decode(
            TRANSLATOR_PARAMS, SOURCE, max_steps=2, method="sample", key=w(np.zeros(2))
        ),
    ),
    "cross_entropy's logs": (
        "log_probabilities", lambda w: seq2seq.cross_entropy(w(np.ones((5, 2, 3))), SOURCE),
    ),
    "cross_entropy's targets": (
        "targets", lambda w: seq2seq.cross_entropy(np.ones((5, 2, 3), np.float32), w(SOURCE)),
    ),
    "greedy's start": (
        "start",
        lambda w: decode.greedy(walk, jnp.ones(2), start=w(np.zeros(2)), end=1, max_steps=2),
    ),
    "keep_top_k's logits": ("logits", lambda w: decode.keep_top_k(w(np.ones((2, 5))), 2)),
    "keep_nucleus's logits": ("logits", lambda w: decode.keep_nucleus(w(np.ones((2, 5))), 0.5)),
    "a model's xs": ("xs", lambda w: MODEL.apply(MODEL_PARAMS, w(XS))),
    "a model's lengths": (
        "lengths",
        lambda w: MODEL.apply(MODEL_PARAMS, tasks.Sequences(XS, w(np.array([1, 2])))),
    ),
    "a model's key": ("key", lambda w: MODEL.init(w(np.zeros(2)))),
    "unroll_truncated's xs": (
        "xs", lambda w: train.unroll_truncated(CELL, PARAMS, w(XS), every=2),
    ),
    "a task's key": ("key", lambda w: tasks.make("adding", length=4).sample(w(np.zeros(2)), 2)),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_dtype_that_jax_does_not_have_is_named(place):
    argument, call = PLACES[place]
    for kind, wrong in DTYPES.items():
        with pytest.raises(ArgumentError) as caught:
            call(wrong)
        assert str(caught.value).startswith(argument), (kind, str(caught.value))


# What a decoder's step carries, and what is packed, may be of any dtype that JAX has.
@pytest.mark.parametrize("kind", ["objects", "big endian", "long", "text", "times"])
def test_a_decoders_state_and_packed_sequences_are_named(kind):
    state = {"a": jnp.ones(2), "b": DTYPES[kind](np.ones(2))}
    with pytest.raises(ArgumentError, match=r"state\['b'\]: expected a dtype that JAX supports"):
        decode.greedy(walk, state, start=0, end=1, max_steps=2)
    with pytest.raises(ArgumentError, match=r"sequences\[1\]: expected a dtype that JAX supports"):
        lj.pack([np.ones((3, 2), np.float32), DTYPES[kind](np.ones((3, 2)))])


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5,), (2, 2), (0,)])
def test_raw_keys_of_another_shape_are_named(shape):
    for key in (np.zeros(shape, np.uint32), jnp.zeros(shape, jnp.uint32)):
        for call in (
            lambda key: CELL.init(key, 3),
            lambda key: lj.unroll(CELL, PARAMS, XS, key=key),
            lambda key: CELL.step(PARAMS, STATE, X, key=key),
            lambda key: jax.jit(lambda key: lj.unroll(CELL, PARAMS, XS, key=key))(key),
            lambda key: MODEL.init(key),
        ):
            with pytest.raises(ArgumentError, match="key: "):
                call(key)


def test_biases_of_1997_are_taken_as_arrays_and_have_the_right_value():
    for given in (np.array([-1.0, -2.0]), jnp.array([-1, -2]), [-1, np.float32(-2)], (-1.0, -2.0)):
        b = lj.lstm_1997(2, input_gate_bias=given, output_gate_bias=given).init(KEY, 3)["b"]
        np.testing.assert_array_equal(b, [-1, -2, -1, -2, 0, 0])
    b = lj.lstm_1997(2, input_gate_bias=np.array(-1.5)).init(KEY, 3)["b"]
    np.testing.assert_array_equal(b, [-1.5, -1.5, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="input_gate_bias: expected 1 or 2 numbers, got 3"):
        lj.lstm_1997(2, input_gate_bias=np.zeros(3))


NUMBERS = {
    "lstm": lambda n: lj.lstm(n(4), forget_bias=n(2.0), projection=n(3)),
    "gru": lambda n: lj.gru(n(4), reset_after=n(False)),
    "irnn": lambda n: lj.irnn(n(4), scale=n(0.5)),
    "lru": lambda n: lj.lru(n(4), state_size=n(2), r_min=n(0.5), r_max=n(0.75), max_phase=n(1.0)),
    "attention": lambda n: lj.attention(n(4), n(2), n(3)),
    "lstmn": lambda n: lj.lstmn(n(4), n(2), attention_size=n(3), forget_bias=n(0.5)),
    "mlstm": lambda n: lj.mlstm(n(4), n(2), forget_bias=n(0.5)),
    "linear_attention": lambda n: lj.linear_attention(n(4), n(2), gated=n(True), normalize=n(True)),
    "lstm_1997": lambda n: lj.lstm_1997(n(2), n(2), weight_scale=n(0.5), g_range=n(1.0)),
    "zoneout": lambda n: lj.zoneout(CELL, {"h": n(0.5), "c": n(0.25)}),
    "dropout": lambda n: lj.dropout(CELL, n(0.5), variational=n(True)),
    "drop_connect": lambda n: lj.drop_connect(CELL, n(0.5)),
    "chrono": lambda n: lj.initialize(CELL, b=init.chrono(n(20.0))),
    "uniform": lambda n: lj.initialize(CELL, w_x=init.uniform(n(0.5)), w_h=init.normal(n(0.5))),
    "location": lambda n: attend.location(n(4), n(2), n(3)),
    "local": lambda n: attend.local(attend.multi_head(n(4), n(2)), n(1)),
}


@pytest.mark.parametrize("make", NUMBERS.values(), ids=NUMBERS)
def test_options_take_numbers_of_numpy_and_jax(make):
    plain = make(lambda n: n)
    for number in (np.asarray, jnp.asarray, lambda n: np.asarray(n)[()]):
        assert make(number) == plain


def test_cells_without_gates():
    bare = {"input_gate": False, "forget_gate": False, "output_gate": False}
    for option in ("peephole", "full_gate_recurrence"):
        with pytest.raises(ValueError, match=f"{option}: expected False without input_gate"):
            lj.lstm(4, **bare, **{option: True})
    cell = lj.lstm(4, **bare)
    params = cell.init(KEY, 3)
    state, y = cell.step(params, cell.initial_state(params, (2,)), X)
    expected = np.tanh(X @ params["w_x"] + params["b"])
    np.testing.assert_allclose(state.c, expected, rtol=1e-6)
    np.testing.assert_allclose(y, np.tanh(expected), rtol=1e-6)
