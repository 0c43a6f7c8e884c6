"""ONNX graphs compute in onnxruntime what the cells compute here, to 1e-5."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.export.plain import to_plain

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

T, B, D = 7, 4, 3
LENGTHS = np.array([7, 3, 1, 0], np.int32)
lstm, gru = lj.lstm(5), lj.gru(5)
CELLS = {
    "lstm": lstm,
    "peephole": lj.lstm(5, peephole=True),
    "coupled": lj.lstm(5, coupled=True, peephole=True),
    "no_input_gate": lj.lstm(5, input_gate=False, peephole=True),
    "no_forget_gate": lj.lstm(5, forget_gate=False),
    "no_output_gate": lj.lstm(5, output_gate=False, peephole=True),
    "activations": lj.lstm(5, gate_activation="hard_sigmoid", cell_activation="identity",
                           output_activation="relu"),
    "gru": gru,
    "gru_before": lj.gru(5, reset_after=False),
    "gru_activations": lj.gru(5, gate_activation="hard_sigmoid", activation="relu"),
    "rnn": lj.rnn(5),
    "rnn_identity": lj.rnn(5, activation="identity"),
    "irnn": lj.irnn(5),
    "chain": lj.chain(lj.dropout(lstm, 0.5), lj.residual(gru), lj.drop_connect(lj.lstm(2), 0.1)),
    "learned": lj.learned_state(lj.chain(lj.learned_state(gru), lj.dropout(lstm, 0.3))),
    "initialize": lj.initialize(lstm, b=lj.initializers.chrono(9.0)),
    "two": lj.bidirectional(lstm, lstm),
    "two_hard": lj.bidirectional(*[lj.gru(5, gate_activation="hard_sigmoid")] * 2),
    "two_sum": lj.bidirectional(lj.lstm(5, peephole=True), lj.lstm(5, peephole=True), merge="sum"),
    "two_unequal": lj.bidirectional(lstm, lj.gru(2)),
    "two_learned": lj.bidirectional(lj.learned_state(lstm), lj.learned_state(lstm)),
    "two_in_two": lj.bidirectional(lj.chain(gru, lj.rnn(2)), lj.bidirectional(lstm, lstm)),
    "stack": lj.chain(lj.bidirectional(lstm, lstm), lj.bidirectional(gru, gru), lj.rnn(4)),
}  # fmt: skip
SHARED = {"two", "two_hard", "two_sum"}  # by both directions: one node


def _params(cell, seed=0):
    """Params that are all nonzero and distinct, biases and peepholes included."""
    params = cell.init(jax.random.key(seed), D)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    noisy = [p + 0.3 * jax.random.normal(k, p.shape) for p, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


def _xs(dtype=np.float32):
    return np.random.default_rng(3).normal(size=(T, B, D)).astype(dtype)


def _run(proto, **inputs):
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def _named(state):
    return {
        ".".join(jax.tree_util.keystr((k,), simple=True) for k in path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(to_plain(state))
        if jnp.issubdtype(leaf.dtype, jnp.floating)  # the count of dropout's steps is not exported
    }


def _same(got, state, ys):
    np.testing.assert_allclose(got["ys"], ys, atol=1e-5)
    after = {n.removeprefix("after."): a for n, a in got.items() if n != "ys"}
    assert after.keys() == _named(state).keys()
    for name, leaf in _named(state).items():
        np.testing.assert_allclose(after[name], leaf, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_gives_the_same_in_onnxruntime(name):
    cell = CELLS[name]
    params = _params(cell)
    state, ys = lj.unroll(cell, params, _xs())
    proto = lj.export.onnx(cell, params)
    _same(_run(proto, xs=_xs()), state, ys)
    nodes = [n.op_type for n in proto.graph.node if n.op_type in ("LSTM", "GRU", "RNN")]
    assert len(nodes) == 1 or name not in SHARED


@pytest.mark.parametrize("name", CELLS)
def test_lengths_mean_the_same(name):
    cell = CELLS[name]
    params = _params(cell)
    xs = _xs()
    xs[np.arange(T)[:, None] >= LENGTHS] = np.nan  # what stands in the padding changes nothing
    state, ys = lj.unroll(cell, params, xs, lengths=LENGTHS)
    _same(_run(lj.export.onnx(cell, params, lengths=True), xs=xs, lengths=LENGTHS), state, ys)


@pytest.mark.parametrize("name", [n for n in CELLS if not n.startswith(("two", "stack"))])
def test_steps_with_the_state_equal_the_whole(name):
    cell = CELLS[name]
    params = _params(cell)
    proto = lj.export.onnx(cell, params, state=True)
    before = _named(cell.initial_state(params, (B,)))
    outputs = []
    for x in _xs():
        got = _run(proto, xs=x[None], **{f"before.{n}": np.asarray(a) for n, a in before.items()})
        outputs.append(got["ys"][0])
        before = {n.removeprefix("after."): a for n, a in got.items() if n != "ys"}
    state, ys = lj.unroll(cell, params, _xs())
    _same({"ys": np.stack(outputs), **{f"after.{n}": a for n, a in before.items()}}, state, ys)


def _models():
    numbers = train.inputs.numbers(D)
    vectors = np.random.default_rng(0).normal(size=(6, 2)).astype("f")
    classes, one = train.heads.classification(4), train.heads.regression()
    layer = lj.bidirectional(lstm, lstm)
    return {
        "recurrent_last": (train.recurrent(lstm, D, 2), False),
        "recurrent_every": (train.recurrent(layer, D, 2, reads="every"), False),
        "classes_last": (train.network(layer, numbers, classes), False),
        "number_every": (train.network(gru, numbers, one, reads="every"), False),
        "mean": (train.network(gru, numbers, classes, reads="mean"), False),
        "max": (train.network(gru, numbers, one, reads="max"), False),
        "one_hot": (train.network(gru, train.inputs.one_hot(6), train.heads.regression(2)), True),
        "frozen": (train.network(
            gru, train.inputs.embedding(6, 2, vectors=vectors, frozen=True), classes), True),
        "tied": (train.network(lstm, train.inputs.embedding(6, 5), train.heads.classification(6),
                               reads="every", tie=True, dropout=0.5), True),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(_models()))
@pytest.mark.parametrize("ragged", [False, True])
def test_a_model_gives_the_same(name, ragged):
    model, ids = _models()[name]
    params = model.init(jax.random.key(2))
    xs = np.random.default_rng(1).integers(0, 6, (T, B)) if ids else _xs()
    shown, more = jnp.asarray(xs), {}
    if ragged:
        lengths = np.array([7, 3, 2, 1], np.int32)
        shown = lj.tasks.task.Sequences(jnp.asarray(xs), jnp.asarray(lengths))
        more = {"lengths": lengths}
    for answer in (False, True):
        expected = model.answer(params, shown) if answer else model.apply(params, shown)
        proto = lj.export.onnx(model, params, lengths=ragged, answer=answer)
        (outputs,) = _run(proto, xs=xs, **more).values()
        if ragged and ("every" in name or name == "tied"):
            inside = np.arange(T)[:, None] < lengths
            outputs, expected = outputs[inside], np.asarray(expected)[inside]
        np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        (lj.lstm(3, norm="layer"), "norm: expected None for ONNX"),
        (lj.lstm(3, projection=2), "projection: expected None"),
        (lj.lstm(3, full_gate_recurrence=True), "full_gate_recurrence: expected False"),
        (lj.lstm(3, cell_activation="positive"), "cell_activation: expected one of"),
        (lj.lstm(3, gate_activation="tanh", input_gate=False), "input_gate: expected True"),
        (lj.gru(3, norm="layer"), "norm: expected None"),
        (lj.rnn(3, activation="positive"), "activation: expected one of"),
        (lj.min_gru(3), "model: expected cells of .*min_gru"),
        (lj.chain(lj.gru(3), lj.zoneout(lj.gru(3), 0.5)), "model: expected cells of .*zoneout"),
        (lj.mixed_precision(lj.gru(3)), "model: expected cells of .*mixed_precision"),
        (lj.gru(3)._replace(name="mine"), "model: expected what factories made.*mine"),
    ],
)
def test_what_onnx_cannot_express_is_named(cell, match):
    with pytest.raises(ValueError, match=match):
        lj.export.onnx(cell, cell.init(jax.random.key(0), D))


def test_wrong_arguments_are_named():
    params = gru.init(jax.random.key(0), D)
    numbers, one = train.inputs.numbers(D), train.heads.regression()
    for call, error, match in (
        (lambda: lj.export.onnx(gru, gru.init(jax.random.key(0), D, "bfloat16")), ValueError,
         r"params\['b'\]: expected an array of float32"),
        (lambda: lj.export.onnx(gru, params, answer=True), ValueError, "^answer"),
        (lambda: lj.export.onnx("gru", params), TypeError, "^model"),
        (lambda: _export(train.network(gru, numbers, one, reads="attention")), ValueError,
         "^reads"),
        (lambda: _export(train.network(gru, numbers, train.heads.quantiles([0.1, 0.9]))),
         ValueError, "^head"),
        (lambda: _export(train.network(gru, train.inputs.convolution(numbers, 2, 3), one)),
         ValueError, "^inputs"),
    ):  # fmt: skip
        with pytest.raises(error, match=match):
            call()


def _export(model):
    return lj.export.onnx(model, model.init(jax.random.key(0)))
