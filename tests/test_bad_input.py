"""Every mistake at the public API is a ValueError or TypeError that names the argument."""

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.core import initializers as init

ROOT = Path(__file__).parent.parent

KEY = jax.random.key(0)
CELL, GRU = lj.lstm(4), lj.gru(4)
PARAMS, GRU_PARAMS = CELL.init(KEY, 3), GRU.init(KEY, 3)
XS, X = jnp.zeros((5, 2, 3)), jnp.zeros((2, 3))
STATE = CELL.initial_state(PARAMS, (2,))

pytestmark = pytest.mark.usefixtures("without_shape_annotations")


def unroll(cell=CELL, params=PARAMS, xs=XS, *args, **options):
    return lj.unroll(cell, params, xs, *args, **options)


CALLS = {
    # the unroll's arrays
    "xs: no batch, no time": ("xs", lambda: unroll(xs=jnp.zeros(3))),
    "xs: another input size": ("xs", lambda: unroll(xs=jnp.zeros((5, 2, 7)))),
    "xs: integers": ("xs", lambda: unroll(xs=jnp.zeros((5, 2, 3), int))),
    "xs: booleans": ("xs", lambda: unroll(xs=jnp.zeros((5, 2, 3), bool))),
    "xs: complex": ("xs", lambda: unroll(xs=jnp.zeros((5, 2, 3), complex))),
    "xs: a list": ("xs", lambda: unroll(xs=[[1.0, 2.0, 3.0]])),
    "xs: None": ("xs", lambda: unroll(xs=None)),
    "lengths: over T": ("lengths", lambda: unroll(lengths=jnp.array([6, 1]))),
    "lengths: over T, NumPy": ("lengths", lambda: unroll(lengths=np.array([6, 1]))),
    "lengths: over T, inside jit": (
        "lengths",
        lambda: jax.jit(lambda xs: unroll(xs=xs, lengths=np.array([6, 1])))(XS),
    ),
    "lengths: negative": ("lengths", lambda: unroll(lengths=jnp.array([-1, 1]))),
    "lengths: floats": ("lengths", lambda: unroll(lengths=jnp.array([1.0, 2.0]))),
    "lengths: another shape": ("lengths", lambda: unroll(lengths=jnp.array([1, 2, 3]))),
    "lengths: a list": ("lengths", lambda: unroll(lengths=[1, 2])),
    "lengths: one for all": ("lengths", lambda: unroll(lengths=3)),
    "resets: another shape": ("resets", lambda: unroll(resets=jnp.zeros((2, 5), bool))),
    "resets: no batch": ("resets", lambda: unroll(resets=jnp.zeros(5, bool))),
    "resets: floats": ("resets", lambda: unroll(resets=jnp.zeros((5, 2)))),
    # the unroll's state and params
    "state: of another cell": ("state", lambda: unroll(CELL, PARAMS, XS, lj.GRUState(X))),
    "state: of another batch": (
        "state",
        lambda: unroll(CELL, PARAMS, XS, CELL.initial_state(PARAMS, (3,))),
    ),
    "state: without batch": ("state", lambda: unroll(CELL, PARAMS, XS, CELL.initial_state(PARAMS))),
    "state: of another size": (
        "state",
        lambda: unroll(CELL, PARAMS, XS, lj.LSTMState(jnp.zeros((2, 5)), jnp.zeros((2, 5)))),
    ),
    "state: a tuple": ("state", lambda: unroll(CELL, PARAMS, XS, (X, X))),
    "state: integers": ("state", lambda: unroll(CELL, PARAMS, XS, jax.tree.map(jnp.int32, STATE))),
    "state: an array": ("state", lambda: unroll(CELL, PARAMS, XS, X)),
    "params: of another cell": ("params", lambda: unroll(CELL, GRU_PARAMS)),
    "params: of another size": ("params", lambda: unroll(CELL, lj.lstm(5).init(KEY, 3))),
    "params: one missing": ("params", lambda: unroll(CELL, {"w_x": PARAMS["w_x"]})),
    "params: None": ("params", lambda: unroll(CELL, None)),
    "params: integers": ("params", lambda: unroll(CELL, jax.tree.map(jnp.int32, PARAMS))),
    "params: of one layer for two": ("params", lambda: unroll(lj.chain(CELL, CELL), PARAMS)),
    # the unroll's options
    "cell: the factory": ("cell", lambda: unroll(lj.lstm)),
    "cell: a string": ("cell", lambda: unroll("lstm")),
    "method: unknown": ("method", lambda: unroll(method="fast")),
    "method: not for this cell": (
        "method",
        lambda: unroll(lj.mgu(4), lj.mgu(4).init(KEY, 3), method="deferred"),
    ),
    "reverse: a string": ("reverse", lambda: unroll(reverse="yes")),
    "checkpoint_every: zero": ("checkpoint_every", lambda: unroll(checkpoint_every=0)),
    "checkpoint_every: a float": ("checkpoint_every", lambda: unroll(checkpoint_every=2.0)),
    "key: a seed": ("key", lambda: unroll(key=0)),
    "key: several": ("key", lambda: unroll(key=jax.random.split(KEY))),
    # step, init and initial_state
    "step: another input size": ("x", lambda: CELL.step(PARAMS, STATE, jnp.zeros((2, 7)))),
    "step: integers": ("x", lambda: CELL.step(PARAMS, STATE, jnp.zeros((2, 3), int))),
    "step: another batch": ("state", lambda: CELL.step(PARAMS, STATE, jnp.zeros((5, 3)))),
    "step: another cell's state": ("state", lambda: CELL.step(PARAMS, lj.GRUState(X), X)),
    "step: another cell's params": ("params", lambda: CELL.step(GRU_PARAMS, STATE, X)),
    "step: a bidirectional layer": ("step", lambda: step_bidirectional()),
    "init: no key": ("key", lambda: CELL.init(0, 3)),
    "init: no inputs": ("input_size", lambda: CELL.init(KEY, 0)),
    "init: half an input": ("input_size", lambda: CELL.init(KEY, 1.5)),
    "init: integers": ("dtype", lambda: CELL.init(KEY, 3, jnp.int32)),
    "init: no dtype": ("dtype", lambda: CELL.init(KEY, 3, "float33")),
    "initial_state: batch of a number": ("batch_shape", lambda: CELL.initial_state(PARAMS, 2)),
    "initial_state: negative batch": ("batch_shape", lambda: CELL.initial_state(PARAMS, (-1,))),
    "initial_state: integers": ("dtype", lambda: CELL.initial_state(PARAMS, (2,), jnp.int32)),
    # factories
    "lstm: size zero": ("size", lambda: lj.lstm(0)),
    "lstm: a float size": ("size", lambda: lj.lstm(4.0)),
    "lstm: size True": ("size", lambda: lj.lstm(True)),
    "lstm: an unknown activation": ("cell_activation", lambda: lj.lstm(4, cell_activation="tahn")),
    "lstm: forget bias not finite": ("forget_bias", lambda: lj.lstm(4, forget_bias=np.inf)),
    "lstm: coupled to nothing": ("coupled", lambda: lj.lstm(4, coupled=True, input_gate=False)),
    "lstm: peephole as a number": ("peephole", lambda: lj.lstm(4, peephole=1)),
    "lstm: an unknown norm": ("norm", lambda: lj.lstm(4, norm="batch")),
    "lstm: projection to nothing": ("projection", lambda: lj.lstm(4, projection=0)),
    "rnn: an unknown activation": ("activation", lambda: lj.rnn(4, activation="sine")),
    "rnn: a function as activation": ("activation", lambda: lj.rnn(4, activation=jnp.tanh)),
    "gru: reset_after as a string": ("reset_after", lambda: lj.gru(4, reset_after="no")),
    "lstm_1997: no blocks": ("blocks", lambda: lj.lstm_1997(0)),
    "lstm_1997: unknown biases": ("biases", lambda: lj.lstm_1997(2, biases="some")),
    "lstm_1997: biases of other blocks": (
        "input_gate_bias",
        lambda: lj.lstm_1997(2, input_gate_bias=[-1.0, -2.0, -3.0]),
    ),
    "lstm_1997: a bias that is not there": (
        "output_gate_bias",
        lambda: lj.lstm_1997(2, biases="none", output_gate_bias=-1.0),
    ),
    "min_gru: size zero": ("size", lambda: lj.min_gru(0)),
    "min_gru: an unknown activation": ("activation", lambda: lj.min_gru(4, activation="g")),
    "min_lstm: forget bias NaN": ("forget_bias", lambda: lj.min_lstm(4, forget_bias=np.nan)),
    "min_lstm: a function as activation": (
        "activation",
        lambda: lj.min_lstm(4, activation=jnp.tanh),
    ),
    "lru: size zero": ("size", lambda: lj.lru(0)),
    "lru: half a unit": ("state_size", lambda: lj.lru(4, state_size=0.5)),
    "lru: a negative radius": ("r_min", lambda: lj.lru(4, r_min=-0.1)),
    "lru: an empty ring": ("r_max", lambda: lj.lru(4, r_min=0.9, r_max=0.9)),
    "lru: a growing state": ("r_max", lambda: lj.lru(4, r_max=1.1)),
    "lru: no phase": ("max_phase", lambda: lj.lru(4, max_phase=0.0)),
    "lru: more than a turn": ("max_phase", lambda: lj.lru(4, max_phase=7.0)),
    "lru: no recurrent weights": (
        "w_h",
        lambda: lj.initialize(lj.lru(4), w_h=init.orthogonal()).init(KEY, 3),
    ),
    "lru: no bias": ("b", lambda: lj.initialize(lj.lru(4), b=init.chrono(9.0)).init(KEY, 3)),
    "lru: zoned out": ("cell", lambda: lj.zoneout(lj.lru(4), 0.1)),
    "complex_gru: an unknown recurrence": (
        "recurrence",
        lambda: lj.complex_gru(4, recurrence="unitary"),
    ),
    "complex_gru: a real activation": ("activation", lambda: lj.complex_gru(4, activation="tanh")),
    "complex_gru: gate bias NaN": ("gate_bias", lambda: lj.complex_gru(4, gate_bias=np.nan)),
    "complex_gru: no units": ("state_size", lambda: lj.complex_gru(4, state_size=0)),
    "complex_lstm: forget bias NaN": (
        "forget_bias",
        lambda: lj.complex_lstm(4, forget_bias=np.nan),
    ),
    "complex_lstm: zoned out": ("cell", lambda: lj.zoneout(lj.complex_lstm(4), 0.1)),
    "urnn: free": ("recurrence", lambda: lj.urnn(4, recurrence="free")),
    "urnn: no capacity": ("capacity", lambda: lj.urnn(4, recurrence="rotations", capacity=0)),
    "urnn: a negative seed": ("seed", lambda: lj.urnn(4, seed=-1)),
    "urnn: no recurrent weights to drop": ("cell", lambda: lj.drop_connect(lj.urnn(4), 0.1)),
    "scornn: more signs than units": ("negatives", lambda: lj.scornn(4, negatives=5)),
    "scornn: half a sign": ("negatives", lambda: lj.scornn(4, negatives=0.5)),
    "associative_lstm: no copies": ("copies", lambda: lj.associative_lstm(4, 0)),
    "min_gru: no recurrent weights to drop": (
        "cell",
        lambda: unroll(lj.drop_connect(lj.min_gru(4), 0.5), lj.min_gru(4).init(KEY, 3), key=KEY),
    ),
    "min_gru: no recurrent dropout": (
        "on",
        lambda: lj.dropout(lj.min_gru(4), 0.5, on="recurrent", variational=True),
    ),
    "min_gru: deferred": (
        "method",
        lambda: unroll(lj.min_gru(4), lj.min_gru(4).init(KEY, 3), method="deferred"),
    ),
    "mlstm: heads that do not divide": ("heads", lambda: lj.mlstm(4, 3)),
    "mlstm: no heads": ("heads", lambda: lj.mlstm(4, 0)),
    "mlstm: forget bias NaN": ("forget_bias", lambda: lj.mlstm(4, forget_bias=np.nan)),
    "mlstm: tanh as forget gate": (
        "forget_activation",
        lambda: lj.mlstm(4, forget_activation="tanh"),
    ),
    "mlstm: deferred": (
        "method",
        lambda: unroll(lj.mlstm(4), lj.mlstm(4).init(KEY, 3), method="deferred"),
    ),
    "mlstm: zoned out": ("cell", lambda: lj.zoneout(lj.mlstm(4), 0.1)),
    "slstm: size zero": ("size", lambda: lj.slstm(0)),
    "slstm: half a head": ("heads", lambda: lj.slstm(4, 0.5)),
    "slstm: parallel": (
        "method",
        lambda: unroll(lj.slstm(4), lj.slstm(4).init(KEY, 3), method="parallel"),
    ),
    "linear_attention: heads that do not divide": ("heads", lambda: lj.linear_attention(4, 3)),
    "linear_attention: an unknown rule": ("rule", lambda: lj.linear_attention(4, rule="hebb")),
    "linear_attention: an unknown map": (
        "feature_map",
        lambda: lj.linear_attention(4, feature_map="exp"),
    ),
    "linear_attention: gated as a number": ("gated", lambda: lj.linear_attention(4, gated=1)),
    "linear_attention: a delta rule divided": (
        "normalize",
        lambda: lj.linear_attention(4, rule="delta", normalize=True),
    ),
    "linear_attention: normalize as a word": (
        "normalize",
        lambda: lj.linear_attention(4, normalize="yes"),
    ),
    "linear_attention: a bias of no gate": (
        "forget_bias",
        lambda: lj.linear_attention(4, forget_bias=1.0),
    ),
    "linear_attention: forget bias NaN": (
        "forget_bias",
        lambda: lj.linear_attention(4, gated=True, forget_bias=np.nan),
    ),
    "linear_attention: another cell's state": (
        "state",
        lambda: unroll(
            lj.linear_attention(4),
            lj.linear_attention(4).init(KEY, 3),
            XS,
            lj.FastWeightState(jnp.zeros((2, 1, 4, 4))),
        ),
    ),
    "Deferred: unknown product": ("method.product", lambda: unroll(method=lj.Deferred("both"))),
    "Deferred: unknown keep": ("method.keep", lambda: unroll(method=lj.Deferred(keep="all"))),
    "Deferred: no block": ("method.block", lambda: unroll(method=lj.Deferred(block=0))),
    "Deferred: joined, of a cell that is not additive": (
        "method",
        lambda: unroll(lj.gru(4), lj.gru(4).init(KEY, 3), method=lj.Deferred("joined")),
    ),
    "Deferred: not for this cell": (
        "method",
        lambda: unroll(lj.mgu(4), lj.mgu(4).init(KEY, 3), method=lj.Deferred()),
    ),
    "checkpoint_every: a bound without a unit": (
        "checkpoint_every",
        lambda: unroll(checkpoint_every="64"),
    ),
    "checkpoint_every: another word": (
        "checkpoint_every",
        lambda: unroll(checkpoint_every="little"),
    ),
    "lstm: associative": ("method", lambda: unroll(method="associative")),
    "make: an unknown cell": ("name", lambda: lj.cells.make("lsmt", 4)),
    "make: an unknown option": ("options", lambda: lj.cells.make("rnn", 4, peephole=True)),
    # composition
    "chain: nothing": ("cells", lambda: lj.chain()),
    "chain: a list": ("cells", lambda: lj.chain([CELL, CELL])),
    "chain: the factory": ("cells", lambda: lj.chain(CELL, lj.lstm)),
    "residual: another input size": ("input_size", lambda: lj.residual(CELL).init(KEY, 3)),
    "zoneout: rate one": ("rate", lambda: lj.zoneout(CELL, 1.0)),
    "zoneout: negative": ("rate", lambda: lj.zoneout(CELL, -0.1)),
    "zoneout: an unknown field": ("rate", lambda: lj.zoneout(GRU, {"c": 0.5})),
    "zoneout: a chain": ("cell", lambda: lj.zoneout(lj.chain(CELL, GRU), 0.1)),
    "dropout: rate two": ("rate", lambda: lj.dropout(CELL, 2.0)),
    "dropout: on nothing known": ("on", lambda: lj.dropout(CELL, 0.5, on="state")),
    "dropout: recurrent at each step": (
        "variational",
        lambda: lj.dropout(CELL, 0.5, on="recurrent"),
    ),
    "dropout: recurrent, not gated": (
        "on",
        lambda: lj.dropout(lj.mgu(4), 0.5, on="recurrent", variational=True),
    ),
    "drop_connect: not a number": ("rate", lambda: lj.drop_connect(CELL, "half")),
    "bidirectional: unknown merge": ("merge", lambda: lj.bidirectional(CELL, GRU, merge="mean")),
    "bidirectional: sum of sizes": (
        "merge",
        lambda: lj.bidirectional(CELL, lj.gru(3), merge="sum"),
    ),
    "mixed_precision: integers": ("compute_dtype", lambda: lj.mixed_precision(CELL, "int8")),
    "initialize: a number": ("w_x", lambda: lj.initialize(CELL, w_x=0.1)),
    "initialize: a chain": (
        "b",
        lambda: lj.initialize(lj.chain(CELL), b=init.constant(0.0)).init(KEY, 3),
    ),
    "learned_state: a string": ("cell", lambda: lj.learned_state("lstm")),
    # initialisers
    "initialize: a library's own": (
        "w_h",
        lambda: lj.initialize(CELL, w_h=jax.nn.initializers.orthogonal()).init(KEY, 3),
    ),
    "initialize: not called": (
        "w_h",
        lambda: lj.initialize(CELL, w_h=init.orthogonal).init(KEY, 3),
    ),
    "initialize: a matrix's, for a bias": (
        "b",
        lambda: lj.initialize(CELL, b=init.glorot()).init(KEY, 3),
    ),
    "per_gate: None": (
        "b: per_gate: forget",
        lambda: lj.initialize(CELL, b=init.per_gate(forget=None)).init(KEY, 3),
    ),
    "per_gate: a word": (
        "b: per_gate: forget",
        lambda: lj.initialize(CELL, b=init.per_gate(forget="one")).init(KEY, 3),
    ),
    "uniform: negative": ("scale", lambda: init.uniform(-0.1)),
    "lstm_1997: negative weights": ("scale", lambda: lj.lstm_1997(2, weight_scale=-0.1)),
    "lstm_1997: no range": ("h_range", lambda: lj.lstm_1997(2, h_range=0.0)),
    "lstm_1997: a range of NaN": ("g_range", lambda: lj.lstm_1997(2, g_range=np.nan)),
    "lstm_1997: no bias": ("input_gate_bias", lambda: lj.lstm_1997(2, input_gate_bias=None)),
    "lstm_1997: NaN": ("output_gate_bias", lambda: lj.lstm_1997(2, output_gate_bias=np.nan)),
    "lstm_1997: a word": ("input_gate_bias", lambda: lj.lstm_1997(2, input_gate_bias="-1")),
    "make: an option that the variant sets": (
        "options",
        lambda: lj.cells.make("lstm_v", 4, peephole=False),
    ),
    "make: the size twice": ("options", lambda: lj.cells.make("lstm_1997", 4, blocks=3)),
    "mixed_precision: None": ("compute_dtype", lambda: lj.mixed_precision(CELL, None)),
    "mixed_precision: eight bits": (
        "compute_dtype",
        lambda: lj.mixed_precision(CELL, "float8_e4m3fn"),
    ),
    "init: dtype None": ("dtype", lambda: CELL.init(KEY, 3, None)),
    "init: a broken key": ("key", lambda: CELL.init(np.zeros(3, np.uint32), 3)),
    "initial_state: True": ("batch_shape", lambda: CELL.initial_state(PARAMS, (True,))),
    "initial_state: chain, other params": (
        "params",
        lambda: lj.chain(CELL, GRU).initial_state((PARAMS,)),
    ),
    "initial_state: learned, other params": (
        "params",
        lambda: lj.learned_state(CELL).initial_state(PARAMS),
    ),
    "initial_state: bidirectional, other params": (
        "params",
        lambda: lj.bidirectional(CELL, GRU).initial_state(PARAMS),
    ),
    "drop_connect: nothing to drop": (
        "cell",
        lambda: lj.drop_connect(lj.min_gru(3), 0.5),
    ),
    "zoneout: beyond floats": ("rate", lambda: lj.zoneout(CELL, 10**400)),
    "pack: a word for padding": (
        "max_padding",
        lambda: lj.pack([np.zeros((2, 3))], rows=1, max_padding="x"),
    ),
    "pack: inside jit": ("sequences[0]", lambda: jax.jit(lambda x: lj.pack([x]).xs)(X)),
    "chrono: too short": ("t_max", lambda: init.chrono(2)),
    "per_gate: an unknown gate": (
        "b: per_gate",
        lambda: lj.initialize(GRU, b=init.per_gate(forget=1.0)).init(KEY, 3),
    ),
    "per_gate: values of another size": (
        "b: per_gate: forget",
        lambda: lj.initialize(CELL, b=init.per_gate(forget=[1.0, 2.0])).init(KEY, 3),
    ),
    "uniform: not a number": ("scale", lambda: init.uniform("small")),
    # attention
    "attend: size zero": ("size", lambda: lj.attend.additive(0)),
    "attend: coverage as a string": ("coverage", lambda: lj.attend.additive(4, coverage="yes")),
    "attend: an even width": ("width", lambda: lj.attend.location(4, 2, 4)),
    "attend: no filters": ("filters", lambda: lj.attend.location(4, 0, 3)),
    "attend: heads that do not divide": ("size", lambda: lj.attend.multi_head(4, 3)),
    "attend: local of a name": ("attention", lambda: lj.attend.local("dot", 2)),
    "attend: no window": ("window", lambda: lj.attend.local(lj.attend.dot(), 0)),
    "attend: an unknown alignment": (
        "alignment",
        lambda: lj.attend.local(lj.attend.dot(), 2, alignment="local-p"),
    ),
    "attend: an unknown name": ("name", lambda: lj.attend.make("aditive", 4)),
    "attend: an unknown option": ("options", lambda: lj.attend.make("dot", 4, heads=2)),
    "attend: a query of another size": (
        "query_size",
        lambda: lj.attend.dot().init(KEY, 3, 4),
    ),
    "attend: a mask of floats": (
        "mask",
        lambda: lj.attend.dot().prepare({}, XS, jnp.ones((5, 2))),
    ),
    "attend: a mask of other axes": (
        "mask",
        lambda: lj.attend.dot().prepare({}, XS, jnp.ones((2, 5), bool)),
    ),
    "attend: a vector as memory": ("memory", lambda: lj.attend.dot().prepare({}, jnp.ones(3))),
    "attend: a query of another batch": (
        "query",
        lambda: lj.attend.dot().attend({}, lj.attend.dot().prepare({}, XS), (), jnp.ones((5, 3))),
    ),
    "attend: a query of another width": (
        "query",
        lambda: lj.attend.dot().attend({}, lj.attend.dot().prepare({}, XS), (), jnp.ones((2, 4))),
    ),
    "attend: weights as a list": ("weights", lambda: lj.attend.coverage_loss([[0.5, 0.5]])),
    "attend: lengths over S": ("lengths", lambda: lj.attend.length_mask(np.array([6]), 5)),
    "attentive: the factory": ("cell", lambda: lj.attentive(lj.lstm, XS)),
    "attentive: integers": ("memory", lambda: lj.attentive(CELL, jnp.ones((5, 2, 3), int))),
    "attentive: no places": ("memory", lambda: lj.attentive(CELL, XS[:0])),
    "attentive: an unknown mechanism": (
        "attention",
        lambda: lj.attentive(CELL, XS, attention="multihead"),
    ),
    "attentive: a factory of mechanisms": (
        "attention",
        lambda: lj.attentive(CELL, XS, attention=lj.attend.dot),
    ),
    "attentive: dot of another size": (
        "attention",
        lambda: lj.attentive(CELL, XS, attention="dot"),
    ),
    "attentive: an unknown style": ("style", lambda: lj.attentive(CELL, XS, style="keras")),
    "attentive: Bahdanau's without a context": (
        "input_feeding",
        lambda: lj.attentive(CELL, XS, style="bahdanau", input_feeding=False),
    ),
    "attentive: size zero": ("size", lambda: lj.attentive(CELL, XS, size=0)),
    "attentive: unknown results": ("returns", lambda: lj.attentive(CELL, XS, returns="all")),
    "attentive: a mask of other axes": (
        "mask",
        lambda: lj.attentive(CELL, XS, mask=jnp.ones((5, 3), bool)),
    ),
    "attentive: a memory of another batch": (
        "memory",
        lambda: unroll_attentive(lj.attentive(CELL, jnp.ones((5, 7, 3)))),
    ),
    "attentive: a mask of another batch": (
        "mask",
        lambda: unroll_attentive(lj.attentive(CELL, XS[:, 0], mask=jnp.ones((5, 7), bool))),
    ),
    "attentive: without its memory": (
        "cell",
        lambda: unroll_attentive(lj.attentive(CELL, XS)._replace(memory=None)),
    ),
    "attentive: in a chain": ("cells[1]", lambda: lj.chain(CELL, lj.attentive(CELL, XS))),
    # packing
    "pack: nothing": ("sequences", lambda: lj.pack([])),
    "pack: an array": ("sequences", lambda: lj.pack(XS)),
    "pack: other features": ("sequences[1]", lambda: lj.pack([np.zeros((2, 3)), np.zeros((2, 4))])),
    "pack: other dtypes": ("sequences[1]", lambda: lj.pack([np.zeros(2), np.zeros(2, int)])),
    "pack: numbers": ("sequences[0]", lambda: lj.pack([1.0, 2.0])),
    "pack: no rows": ("rows", lambda: lj.pack([np.zeros((2, 3))], rows=0)),
    "pack: all padding": ("max_padding", lambda: lj.pack([np.zeros((2, 3))], max_padding=1.0)),
    "unpack: other outputs": ("ys", lambda: lj.unpack(lj.pack([np.zeros((2, 3))]), X)),
    "unpack: not packed": ("packed", lambda: lj.unpack(XS, XS)),
}


