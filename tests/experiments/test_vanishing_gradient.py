"""The norms, rates and figures of the experiment on vanishing gradients."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.__main__ import main
from experiments.harness.run.jobs import slug
from experiments.memory import _gradient_figure, _gradients
from experiments.memory import vanishing_gradient as experiment
from lstm_jax import tasks, train

DELAY = 6
TASK = tasks.make("delayed_recall", delay=DELAY)
BATCH = jax.device_get(TASK.sample(jax.random.key(3), 5))


def recurrent(cell):
    model = train.recurrent(cell, TASK.input_size, TASK.output_size)
    return model, jax.tree.map(np.asarray, model.init(jax.random.key(0)))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.slow
def test_the_curve_equals_backpropagation_by_hand(activation):
    cell = lj.rnn(7, activation=activation)
    _, params = recurrent(cell)
    of, readout = params["cell"], params["readout"]
    w_x, w_h, b, w = (np.asarray(a, np.float64) for a in (*map(of.get, ("w_x", "w_h", "b")),
                                                         readout["w"]))  # fmt: skip
    act = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}[activation]
    slope = {"tanh": lambda h: 1 - h**2, "relu": lambda h: (h > 0) * 1.0}[activation]
    logs = []
    for row, target in enumerate(BATCH.targets):
        hs = [np.zeros(7)]
        for x in np.asarray(BATCH.xs[:, row], np.float64):
            hs.append(act(x @ w_x + hs[-1] @ w_h + b))
        gradient = w @ (softmax(hs[-1] @ w) - np.eye(8)[target])
        norms = []
        for h in hs[:0:-1]:
            norms.append(np.linalg.norm(gradient))
            gradient = w_h @ (slope(h) * gradient)
        logs.append(np.log(norms) - np.log(norms[0]))
    curve = _gradients.norm_curve(cell, TASK, params, BATCH)
    np.testing.assert_allclose(curve, np.exp(np.mean(logs, axis=0)), rtol=1e-10)
    assert curve.shape == (DELAY + 2,) and curve[0] == 1


def test_rows_without_any_gradient_are_left_out():
    cell = lj.rnn(7)
    _, params = recurrent(cell)
    sure = {**params, "readout": {"w": 0 * params["readout"]["w"], "b": 9e4 * np.eye(8)[2]}}
    batch = BATCH._replace(targets=np.full(5, 2))  # right to the last digit
    assert np.isnan(_gradients.norm_curve(cell, TASK, sure, batch)).all()
    nan = jax.tree.map(lambda leaf: leaf * np.nan, params)
    assert np.isnan(_gradients.norm_curve(cell, TASK, nan, BATCH)).all()


@pytest.mark.parametrize("rate", [0.7, 0.01, 0.0, -0.2])
def test_the_rate_of_an_exponential_is_exact(rate):
    assert _gradients.decay_rate(3 * np.exp(-rate * np.arange(40))) == pytest.approx(
        rate, abs=1e-12
    )
    assert np.isnan(_gradients.decay_rate(np.full(40, np.nan)))


def test_a_half_life_is_what_halves():
    assert np.exp(-0.07 * _gradients.half_life(0.07)) == pytest.approx(0.5)
    assert _gradients.half_life(0.0) == _gradients.half_life(-0.1) == np.inf


def test_clipping_shortens_the_steps_that_are_too_long():
    model, _ = recurrent(lj.rnn(7))
    options = {"steps": 4, "learning_rate": 0.1, "batch_size": 5}
    key = jax.random.key(5)
    free, _ = _gradients.descend(model, TASK, key, clip=None, **options)
    np.testing.assert_allclose(free.after, free.before, rtol=1e-5)
    limit = float(np.median(free.before))
    clipped, last = _gradients.descend(model, TASK, key, clip=limit, **options)
    np.testing.assert_allclose(clipped.after, np.minimum(clipped.before, limit), rtol=1e-5)
    assert clipped.before[0] == free.before[0] and clipped.loss[0] == free.loss[0]
    moved = jax.tree.map(lambda a, b: a - b, last, model.init(jax.random.split(key)[0]))
    length = np.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(moved)))
    assert 0 < length <= 0.1 * clipped.after.sum() * (1 + 1e-5)


def test_steps_after_one_that_is_not_finite_are_nan():
    relu = lj.initialize(lj.rnn(7, activation="relu"), w_h=lj.initializers.orthogonal(1e30))
    steps, _ = _gradients.descend(
        recurrent(relu)[0], TASK, jax.random.key(0), clip=None,
        steps=3, learning_rate=0.1, batch_size=5,
    )  # fmt: skip
    assert np.isnan(steps.before[-1])
    for name, values in steps._asdict().items():
        valid = ~np.isnan(values)
        assert (np.diff(valid.astype(int)) <= 0).all(), name


def test_the_contenders_differ_as_their_names_say():
    budget = experiment.Config(delay=50, size=9)
    biases = {}
    for name in ("ReLU RNN", *(f"LSTM, forget bias {n}" for n in (0, 5)), experiment.CHRONO):
        model = experiment.make_model(50.0, TASK, budget, name)
        of = model.init(jax.random.key(1))["cell"]
        if name != "ReLU RNN":
            biases[name] = np.asarray(of["b"][9:18])  # after the input gate
        assert model.size == 9 and model.source is not None
    for bias in (0, 5):
        np.testing.assert_array_equal(biases[f"LSTM, forget bias {bias}"], bias)
    assert (biases[experiment.CHRONO] >= 0).all() and np.ptp(biases[experiment.CHRONO]) > 0
    assert biases[experiment.CHRONO].max() <= np.log(49) + 1e-6


def found(**changes):
    curves = np.exp(-0.1 * np.arange(22))
    rows = {
        "tanh RNN": {"start": [list(curves)] * 2, "trained": [list(curves**2), [None] * 22],
                     "solved": [True, False], "score": [0.9, None]},
        "GRU": {"start": [list(1 / curves)] * 2, "trained": [[None] * 22] * 2,
                "solved": [False, False], "score": [None, None]},
    }  # fmt: skip
    net = {"before": [[3.0, 2.0, None]] * 2, "loss": [[2.0, 2.0, None]] * 2, "lagged": [1e-9, 1e-7]}
    return {
        "lag": 21,
        "chance": 0.125,
        "contenders": rows,
        "radius": 1.5,
        "exploding": {
            "tanh RNN, radius 1": {"start": [list(curves)] * 2, "factors": [1.0, 1.0]},
            "tanh RNN, radius 1.5": {"start": [list(1 / curves)] * 2, "factors": [0.1, 0.2]},
        },
        "descent": [
            {"net": "tanh RNN", "clip": None, "after": net["before"], **net},
            {"net": "tanh RNN", "clip": 1.0, "after": [[1.0, 1.0, None]] * 2, **net},
        ],
        **changes,
    }


def test_the_table_has_rates_half_lives_and_what_is_missing():
    _, columns, rows = _gradient_figure.make_table(found())
    assert columns[0] == "contender" and columns[-1] == "accuracy (chance 0.125)"
    (rnn, gru) = rows
    assert rnn[1:4] == ["0.122", "0.100 [0.100, 0.100]", "6.93"]
    assert rnn[4:7] == ["0.015", "0.200 [0.200, 0.200]", "3.47"] and rnn[7] == "1 of 2"
    assert gru[1:4] == ["8.17", "-0.100 [-0.100, -0.100]", "none"]
    assert gru[4:7] == ["-", "-", "-"]
    _, columns, rows = _gradient_figure.make_descent_table(found())
    assert rows[1] == ["tanh RNN, clipped to 1", "3", "1", "3", "5e-08", "diverged"]
    assert len(columns) == len(rows[0])


def test_the_figure_is_drawn_even_where_runs_diverged(tmp_path):
    _gradient_figure.draw(found(), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_name_the_option(capsys, tmp_path):
    for options in (["--cells", "lstm"], ["--radius", "-1"]):
        assert main(["vanishing_gradient", *options, "--out", str(tmp_path)]) == 2
        assert f"error: {options[0][2:]}: expected" in capsys.readouterr().err


@pytest.mark.slow
def test_a_small_run_ends_in_the_figure_and_both_tables(tmp_path):
    command = ["vanishing_gradient", "--delay", "12", "--steps", "10", "--every", "10"]
    command += ["--seeds", "2", "--size", "6", "--cells", "tanh RNN", "LSTM, chrono"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    report = (tmp_path / "run" / "report.md").read_text()
    kept = json.loads((tmp_path / "run" / "gradients.json").read_text())
    assert "![gradient norms against lag" in report and "| tanh RNN, clipped to 1 |" in report
    assert list(kept["contenders"]) == ["tanh RNN", "LSTM, chrono"]
    for name, of in kept["contenders"].items():
        assert np.array(of["start"]).shape == np.array(of["trained"]).shape == (2, 14)
        job = tmp_path / "run" / "delayed_recall_12_symbols_8" / slug(name)
        for run in (0, 1):
            cell, params = train.load_cell(job / "model", run=run)
            readout = train.load_model(job / "model", run=run)[1]["readout"]
            task = tasks.make("delayed_recall", delay=12)
            curve = _gradients.norm_curve(
                cell, task, {"cell": params, "readout": readout}, experiment.held_out_rows(task)
            )
            np.testing.assert_allclose(of["trained"][run], curve, rtol=1e-3)
    assert main([*command, "--out", str(tmp_path / "run")]) == 0  # reports again
    assert json.loads((tmp_path / "run" / "gradients.json").read_text()) == kept
