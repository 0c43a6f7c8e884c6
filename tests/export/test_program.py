"""Exported programs compute what the cells compute, in a process without lstm_jax too."""

import subprocess
import sys

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from lstm_jax.export.plain import from_plain, to_plain
from lstm_jax.files.leaves import by_name
from tests.cases import CASES
from tests.platforms import cpu_alone

QUICK = ("lstm_v", "delta_net_gated", "deep_noisy")
ONLY_HERE = (jax.default_backend(),)


def _close(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


def _read(program):
    return jax.export.deserialize(program.serialize())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in CASES]
)
def test_every_cell_unrolls_and_steps(name):
    cell, size, _ = CASES[name]
    params = cell.init(jax.random.key(0), size)
    weights = by_name(params)
    program = _read(lj.export.stablehlo(cell, params, lengths=True, state=True))
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    for steps, batch in ((4, 3), (1, 1), (6, 2)):  # open sizes
        xs = jax.random.normal(jax.random.key(steps), (steps, batch, *cell.grid.inputs, size))
        lengths = jnp.arange(batch, dtype=jnp.int32) % (steps + 1)
        state = cell.initial_state(params, (batch,))
        got = program.call(weights, xs, to_plain(state), lengths)
        expected = lj.unroll(cell, params, xs, state, lengths=lengths, method="scan")
        _close(got, to_plain(expected))
    try:
        expected = cell.step(params, state, xs[0])
    except ValueError:
        with pytest.raises(ValueError, match="bidirectional"):
            lj.export.stablehlo(cell, params, "step")
        return
    program = _read(lj.export.stablehlo(cell, params, "step", platforms=ONLY_HERE))
    _close(program.call(weights, to_plain(state), xs[0]), to_plain(expected))


def test_weights_may_be_embedded_and_sizes_fixed():
    cell = lj.learned_state(lj.lstm(3))
    params = jax.tree.map(lambda leaf: leaf + 0.1, cell.init(jax.random.key(0), 2))
    xs = jnp.ones((5, 4, 2))
    program = _read(lj.export.stablehlo(cell, params, weights="embedded", batch_shape=(4,),
                                        steps=5, platforms=ONLY_HERE))  # fmt: skip
    _close(program.call(xs), to_plain(lj.unroll(cell, params, xs)))
    with pytest.raises(ValueError, match="shape"):
        program.call(xs[:4])
    start = _read(lj.export.stablehlo(cell, params, "initial_state", platforms=ONLY_HERE))
    _close(start.call(by_name(params), xs[0]), to_plain(cell.initial_state(params, (4,))))
    program = lj.export.stablehlo(cell, params, batch_shape=(), platforms=ONLY_HERE)
    _close(program.call(by_name(params), xs[:, 0]), to_plain(lj.unroll(cell, params, xs[:, 0])))


@pytest.mark.slow
def test_a_model_is_exported_with_what_it_reads():
    inputs = train.inputs.mixed({
        "id": train.inputs.embedding(5, 2), "x": train.inputs.numbers(2),
    })  # fmt: skip
    head = train.heads.classification(3)
    model = train.network(lj.gru(4), inputs, head, reads="every")
    params = model.init(jax.random.key(0))
    weights = by_name(params)

    def shown(steps, batch):
        ids = jnp.arange(steps * batch).reshape(steps, batch) % 5
        return {"id": ids, "x": jnp.ones((steps, batch, 2)) * ids[..., None]}

    xs = shown(6, 3)
    for function in ("apply", "answer"):
        program = lj.export.stablehlo(model, params, function, example=shown(2, 2))
        _close(_read(program).call(weights, xs), getattr(model, function)(params, xs))
    start = _read(lj.export.stablehlo(model, params, "initial_state", example=xs))
    stream = _read(lj.export.stablehlo(model, params, "stream", example=xs))
    state = start.call(weights, xs)
    expected = model.stream(params, model.initial_state(params, 3), xs)
    _close(stream.call(weights, state, xs), to_plain(expected))


