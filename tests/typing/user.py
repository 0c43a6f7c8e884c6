"""A program of a user, as a type checker sees it; see tests/test_typing.py. It is not run."""

from typing import Any, assert_type

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import lstm_jax as lj
from lstm_jax import tasks, train

KEY = jax.random.key(0)
XS = jnp.ones((20, 8, 3))


def cells() -> None:
    assert_type(lj.rnn(4), lj.Cell[lj.RNNState])
    assert_type(lj.irnn(4), lj.Cell[lj.RNNState])
    assert_type(lj.lstm(4), lj.Cell[lj.LSTMState])
    assert_type(lj.lstm(4, peephole=True, projection=2), lj.Cell[lj.LSTMState])
    assert_type(lj.lstm(4, full_gate_recurrence=True), lj.Cell[lj.GateRecurrentState])
    assert_type(lj.lstm_1997(4), lj.Cell[lj.LSTM1997State])
    assert_type(lj.gru(4, reset_after=False), lj.Cell[lj.GRUState])
    assert_type(lj.mgu(4), lj.Cell[lj.GRUState])
    assert_type(lj.min_gru(4), lj.Cell[lj.MinimalState])
    assert_type(lj.min_lstm(4), lj.Cell[lj.MinimalState])
    assert_type(lj.lru(4), lj.Cell[lj.LRUState])
    assert_type(lj.slstm(4), lj.Cell[lj.SLSTMState])
    assert_type(lj.mlstm(4), lj.Cell[lj.MLSTMState])
    assert_type(lj.lstmn(4), lj.Cell[lj.LSTMNState])
    assert_type(lj.attention(4), lj.Cell[lj.AttentionState])
    assert_type(lj.linear_attention(4), lj.Cell[lj.LinearAttentionState])
    assert_type(lj.linear_attention(4, rule="delta"), lj.Cell[lj.FastWeightState])
    assert_type(lj.cells.make("lstm", 4), lj.Cell[Any])


def wrappers() -> None:
    cell = lj.lstm(3)
    assert_type(lj.residual(cell), lj.Cell[lj.LSTMState])
    assert_type(lj.initialize(cell, b=lj.initializers.chrono(9)), lj.Cell[lj.LSTMState])
    assert_type(lj.learned_state(cell), lj.Cell[lj.LSTMState])
    assert_type(lj.mixed_precision(cell), lj.Cell[lj.LSTMState])
    assert_type(lj.drop_connect(cell, 0.5), lj.Cell[lj.LSTMState])
    assert_type(lj.zoneout(cell, 0.5), lj.Cell[lj.CountedState[lj.LSTMState]])
    assert_type(lj.dropout(cell, 0.5), lj.Cell[lj.CountedState[lj.LSTMState]])
    assert_type(lj.dropout(cell, 0.5, variational=True), lj.Cell[lj.LSTMState])
    assert_type(lj.attentive(cell, XS), lj.Cell[lj.AttentiveState[lj.LSTMState]])
    assert_type(lj.chain(cell, lj.gru(4)), lj.Cell[tuple[Any, ...]])
    layer = lj.bidirectional(cell, lj.gru(4))
    assert_type(layer, lj.Cell[lj.BidirectionalState[lj.LSTMState, lj.GRUState]])
    states, _ = lj.unroll(layer, layer.init(KEY, 3), XS)
    assert_type(states.backward.h, Array)


def options_known_at_run_time(options: dict[str, Any], flag: bool) -> None:
    """Then the state is one of several, and every use of it is accepted."""
    some: list[lj.Cell] = [lj.lstm(4, **options), lj.dropout(lj.gru(4), 0.5, variational=flag)]
    for cell in [*some, lj.chain(*some), lj.lstm(4, full_gate_recurrence=flag)]:
        assert_type(lj.unroll(cell, cell.init(KEY, 3), XS)[1], Array)
    for cell_of_two_kinds in (lj.lstm(4), lj.gru(4)):
        assert_type(lj.unroll(cell_of_two_kinds, cell_of_two_kinds.init(KEY, 3), XS)[1], Array)


