import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from tests.train.finite import KEY, mean_model, padded, ragged

ROWS, TARGETS = ragged(30)
DATA = train.Dataset(ROWS, TARGETS)
MODEL = mean_model()
PARAMS = MODEL.init(KEY)
OUTPUTS = np.array([MODEL.apply(PARAMS, row[:, None])[0, 0] for row in ROWS])


@pytest.mark.parametrize("batch_size", [4, 256])
def test_evaluate_equals_the_whole_at_once(batch_size):
    def largest(outputs, targets):
        return np.abs(outputs[:, 0] - targets).max()

    found = train.evaluate(
        MODEL, PARAMS, DATA, loss="huber", metrics=["rmse", "mae", "r2", largest],
        batch_size=batch_size,
    )  # fmt: skip
    errors = OUTPUTS - TARGETS
    huber = np.where(abs(errors) < 1, errors**2 / 2, abs(errors) - 0.5).mean()
    expected = {
        "loss": huber,
        "rmse": np.sqrt((errors**2).mean()),
        "mae": abs(errors).mean(),
        "r2": 1 - (errors**2).sum() / ((TARGETS - TARGETS.mean()) ** 2).sum(),
        "largest": abs(errors).max(),
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5)
    alone = train.evaluate(MODEL, PARAMS, DATA, metrics="mae", batch_size=batch_size)
    assert list(alone) == ["mae"] and alone["mae"] == pytest.approx(found["mae"], rel=1e-6)


def test_every_step_counts_once():
    model = mean_model(every=True)
    targets = [row[:, 0] for row in ROWS]
    data = train.Dataset(ROWS, targets, per="step")
    found = train.evaluate(model, PARAMS, data, metrics=["mse", "r2"], batch_size=7)
    outputs = [np.asarray(model.apply(PARAMS, row[:, None]))[:, 0, 0] for row in ROWS]
    errors = np.concatenate(outputs) - np.concatenate(targets)
    assert found["mse"] == pytest.approx((errors**2).mean(), rel=1e-5)
    spread = np.concatenate(targets).var()
    assert found["r2"] == pytest.approx(1 - (errors**2).mean() / spread, rel=1e-4)


def test_no_targets_to_score():
    missing = train.Dataset(ROWS, np.full(30, np.nan), missing="mask")
    for metric in ("mae", "r2"):
        with pytest.raises(ValueError, match="at least one target that counts, got none"):
            train.evaluate(MODEL, PARAMS, missing, metrics=metric)
    for data, options, message in (
        (DATA, {}, "metrics: expected at least one metric, or a loss"),
        (train.Dataset(ROWS), dict(loss="mse"), "data: expected targets to compare with"),
        (DATA.take([]), dict(loss="mse"), "data: expected at least one row"),
        (ROWS, dict(loss="mse"), "data: expected a train.Dataset"),
        (DATA, dict(loss="mse", batch_size=0), "batch_size"),
        (DATA, dict(metrics=["mae", "mae"]), "'mae' twice"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            train.evaluate(MODEL, PARAMS, data, **options)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_predict_keeps_the_order_of_rows(batch_size):
    wide, lengths = padded(ROWS)
    for inputs in (ROWS, DATA, train.Dataset(wide, lengths=lengths)):
        found = train.predict(MODEL, PARAMS, inputs, batch_size=batch_size)
        np.testing.assert_allclose(found[:, 0], OUTPUTS, rtol=1e-5, atol=1e-6)
    part = train.predict(MODEL, PARAMS, DATA.take([7, 3, 7]), batch_size=batch_size)
    np.testing.assert_allclose(part[:, 0], OUTPUTS[[7, 3, 7]], rtol=1e-5, atol=1e-6)


def test_predict_gives_ragged_answers_for_ragged_rows():
    model = train.network(
        lj.gru(3), train.inputs.numbers(2), train.heads.classification(4), reads="every"
    )
    params = model.init(KEY)
    found = train.predict(model, params, ROWS, batch_size=4)
    answer = jax.jit(model.answer)
    assert isinstance(found, list) and [of.shape for of in found] == [(len(r), 4) for r in ROWS]
    for row, of in zip(ROWS, found, strict=True):
        alone = answer(params, np.pad(row, ((0, 6 - len(row)), (0, 0)))[:, None])
        np.testing.assert_allclose(of, alone[: len(row), 0], atol=1e-6)
        np.testing.assert_allclose(of.sum(-1), 1, atol=1e-5)
    even = train.predict(model, params, np.stack([row[:1] for row in ROWS]))
    np.testing.assert_allclose(even, np.stack([of[:1] for of in found]), atol=1e-6)


def test_one_row_alone_is_not_padded_to_a_batch():
    calls = []
    model = mean_model(calls=calls)
    train.predict(model, PARAMS, ROWS[:1])
    assert max(shape[1] if isinstance(shape, tuple) and len(shape) == 3 else shape.values[1]
               for shape in calls) == 2  # of the check for answers at every step  # fmt: skip
    calls.clear()
    for count in (9, 11, 16):
        train.predict(model, PARAMS, DATA.take(np.arange(count)))
    assert len([shape for shape in calls if shape.values[1] == 16]) == 1  # compiled once


def test_answers_without_rows_are_refused():
    model = train.Model(1, MODEL.init, MODEL.apply, lambda params, xs: params["b"])
    with pytest.raises(ValueError, match=r"model: expected answers \[B, ...\]"):
        train.predict(model, PARAMS, ROWS)


def test_no_noise():
    model = mean_model(noise=9.0)
    assert train.evaluate(model, PARAMS, DATA, loss="mse") == train.evaluate(
        MODEL, PARAMS, DATA, loss="mse"
    )
