import itertools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats

from lstm_jax import train

heads = train.heads
LEVELS = [0.05, 0.25, 0.5, 0.75, 0.9]


def test_classification_gives_probabilities():
    head = heads.classification(4)
    outputs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    targets = np.array([0, 3, 1, 1, 2])
    assert (head.output_size, head.name) == (4, "classification(4)")
    answers = scipy.special.softmax(outputs, axis=-1)
    np.testing.assert_allclose(head.answer(outputs), answers, rtol=1e-5)
    np.testing.assert_allclose(
        head.loss(outputs, targets), -np.log(answers[np.arange(5), targets]), rtol=1e-5
    )


def test_regression_gives_forecasts_in_the_shape_of_the_targets():
    outputs = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(heads.regression(3).answer(outputs), outputs)
    one = outputs[:, :1]
    np.testing.assert_array_equal(heads.regression().answer(one), outputs[:, 0])
    targets = np.arange(5.0, dtype=np.float32)
    np.testing.assert_allclose(
        heads.regression().loss(one, targets), (outputs[:, 0] - targets) ** 2, rtol=1e-5
    )


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e30])
def test_quantiles_never_cross(outputs, scale):
    head = heads.quantiles(LEVELS, outputs)
    readout = scale * np.random.default_rng(0).normal(size=(50, head.output_size))
    found = head.transform(jnp.asarray(readout, jnp.float32))
    assert found.shape == ((50, 5) if outputs == 1 else (50, 2, 5))
    assert np.all(np.diff(found, axis=-1) >= 0)
    if scale == 1.0:
        assert np.all(np.diff(found, axis=-1) > 0)
    assert head.loss(found, jnp.zeros(found.shape[:-1])).shape == found.shape[:-1]


def test_any_quantiles_that_rise_can_be_reached():
    head = heads.quantiles(LEVELS)
    wanted = np.array([-3.0, -2.5, 0.1, 0.2, 7.0])
    gaps = np.log(np.expm1(np.diff(wanted)))  # the inverse of softplus
    readout = np.array([*gaps[:2], wanted[2], *gaps[2:]], np.float32)
    np.testing.assert_allclose(head.transform(jnp.asarray(readout)), wanted, rtol=1e-5)


def test_quantiles_that_are_fitted_are_those_of_the_data():
    """Of a constant forecast, by gradient descent on the head's own loss."""
    head = heads.quantiles(LEVELS)
    data = jnp.asarray(np.random.default_rng(0).gamma(2.0, size=2001), jnp.float32)

    def loss(readout):
        found = head.transform(jnp.broadcast_to(readout, (data.size, 5)))
        return head.loss(found, data).mean()

    def step(readout, _):
        return readout - jax.grad(loss)(readout), None

    readout, _ = jax.lax.scan(step, jnp.zeros(5), length=2000)
    np.testing.assert_allclose(head.transform(readout), np.quantile(data, LEVELS), atol=0.05)