def test_a_model_takes_lengths_as_it_does_here():
    model = train.recurrent(lj.lstm(3), 2, 1)
    params = model.init(jax.random.key(0))
    lengths = jnp.array([4, 2, 1], jnp.int32)
    xs = lj.tasks.task.Sequences(jnp.ones((4, 3, 2)), lengths)
    program = _read(lj.export.stablehlo(model, params, "answer", example=xs))
    _close(program.call(by_name(params), to_plain(xs)), model.answer(params, xs))


@cpu_alone
@pytest.mark.slow
def test_the_program_runs_where_there_is_no_lstm_jax(tmp_path):
    cell = lj.chain(lj.lstm(4, peephole=True), lj.dropout(lj.gru(3), 0.5))
    params = cell.init(jax.random.key(0), 2)
    xs = jax.random.normal(jax.random.key(1), (5, 3, 2))
    state, ys = lj.unroll(cell, params, xs)
    (tmp_path / "unroll.bin").write_bytes(lj.export.stablehlo(cell, params).serialize())
    (tmp_path / "step.bin").write_bytes(lj.export.stablehlo(cell, params, "step").serialize())
    (tmp_path / "start.bin").write_bytes(
        lj.export.stablehlo(cell, params, "initial_state").serialize()
    )
    np.savez(tmp_path / "weights.npz", **by_name(params))
    np.savez(tmp_path / "data.npz", xs=xs, ys=ys, h=state[0].h)
    program = """
import sys
sys.modules["lstm_jax"] = None  # importing it is an error
from pathlib import Path
import jax.export, numpy as np
weights = dict(np.load("weights.npz"))
data = np.load("data.npz")
start, step, unroll = (
    jax.export.deserialize(Path(f"{name}.bin").read_bytes()) for name in ("start", "step", "unroll")
)
state, ys = unroll.call(weights, data["xs"])
np.testing.assert_allclose(ys, data["ys"], atol=1e-5)
np.testing.assert_allclose(state[0]["h"], data["h"], atol=1e-5)
state = start.call(weights, data["xs"][0])
for x, expected in zip(data["xs"], data["ys"]):
    state, y = step.call(weights, state, x)
    np.testing.assert_allclose(y, expected, atol=1e-5)
print("same")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() == "same", done.stderr


def test_plain_trees_come_back():
    state = lj.AttentiveState((lj.LSTMState(1, 2), [3]), (), None, {"a": lj.GRUState(4)})
    plain = to_plain(state)
    assert plain["cell"][0] == {"h": 1, "c": 2} and plain["attention"] == {"a": {"h": 4}}
    assert from_plain(state, plain) == state


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"function": "apply"}, ValueError, "^function"),
        ({"weights": "none"}, ValueError, "^weights"),
        ({"batch_shape": "batch"}, TypeError, "^batch_shape"),
        ({"batch_shape": ("a b",)}, ValueError, r"^batch_shape\[0\]"),
        ({"steps": 0}, ValueError, "^steps"),
        ({"function": "step", "lengths": True}, ValueError, "^lengths"),
        ({"function": "initial_state", "state": True}, ValueError, "^state"),
        ({"example": 3}, ValueError, "^example"),
    ],
)
def test_wrong_arguments_are_named(options, error, match):
    cell = lj.gru(2)
    with pytest.raises(error, match=match):
        lj.export.stablehlo(cell, cell.init(jax.random.key(0), 1), **options)


def test_wrong_arguments_of_a_model_are_named():
    model = train.recurrent(lj.gru(2), 1, 1)
    params = model.init(jax.random.key(0))
    xs = jnp.zeros((2, 2, 1))
    for options, match in (
        ({"function": "unroll", "example": xs}, "^function"),
        ({"function": "stream", "example": xs}, "^function.*cannot stream"),
        ({"function": "apply"}, "^example"),
        ({"function": "apply", "example": xs, "lengths": True}, "^lengths"),
        ({"function": "apply", "example": xs, "batch_shape": ("a", "b")}, "^batch_shape"),
    ):
        with pytest.raises(ValueError, match=match):
            lj.export.stablehlo(model, params, **options)
    with pytest.raises(TypeError, match=r"^model: expected a cell or a model"):
        lj.export.stablehlo("gru", params)
