"""Losses equal optax's and scikit-learn's, and nothing is broadcast."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import log_loss, mean_absolute_error, mean_pinball_loss, mean_squared_error

from lstm_jax.train import losses

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(7, 3)).astype(np.float32)
CLASSES = np.array([0, 1, 2, 2, 1, 0, 2])
OUTPUTS = RNG.normal(size=(7, 2)).astype(np.float32)
NUMBERS = RNG.normal(size=(7, 2)).astype(np.float32)
LEVELS = (0.1, 0.5, 0.9)


def test_cross_entropy_in_nats():
    values = losses.cross_entropy(LOGITS, CLASSES)
    assert values.shape == (7,) and values.dtype == jnp.float32
    shifted = LOGITS.astype(np.float64)
    p = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
    np.testing.assert_allclose(values, -np.log(p[np.arange(7), CLASSES]), rtol=1e-5)
    np.testing.assert_allclose(values.mean(), log_loss(CLASSES, p), rtol=1e-5)
    every = losses.cross_entropy(np.stack([LOGITS, LOGITS]), np.stack([CLASSES, CLASSES]))
    np.testing.assert_array_equal(every, [values, values])


def test_cross_entropy_is_stable():
    outputs = jnp.array([[1e4, -1e4], [0.0, -1e30]])
    targets = jnp.array([1, 0])
    np.testing.assert_array_equal(losses.cross_entropy(outputs, targets), [2e4, 0])
    grads = jax.grad(lambda o: losses.cross_entropy(o, targets).sum())(outputs)
    np.testing.assert_array_equal(grads, [[1, -1], [0, 0]])
    one = losses.binary_cross_entropy(jnp.array([[1e4], [-1e4]]), targets)
    np.testing.assert_array_equal(one, [0, 0])
    one = losses.binary_cross_entropy(jnp.array([1e4, -1e4]), 1 - targets)
    np.testing.assert_array_equal(one, [1e4, 1e4])


@pytest.mark.parametrize("wrong", [-1, 3, 100, -3])
def test_a_class_that_is_none_gives_nan(wrong):
    values = losses.cross_entropy(LOGITS, np.where(np.arange(7) == 2, wrong, CLASSES))
    assert np.isnan(values).tolist() == [n == 2 for n in range(7)]


def test_classes_of_any_integer_dtype():
    outputs = RNG.normal(size=(3, 300)).astype(np.float32)
    targets = np.array([0, 127, 7])
    for kind in (np.int8, np.uint8, np.int16, np.uint32, np.int64):
        np.testing.assert_array_equal(
            losses.cross_entropy(outputs, targets.astype(kind)),
            losses.cross_entropy(outputs, targets),
        )
    np.testing.assert_array_equal(
        losses.cross_entropy(OUTPUTS, CLASSES == 1), losses.cross_entropy(OUTPUTS, CLASSES % 2)
    )


def test_binary_cross_entropy():
    logits, targets = LOGITS[:, 0], np.array([0, 1, 1, 0, 1, 0, 1])
    expected = optax.sigmoid_binary_cross_entropy(logits, targets)
    for outputs in (logits, logits[:, None]):
        for kind in (int, bool, np.float32):
            values = losses.binary_cross_entropy(outputs, targets.astype(kind))
            np.testing.assert_allclose(values, expected, rtol=1e-6)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    np.testing.assert_allclose(expected.mean(), log_loss(targets, p), rtol=1e-5)
    two = losses.cross_entropy(np.stack([0 * logits, logits], axis=-1), targets)
    np.testing.assert_allclose(two, expected, rtol=1e-5)
    assert np.isnan(losses.binary_cross_entropy(logits, np.full(7, -1))).all()


def test_squared_absolute_and_huber():
    for loss, reference in ((losses.mse, mean_squared_error), (losses.mae, mean_absolute_error)):
        values = loss(OUTPUTS, NUMBERS)
        assert values.shape == (7, 2)
        np.testing.assert_allclose(values.mean(), reference(NUMBERS, OUTPUTS), rtol=1e-6)
    values = losses.huber(OUTPUTS, NUMBERS, delta=0.3)
    np.testing.assert_allclose(values, optax.huber_loss(OUTPUTS, NUMBERS, delta=0.3), rtol=1e-6)
    e = np.abs(OUTPUTS - NUMBERS)
    by_hand = np.where(e < 0.3, e**2 / 2, 0.3 * (e - 0.15))
    np.testing.assert_allclose(values, by_hand, rtol=1e-5, atol=1e-7)


def test_pinball():
    outputs = RNG.normal(size=(7, 2, 3)).astype(np.float32)
    values = losses.pinball(LEVELS)(outputs, NUMBERS)
    assert values.shape == (7, 2)
    expected = [
        mean_pinball_loss(NUMBERS.ravel(), outputs[..., n].ravel(), alpha=q)
        for n, q in enumerate(LEVELS)
    ]
    np.testing.assert_allclose(values.mean(), np.mean(expected), rtol=1e-6)
    one = losses.pinball(LEVELS)(outputs[:, 0], NUMBERS[:, 0])
    np.testing.assert_allclose(one, values[:, 0], rtol=1e-6)


def test_pinball_is_least_at_the_quantile():
    sample = np.sort(RNG.normal(size=201)).astype(np.float32)
    constant = np.repeat(sample[:, None, None], 201, axis=1)  # each number as the only forecast
    values = jax.vmap(losses.pinball([0.9]), (0, None))(constant, sample).mean(axis=1)
    assert sample[int(values.argmin())] == np.quantile(sample, 0.9)


def test_qlike():
    forecasts, variances = np.exp(OUTPUTS), np.exp(NUMBERS)
    ratio = (variances / forecasts).astype(np.float64)
    for values in (
        losses.qlike(forecasts, variances),
        losses.qlike(OUTPUTS, variances, log_outputs=True),
    ):
        np.testing.assert_allclose(values, ratio - np.log(ratio) - 1, rtol=1e-4, atol=1e-6)
    near = losses.qlike(np.float32([1.0]), np.float32([1.0 + 2**-10]))
    np.testing.assert_allclose(near, [2.0**-21], rtol=1e-2)  # of which float32 would leave nothing
    np.testing.assert_array_equal(losses.qlike(np.ones(1), np.zeros(1)), [np.inf])


EVERY = ("cross_entropy", "binary_cross_entropy", "mse", "mae", "huber", "pinball(levels=(0.5,))")


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_cross_entropy", "qlike"])
def test_one_number_per_target_may_have_an_axis(name):
    loss = losses.resolve(name)
    outputs, targets = np.full((5, 4, 1), 0.5, np.float32), np.ones((5, 4), np.float32)
    assert loss(outputs, targets).shape == (5, 4)
    assert loss(outputs, targets[..., None]).shape == (5, 4, 1)
    assert loss(outputs[..., 0], targets).shape == (5, 4)


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_cross_entropy", "qlike"])
@pytest.mark.parametrize(
    "outputs, targets",
    [((4,), (4, 1)), ((4, 2), (4,)), ((4, 1), (4, 2)), ((4, 2), (2, 4)), ((1, 4), (4, 4)),
     ((4,), ()), ((4, 1), (3,)), ((4, 4), (4,))],
)  # fmt: skip
def test_nothing_is_broadcast(name, outputs, targets):
    with pytest.raises(ValueError, match="targets: expected the outputs' shape") as caught:
        losses.resolve(name)(np.ones(outputs, np.float32), np.ones(targets, np.float32))
    assert str(outputs) in str(caught.value) and str(targets) in str(caught.value)


def test_shapes_of_classes_and_quantiles():
    with pytest.raises(
        ValueError, match=r"expected shape \(7,\), .*outputs \(7, 3\).* got \(7, 1\)"
    ):
        losses.cross_entropy(LOGITS, CLASSES[:, None])
    with pytest.raises(ValueError, match=r"binary_cross_entropy.*got shape \(7, 1\)"):
        losses.cross_entropy(LOGITS[:, :1], CLASSES)
    with pytest.raises(ValueError, match="targets: expected classes, as integers, got dtype float"):
        losses.cross_entropy(LOGITS, CLASSES.astype(np.float32))
    with pytest.raises(ValueError, match=r"quantiles \[..., 3\], .* got shape \(7, 2\)"):
        losses.pinball(LEVELS)(OUTPUTS, NUMBERS[:, 0])
    with pytest.raises(ValueError, match=r"expected shape \(7,\), .* got \(7, 2\)"):
        losses.pinball(LEVELS)(LOGITS, NUMBERS)
    with pytest.raises(ValueError, match="outputs: expected a floating dtype"):
        losses.mse(CLASSES, CLASSES)
    with pytest.raises(TypeError, match="targets: expected an array, got list"):
        losses.mse(OUTPUTS, NUMBERS.tolist())


@pytest.mark.parametrize("levels", [[], [0.0, 0.5], [0.5, 1.0], [0.9, 0.1], [0.5, 0.5], 0.5, "0.5"])
def test_levels_are_checked(levels):
    with pytest.raises(ValueError, match="levels: expected"):
        losses.pinball(levels)


def test_resolve():
    assert losses.resolve("mse") is losses.mse and losses.resolve(losses.mae) is losses.mae
    custom = functools.partial(losses.huber, delta=2.0)
    assert losses.resolve(custom) is custom
    by_name = losses.resolve("huber(delta=2.0)")
    np.testing.assert_array_equal(by_name(OUTPUTS, NUMBERS), custom(OUTPUTS, NUMBERS))
    assert losses.resolve("pinball(levels=(0.1, 0.5, 0.9))")(LOGITS, NUMBERS[:, 0]).shape == (7,)
    for wrong, match in [
        ("mean_squared", "loss: expected one of cross_entropy, .*, got 'mean_squared'"),
        ("msee", "did you mean 'mse'"),
        ("pinball", "expected pinball"),
        ("mse(delta=2.0)", "expected mse with no options"),
        ("huber(gamma=2.0)", "expected huber with delta"),
        (None, "expected a name or a function, got NoneType"),
    ]:
        with pytest.raises((ValueError, TypeError), match=match):
            losses.resolve(wrong)


def test_dtypes_and_jit():
    half = jnp.asarray(OUTPUTS, jnp.bfloat16)
    assert losses.mse(half, NUMBERS).dtype == jnp.float32
    for name in EVERY:
        loss = losses.resolve(name)
        outputs = OUTPUTS if name == "cross_entropy" else OUTPUTS[:, :1]
        targets = jnp.asarray(CLASSES % 2)
        np.testing.assert_allclose(
            jax.jit(loss)(outputs, targets), loss(outputs, targets), rtol=1e-6
        )