def running() -> None:
    cell = lj.lstm(4)
    params = cell.init(KEY, 3)
    assert_type(cell.initial_state(params, (8,)), lj.LSTMState)
    assert_type(cell.gates, tuple[str, ...])
    assert_type(cell._replace(name="mine"), lj.Cell[lj.LSTMState])

    state, ys = lj.unroll(cell, params, XS)
    assert_type(state, lj.LSTMState)
    assert_type(state.c, Array)
    assert_type(ys, Array)
    lengths, resets = jnp.ones(8, int), jnp.zeros((20, 8), bool)
    state, ys = lj.unroll(cell, params, XS, state, lengths=lengths, resets=resets, key=KEY)
    state, y = cell.step(params, state, XS[0])
    assert_type(state, lj.LSTMState)
    assert_type(y, Array)
    state, ys = lj.unrolling.unroll_truncated(cell, params, XS, every=5)
    assert_type(state, lj.LSTMState)
    assert_type(lj.explain(cell, params, XS), str)

    trace = lj.trace(cell, params, XS)
    assert_type(trace, lj.Trace[lj.LSTMState])
    assert_type(trace.states.c, Array)
    assert_type(trace.row(0).last, lj.LSTMState)
    assert_type(trace.previous, lj.LSTMState)


def training() -> None:
    head = train.heads.regression()
    model = train.network(lj.lstm(4), train.inputs.numbers(3), head)
    assert_type(model, train.Model)
    assert_type(train.recurrent(lj.gru(4), 3, 1), train.Model)
    data = train.Dataset(np.ones((8, 20, 3)), np.ones((8, 1)))
    fitted = train.fit(
        model,
        data,
        loss="mse",
        optimizer=train.optimizer("adam", 1e-3),
        epochs=1,
        batch_size=4,
        key=KEY,
    )
    assert_type(fitted, train.Fitted)
    assert_type(fitted.history, dict[str, list[float]])
    assert_type(train.evaluate(model, fitted.params, data, metrics=["mae"]), dict[str, float])
    assert_type(train.predict(model, fitted.params, np.ones((8, 20, 3))), np.ndarray)
    assert_type(train.predict(model, fitted.params, data), np.ndarray | list[np.ndarray])
    assert_type(train.checkpoint.restore("folder", like=fitted.last), train.TrainState)

    task = tasks.make("adding", length=20)
    assert_type(task, tasks.Task)
    assert_type(task.sample(KEY, 4), tasks.Batch)
    assert_type(lj.tasks.make("adding"), tasks.Task)
    state = train.start(model, train.optimizer("adam", 1e-3), KEY)
    assert_type(state, train.TrainState)


@lj.core.factory
def my_cell(size: int, *, scale: float = 1.0) -> lj.Cell[lj.RNNState]:
    """A cell from outside, whose decorator keeps its signature."""
    axis = lj.core.equal_gates(("cell",), size)

    def pointwise(
        vectors: dict[str, Array], state: lj.RNNState, z: Array, r: Array
    ) -> tuple[lj.RNNState, Array, dict[str, Array]]:
        h = jnp.tanh(scale * (z + r))
        return lj.RNNState(h), h, {"cell": h}

    cell = lj.core.gated_cell(
        "my_cell",
        size,
        axis,
        init=lambda key, inputs, dtype: lj.initializers.packed(key, inputs, axis, dtype),
        state=lambda zeros: lj.RNNState(zeros(size)),
        pointwise=pointwise,
        additive=True,
    )
    assert_type(cell, lj.Cell[lj.RNNState])
    return cell


def signatures() -> None:
    """Each of these lines is an error, and mypy says so if one is not."""
    my_cell("4")  # type: ignore[arg-type]
    my_cell(4, scal=1.0)  # type: ignore[call-arg]
    lj.lstm(4, peephol=True)  # type: ignore[call-overload]
    lj.gru(4, reset=True)  # type: ignore[call-arg]
    cell = lj.lstm(4)
    params = cell.init(KEY, 3)
    cell.step(params, lj.gru(4).initial_state(params), XS[0])  # type: ignore[arg-type]
    lj.unroll(cell, params)  # type: ignore[call-arg]
    print(lj.unroll(cell, params, XS)[0].m)  # type: ignore[attr-defined]


def names(encoded: lj.seq2seq.Encoded, beams: lj.decode.Beams, scores: lj.attend.Attention) -> None:
    """Public names are exported."""