def random_mixture(components, outputs, rows=6):
    """A head, its readout, and the mixture's parameters by Graves's equations in NumPy."""
    head = heads.mixture(components, outputs, smallest_scale=0.01)
    readout = np.random.default_rng(1).normal(size=(rows, head.output_size))
    m, n = components, components * outputs
    weights = scipy.special.softmax(readout[:, :m], axis=-1)
    means = readout[:, m : m + n].reshape(rows, m, outputs)
    scales = np.exp(readout[:, m + n : m + 2 * n]).reshape(rows, m, outputs) + 0.01
    correlations = np.tanh(readout[:, m + 2 * n :]) if outputs == 2 else None
    return head, readout.astype(np.float32), weights, means, scales, correlations


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_the_loss_of_a_mixture_is_its_negative_log_density(outputs):
    head, readout, weights, means, scales, correlations = random_mixture(4, outputs)
    targets = np.random.default_rng(2).normal(size=(6, outputs)).astype(np.float32)
    expected = []
    for row, target in enumerate(targets):
        density = 0.0
        for m in range(4):
            covariance = np.diag(scales[row, m] ** 2)
            if correlations is not None:
                covariance[0, 1] = covariance[1, 0] = correlations[row, m] * scales[row, m].prod()
            of_component = scipy.stats.multivariate_normal(means[row, m], covariance)
            density += weights[row, m] * of_component.pdf(target)
        expected.append(-np.log(density))
    targets = targets[:, 0] if outputs == 1 else targets
    np.testing.assert_allclose(head.loss(readout, targets), expected, rtol=2e-5, atol=1e-5)
    mean = (weights[..., None] * means).sum(1)
    mean = mean[:, 0] if outputs == 1 else mean
    np.testing.assert_allclose(head.answer(readout), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outputs", [1, 2])
def test_extreme_mixtures_have_finite_losses_and_gradients(outputs):
    head = heads.mixture(3, outputs)
    signs = np.random.default_rng(3).choice([-1.0, 1.0], size=(20, head.output_size))
    loss = jax.jit(jax.value_and_grad(lambda r, targets: head.loss(r, targets).mean()))
    for scale, at in itertools.product((10.0, 80.0), (0.0, 1e4)):
        readout = jnp.asarray(scale * signs, jnp.float32)
        value, gradient = loss(readout, jnp.full((20, outputs) if outputs > 1 else 20, at))
        assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_a_density_cannot_grow_without_bound():
    head = heads.mixture(2, smallest_scale=0.1)
    readout = jnp.array([[0.0, 0.0, 3.0, 3.0, -500.0, -500.0]])
    np.testing.assert_allclose(
        head.loss(readout, jnp.array([3.0])), -scipy.stats.norm.logpdf(0, scale=0.1), rtol=1e-5
    )


def test_quantiles_of_a_mixture_invert_its_distribution_function():
    head, readout, weights, means, scales, _ = random_mixture(4, 1)
    mixture = head.distribution(readout)
    levels = [0.001, 0.1, 0.5, 0.9, 0.999]
    found = np.asarray(mixture.quantiles(levels))

    def cdf(x, row):
        return weights[row] @ scipy.stats.norm.cdf(x, means[row, :, 0], scales[row, :, 0])

    expected = [
        [scipy.optimize.brentq(lambda x, r=row, q=q: cdf(x, r) - q, -99, 99) for q in levels]
        for row in range(6)
    ]
    np.testing.assert_allclose(found, expected, atol=2e-4)
    np.testing.assert_allclose(
        mixture.cdf(found[:, 1]), [cdf(x, row) for row, x in enumerate(found[:, 1])], atol=1e-6
    )


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_draws_have_the_moments_of_their_mixture(outputs):
    head, readout, weights, means, scales, correlations = random_mixture(3, outputs, rows=1)
    n = 20_000
    drawn = head.distribution(jnp.broadcast_to(readout, (n, readout.shape[1])))
    drawn = np.asarray(drawn.sample(jax.random.key(0))).reshape(n, outputs)
    mean = weights[0] @ means[0]
    covariance = np.zeros((outputs, outputs))
    for m in range(3):
        inside = np.diag(scales[0, m] ** 2)
        if correlations is not None:
            inside[0, 1] = inside[1, 0] = correlations[0, m] * scales[0, m].prod()
        covariance += weights[0, m] * (inside + np.outer(means[0, m] - mean, means[0, m] - mean))
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(drawn.mean(0), mean, atol=5 * spread.max() / n**0.5)
    np.testing.assert_allclose(
        np.cov(drawn.T).reshape(outputs, outputs), covariance, atol=0.05 * spread.max() ** 2
    )


def test_equal_heads_are_equal_and_pickle():
    for make in (
        lambda: heads.classification(3), lambda: heads.regression(2),
        lambda: heads.quantiles(LEVELS), lambda: heads.mixture(2),
    ):  # fmt: skip
        assert make() == make()
        assert pickle.loads(pickle.dumps(make())) == make()
    assert heads.classification(3) != heads.classification(4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: heads.classification(1), r"^classes: expected 2 or more, got 1"),
        (lambda: heads.classification(2.5), r"^classes: "),
        (lambda: heads.regression(0), r"^outputs: "),
        (lambda: heads.quantiles([0.5, 0.1]), r"^levels: expected rising"),
        (lambda: heads.quantiles(0.5), r"^levels: expected a list"),
        (lambda: heads.mixture(0), r"^components: "),
        (lambda: heads.mixture(1, smallest_scale=-1), r"^smallest_scale: "),
        (lambda: heads.mixture(2).loss(jnp.zeros((3, 5)), jnp.zeros(3)), r"^outputs: .*6"),
        (lambda: heads.mixture(2).loss(jnp.zeros((3, 6)), jnp.zeros(4)), r"^targets: .*\(3,\)"),
        (lambda: heads.mixture(2, 2).distribution(jnp.zeros(12)).quantiles([0.5]), r"^quantiles: "),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
