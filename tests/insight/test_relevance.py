"""Layer-wise relevance propagation, against loops written after the papers, and its laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.selection import mostly_slow

T, D, H, EPS = 5, 2, 3, 1e-3


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lrp_linear(inputs, w, b, outputs, relevance, units, bias_factor):
    """The relevance of the inputs of a layer with ``units`` inputs in all; Arras et al. 2017."""
    sign = np.where(outputs >= 0, 1.0, -1.0)
    messages = np.zeros(w.shape)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            share = w[i, j] * inputs[i] + bias_factor * (b[j] + EPS * sign[j]) / units
            messages[i, j] = share / (outputs[j] + EPS * sign[j]) * relevance[j]
    return messages.sum(axis=1)


def lrp_sum(one, total, relevance, bias_factor):
    """The relevance of one of two summands, unit by unit."""
    sign = np.where(total >= 0, 1.0, -1.0)
    return (one + bias_factor * EPS * sign / 2) / (total + EPS * sign) * relevance


def gate_part(gate, signal, rule):
    if rule == "abs":
        gate, signal = np.abs(gate), np.abs(signal)
    total = gate + signal
    return {
        "all": np.zeros_like(total),
        "half": np.full_like(total, 0.5),
    }.get(rule, gate / (total + EPS * np.where(total >= 0, 1.0, -1.0)))


def lstm_by_hand(params, xs, unit, rule, bias_factor):
    w_x, w_h, b = (np.asarray(params[name]) for name in ("w_x", "w_h", "b"))
    h, c = [np.zeros(H)], [np.zeros(H)]
    pres, acts = [], []
    for x in xs:
        pre = x @ w_x + h[-1] @ w_h + b
        i, f, g, o = (pre[k * H : (k + 1) * H] for k in range(4))
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c.append(f * c[-1] + i * g)
        h.append(o * np.tanh(c[-1]))
        pres.append(pre)
        acts.append((i, f, g, o))
    of_h, of_c = np.where(np.arange(H) == unit, h[-1], 0.0), np.zeros(H)
    of_xs = np.zeros((T, D))
    for t in reversed(range(T)):
        i, f, g, o = acts[t]
        old, new = c[t], c[t + 1]
        part = gate_part(o, np.tanh(new), rule)
        of_o, of_c = part * of_h, of_c + (1 - part) * of_h
        of_kept = lrp_sum(f * old, new, of_c, bias_factor)
        of_written = lrp_sum(i * g, new, of_c, bias_factor)
        part = gate_part(f, old, rule)
        of_f, of_c = part * of_kept, (1 - part) * of_kept
        part = gate_part(i, g, rule)
        of_pre = np.concatenate([part * of_written, of_f, (1 - part) * of_written, of_o])
        of_xs[t] = lrp_linear(xs[t], w_x, b, pres[t], of_pre, D + H, bias_factor)
        of_h = lrp_linear(h[t], w_h, b, pres[t], of_pre, D + H, bias_factor)
    return of_xs, h[-1][unit], of_h.sum() + of_c.sum()


def rnn_by_hand(params, xs, unit, rule, bias_factor):
    w_x, w_h, b = (np.asarray(params[name]) for name in ("w_x", "w_h", "b"))
    h, pres = [np.zeros(H)], []
    for x in xs:
        pres.append(x @ w_x + h[-1] @ w_h + b)
        h.append(np.tanh(pres[-1]))
    of_h, of_xs = np.where(np.arange(H) == unit, h[-1], 0.0), np.zeros((T, D))
    for t in reversed(range(T)):
        of_xs[t] = lrp_linear(xs[t], w_x, b, pres[t], of_h, D + H, bias_factor)
        of_h = lrp_linear(h[t], w_h, b, pres[t], of_h, D + H, bias_factor)
    return of_xs, h[-1][unit], of_h.sum()


def gru_by_hand(params, xs, unit, rule, bias_factor):
    """``n = tanh(x w + b + r (h w_h + b_h))``, whose gates take no relevance (rule "all")."""
    assert rule == "all"
    w_x, w_h, b, b_h = (np.asarray(params[name]) for name in ("w_x", "w_h", "b", "b_h"))
    h, kept = [np.zeros(H)], []
    for x in xs:
        of_x, of_h = x @ w_x + b, h[-1] @ w_h
        r, u = (sigmoid((of_x + of_h)[k * H : (k + 1) * H]) for k in range(2))
        pre = of_x[2 * H :] + r * (of_h[2 * H :] + b_h)
        kept.append((r, u, pre))
        h.append(u * h[-1] + (1 - u) * np.tanh(pre))
    of_h, of_xs = np.where(np.arange(H) == unit, h[-1], 0.0), np.zeros((T, D))
    for t in reversed(range(T)):
        r, u, pre = kept[t]
        of_kept = lrp_sum(u * h[t], h[t + 1], of_h, bias_factor)
        of_pre = lrp_sum((1 - u) * np.tanh(pre), h[t + 1], of_h, bias_factor)
        bias = b[2 * H :] + r * b_h
        of_xs[t] = lrp_linear(xs[t], w_x[:, 2 * H :], bias, pre, of_pre, D + H, bias_factor)
        of_h = of_kept + lrp_linear(
            h[t], w_h[:, 2 * H :] * r, bias, pre, of_pre, D + H, bias_factor
        )
    return of_xs, h[-1][unit], of_h.sum()


CELLS = {"lstm": lj.lstm(H), "rnn": lj.rnn(H), "gru": lj.gru(H)}
BY_HAND = {"lstm": lstm_by_hand, "rnn": rnn_by_hand, "gru": gru_by_hand}
LAWS = {
    "peepholes": lj.lstm(H, peephole=True, coupled=True),
    "projection": lj.lstm(H, projection=2),
    "gate recurrence": lj.lstm(H, full_gate_recurrence=True),
    "no input gate": lj.lstm(H, input_gate=False, output_activation="identity"),
    "sigmoid input": lj.lstm(H, cell_activation="sigmoid"),
    "norm": lj.lstm(H, norm="layer"),
    "1997": lj.lstm_1997(2, 2),
    "slstm": lj.slstm(4, 2),
    "relu": lj.irnn(H),
    "chain": lj.chain(lj.dropout(lj.gru(H), 0.5), lj.zoneout(lj.lstm(H), 0.1)),
    "both": lj.chain(lj.bidirectional(lj.rnn(2), lj.lstm(H), merge="concat"), lj.gru(2)),
    "residual": lj.residual(lj.lstm(D)),
    "learned state": lj.learned_state(lj.lstm(H)),
}


def sample(cell, batch=(), dtype=np.float64):
    params = cell.init(jax.random.key(1), D, dtype)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), params)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    return params, jnp.asarray(rng.normal(size=(T, *batch, D)), dtype)


@pytest.mark.parametrize("bias_factor", [0.0, 1.0])
@pytest.mark.parametrize(
    ("name", "rule"),
    mostly_slow(
        [("rnn", "all"), ("gru", "all"), *(("lstm", r) for r in ("all", "prop", "abs", "half"))],
        [("gru", "all"), ("lstm", "all"), ("lstm", "half")],
    ),
)
def test_relevance_equals_the_papers(x64, name, rule, bias_factor):
    params, xs = sample(CELLS[name])
    got = lj.insight.relevance(
        CELLS[name], params, xs, 1, rule=rule, bias_factor=bias_factor, epsilon=EPS
    )
    of_xs, answer, of_state = BY_HAND[name](params, np.asarray(xs), 1, rule, bias_factor)
    np.testing.assert_allclose(got.values, of_xs, atol=1e-10)
    np.testing.assert_allclose(got.output, answer, atol=1e-12)
    np.testing.assert_allclose(got.of_state, of_state, atol=1e-10)
    assert np.abs(of_xs).min() > 1e-6
    if bias_factor == 1:
        np.testing.assert_allclose(of_xs.sum() + of_state, answer, atol=1e-10)
        np.testing.assert_allclose(got.residual, 0, atol=1e-10)
    else:
        np.testing.assert_allclose(got.residual, of_xs.sum() + of_state - answer, atol=1e-10)


@pytest.mark.parametrize("name", mostly_slow(LAWS, ["peepholes", "chain"]))
def test_relevance_is_conserved_and_stays_within_rows_and_segments(x64, name):
    cell = LAWS[name]
    params, xs = sample(cell, (3,))
    if name == "relu":
        params["b"] += 2  # so that units are active
    lengths, resets = np.array([5, 3, 0]), np.zeros((T, 3), bool)
    resets[2, 0] = True
    got = lj.insight.relevance(cell, params, xs, 1, lengths=lengths, resets=resets, bias_factor=1.0)
    np.testing.assert_allclose(got.residual, 0, atol=1e-9)
    assert np.abs(got.values[2:, 0]).max() > 1e-4
    assert (got.values[:2, 0] == 0).all() and (got.values[3:, 1] == 0).all()
    assert (got.values[:, 2] == 0).all() and got.of_state[2] == 0
    piece = lj.insight.relevance(cell, params, xs[2:, 0], 1, bias_factor=1.0)
    np.testing.assert_allclose(got.values[2:, 0], piece.values, atol=1e-9)


def test_without_bias_and_stabiliser_the_rnn_loses_nothing(x64):
    cell = lj.rnn(H)
    params, xs = sample(cell)
    params["b"] = jnp.zeros(H)
    got = lj.insight.relevance(cell, params, xs, 1, epsilon=1e-12)
    np.testing.assert_allclose(got.residual, 0, atol=1e-8)


def test_a_readout_is_one_more_layer(x64):
    cell = CELLS["lstm"]
    params, xs = sample(cell, (2,))
    w, b = np.array([[1.0, -2], [0.5, 1], [2, 0.3]]), np.array([0.3, -0.1])
    got = lj.insight.relevance(cell, params, xs, lambda ys: (ys[-1] @ w + b)[:, 1])
    for row in range(2):
        h = lj.unroll(cell, params, xs[:, row])[1][-1]
        score = h @ w[:, 1] + b[1]
        units = [lj.insight.relevance(cell, params, xs[:, row], k) for k in range(H)]
        share = w[:, 1] * score / (score + EPS * np.sign(score))  # of each unit by its value
        expected = sum(s * unit.values for s, unit in zip(share, units, strict=True))
        np.testing.assert_allclose(got.values[:, row], expected, atol=1e-9)


def test_padding_is_inert():
    cell = CELLS["gru"]
    params, xs = sample(cell, (2,), np.float32)
    lengths = np.array([5, 2])
    clean = lj.insight.relevance(cell, params, xs, 0, lengths=lengths)
    poisoned = lj.insight.relevance(cell, params, xs.at[2:, 1].set(jnp.nan), 0, lengths=lengths)
    np.testing.assert_array_equal(clean.values, poisoned.values)


def test_bad_input():
    cell = lj.lstm(H)
    xs = jnp.ones((T, D))
    for message, wrong, output, options in [
        ("cell: expected cells of the gated form, such as lj.lstm", lj.lru(H), 0, {}),
        ("got mgu(3)", lj.chain(lj.lstm(2), lj.mgu(H)), 0, {}),
        ("rule: expected one of all, prop, abs, half", cell, 0, {"rule": "gate"}),
        ("epsilon: expected a number above 0", cell, 0, {"epsilon": 0.0}),
        ("bias_factor: expected a number from 0 to 1", cell, 0, {"bias_factor": 2.0}),
        ("output: expected a unit from 0 to 2, got 3", cell, 3, {}),
        ("got sin, for which it has no rule", cell, lambda ys: jnp.sin(ys[-1, 0]), {}),
        ("neither of which is a gate", cell, lambda ys: ys[-1, 0] * ys[-1, 1], {}),
    ]:
        params = wrong.init(jax.random.key(0), D)
        with pytest.raises(lj.ArgumentError) as error:
            lj.insight.relevance(wrong, params, xs, output, **options)
        assert message in str(error.value)