def step_bidirectional():
    cell = lj.bidirectional(CELL, GRU)
    params = cell.init(KEY, 3)
    return cell.step(params, cell.initial_state(params, (2,)), X)


def unroll_attentive(cell):
    return unroll(cell, cell.init(KEY, 3))


@pytest.mark.parametrize("mistake", CALLS)
def test_a_mistake_is_named(mistake):
    argument, call = CALLS[mistake]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(argument), message
    assert caught.type.__module__ in ("builtins", "lstm_jax._internal.errors"), caught.type  # ours


def test_float64_input_beside_float32_params_is_refused():
    with (
        jax.enable_x64(True),
        pytest.raises(ValueError, match=r"^xs: expected float32.*got float64"),
    ):
        unroll(xs=np.zeros((5, 2, 3)))


def test_the_message_says_what_was_expected_and_what_was_given():
    with pytest.raises(ValueError) as caught:
        unroll(xs=jnp.zeros((5, 2, 7)))
    assert str(caught.value) == (
        "xs: expected input size 3, for which params of lstm(4) were made, got 7"
    )
    with pytest.raises(ValueError, match=r"did you mean 'lstm'\?"):
        lj.cells.make("lsmt", 4)


def test_traced_lengths_are_clipped_to_their_range():
    run = jax.jit(lambda lengths: unroll(xs=jnp.ones((5, 2, 3)), lengths=lengths))
    state, ys = run(jnp.array([9, -3]))
    expected_state, expected_ys = unroll(xs=jnp.ones((5, 2, 3)), lengths=jnp.array([5, 0]))
    np.testing.assert_array_equal(ys, expected_ys)
    np.testing.assert_array_equal(state.c, expected_state.c)


@pytest.mark.parametrize("package", ["lstm_jax", "experiments", "benchmarks"])
def test_errors_of_arguments_have_our_classes(package):
    """By these the command line recognises a user's mistake. A plain one may be raised if it is
    caught in the same function."""
    bare = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Try):
                for inner in ast.walk(node):
                    inner.caught = any(handler.type is not None for handler in node.handlers)
            callee = getattr(getattr(node, "exc", None), "func", None)
            name = getattr(callee, "id", "")
            if name in ("ValueError", "TypeError") and not getattr(node, "caught", False):
                bare.append(f"{path.name}, line {node.lineno}: {name}")
    assert not bare, bare
