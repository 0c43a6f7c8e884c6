"""Scalers equal scikit-learn's, and are undone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from lstm_jax.train import series

RNG = np.random.default_rng(0)
TABLE = RNG.lognormal(size=(50, 3)) * [1, 10, 1000]
LATER = RNG.lognormal(size=(20, 3)) * [1, 10, 1000]
GAPS = np.where(RNG.random((50, 3)) < 0.2, np.nan, TABLE)
SCALERS = {
    "standard": (series.standard(), StandardScaler(), lambda x: x),
    "minmax": (series.minmax(-1, 2), MinMaxScaler((-1, 2)), lambda x: x),
    "log": (series.log(0.5), StandardScaler(), lambda x: np.log(x + 0.5)),
}


@pytest.mark.parametrize("name", SCALERS)
@pytest.mark.parametrize("train", [TABLE, GAPS], ids=["full", "gaps"])
def test_equal_to_scikit_learns(name, train):
    scaler, reference, first = SCALERS[name]
    scale = scaler.fit(train)
    reference.fit(first(train))
    for values in (train, LATER):
        scaled = scaler.apply(scale, values)
        np.testing.assert_allclose(
            scaled, reference.transform(first(values)), rtol=1e-9, atol=1e-12
        )
        np.testing.assert_allclose(scaler.invert(scale, scaled), values, rtol=1e-9)


@pytest.mark.parametrize("name", SCALERS)
def test_one_column(name):
    scaler = SCALERS[name][0]
    scale, one = scaler.fit(TABLE), scaler.fit(TABLE[:, 1])
    scaled = scaler.apply(scale, LATER)
    np.testing.assert_allclose(scaler.apply(one, LATER[:, 1]), scaled[:, 1], rtol=1e-12)
    forecasts = scaled[:, 1].reshape(5, 4)
    np.testing.assert_allclose(
        scaler.invert(scale.column(1), forecasts), LATER[:, 1].reshape(5, 4), rtol=1e-9
    )
    windows = np.stack([LATER, LATER])
    np.testing.assert_array_equal(scaler.apply(scale, windows), np.stack([scaled, scaled]))


@pytest.mark.parametrize("name", SCALERS)
def test_jax_arrays_under_jit(name):
    scaler = SCALERS[name][0]
    scale = scaler.fit(TABLE)
    values = jnp.asarray(LATER, jnp.float32)
    scaled = jax.jit(scaler.apply)(scale, values)
    assert scaled.dtype == jnp.float32
    np.testing.assert_allclose(scaled, scaler.apply(scale, LATER), rtol=1e-4, atol=1e-5)
    back = jax.jit(scaler.invert)(scale, scaled)
    np.testing.assert_allclose(back, LATER, rtol=1e-4)


@pytest.mark.parametrize("name", SCALERS)
def test_a_constant_column(name):
    scaler = SCALERS[name][0]
    values = np.full((50, 2), 0.1)  # of which the rounded deviation may not be zero
    values[:, 1] = TABLE[:, 0]
    scale = scaler.fit(values)
    scaled = scaler.apply(scale, values)
    expected = {"minmax": -1}.get(name, 0)
    np.testing.assert_allclose(scaled[:, 0], expected, atol=1e-12)
    np.testing.assert_allclose(scaler.invert(scale, scaled), values, rtol=1e-12)


@pytest.mark.parametrize("name", SCALERS)
def test_checks(name):
    scaler = SCALERS[name][0]
    scale = scaler.fit(TABLE)
    for function in (scaler.apply, scaler.invert):
        for wrong in (LATER[:, :2], LATER[:, 0], jnp.ones((4, 1)), np.float64(2)):
            with pytest.raises(ValueError, match=r"values: expected 3 columns \[..., 3\]"):
                function(scale, wrong)
        with pytest.raises(TypeError, match="scale: expected what fit returns, got tuple"):
            function((0.0, 1.0), LATER)
    for values, match in [
        (TABLE[:0], "one step or more"),
        (np.where(np.arange(3) == 1, np.nan, TABLE), "a number in column 1, got only nan"),
        (
            np.where(np.arange(150).reshape(50, 3) == 14, np.inf, TABLE),
            "finite numbers, got inf in row 4, column 2",
        ),
        (["a"], "expected numbers"),
    ]:
        with pytest.raises((ValueError, TypeError), match=match):
            scaler.fit(values)
    with pytest.raises(ValueError, match="column: expected one of 3 columns"):
        scale.column(3)
    with pytest.raises(ValueError, match="column: expected a scale of several columns"):
        scale.column(0).column(0)


def test_checks_of_one():
    with pytest.raises(ValueError, match="high: expected a number above low"):
        series.minmax(1, 1)
    scaler = series.log()
    with pytest.raises(ValueError, match=r"numbers above 0, .* got 0 at \(1,\)"):
        scaler.fit([1.0, 0.0])
    scale = scaler.fit(TABLE)
    with pytest.raises(ValueError, match=r"values: .* got -2 at \(0, 2\)"):
        scaler.apply(scale, [[1.0, 2.0, -2.0]])
