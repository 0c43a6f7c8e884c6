"""Mixtures of Gaussians that a network computes: mixture density networks (Bishop 1994).

In the notation of Graves 2013, section 4.2, with M components of K numbers.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Key

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import wide
from lstm_jax.train import losses

# Of the inverse hyperbolic tangent of a correlation: beyond it, float32 has no digits of 1 - rho^2.
STEEPEST = 8.0
HALVINGS = 60  # of the interval in which a quantile is searched: more than float32 has digits


class Mixture(NamedTuple):
    """A mixture of Gaussians for each target.

    log_weights: the logarithms of the components' probabilities.
    means, scales: of each component and number; a scale is a standard deviation.
    correlation_arguments: of two numbers, ``artanh`` of their correlation in each component; None
        for any other K, whose numbers are independent within a component.
    """

    log_weights: Float[Array, "*batch M"]
    means: Float[Array, "*batch M K"]
    scales: Float[Array, "*batch M K"]
    correlation_arguments: Float[Array, "*batch M"] | None

    @property
    def correlations(self) -> Float[Array, "*batch M"] | None:
        """Of the two numbers, in each component; None for any other K."""
        arguments = self.correlation_arguments
        return None if arguments is None else jnp.tanh(arguments)

    @default_promotion
    def log_density(self, targets: Any) -> Float[Array, "*batch"]:
        """The logarithm of the density at ``targets [*batch, K]``, or ``[*batch]`` if K is 1."""
        targets = self._targets(targets)
        scales = self.scales
        z = (targets[..., None, :] - self.means) / scales
        log_norm = jnp.sum(jnp.log(scales), axis=-1) + z.shape[-1] / 2 * math.log(2 * math.pi)
        if self.correlation_arguments is None:
            square = jnp.sum(jnp.square(z), axis=-1)
        else:
            # Graves's Z / (1 - rho^2), eq. 25, as a sum of squares: with rho = tanh(a), the first
            # is (z1 - rho z2)^2 cosh(a)^2, and 1 - rho^2 is 1 / cosh(a)^2. Nothing cancels.
            a, z1, z2 = self.correlation_arguments, z[..., 0], z[..., 1]
            first = ((z1 - z2) * jnp.exp(a) + (z1 + z2) * jnp.exp(-a)) / 2
            square = jnp.square(first) + jnp.square(z2)
            log_norm -= jnp.logaddexp(a, -a) - math.log(2)
        return jax.nn.logsumexp(self.log_weights - log_norm - square / 2, axis=-1)

    def mean(self) -> Float[Array, "..."]:
        """``[*batch, K]``, or ``[*batch]`` if K is 1."""
        mean = jnp.sum(jnp.exp(self.log_weights)[..., None] * self.means, axis=-2)
        return mean[..., 0] if mean.shape[-1] == 1 else mean

    @default_promotion
    def cdf(self, targets: Any) -> Float[Array, "*batch"]:
        """The probability of a number up to ``targets [*batch]``; for K = 1."""
        self._require_one("cdf")
        z = (self._targets(targets) - self.means[..., 0]) / self.scales[..., 0]
        return jnp.sum(jnp.exp(self.log_weights) * norm.cdf(z), axis=-1)

    @default_promotion
    def quantiles(self, levels: Any) -> Float[Array, "*batch Q"]:
        """The numbers below which there is a probability of each of ``levels [Q]``; for K = 1.

        They lie between the components' quantiles, and are found by bisection, without a gradient.
        """
        self._require_one("quantiles")
        q = jnp.asarray(losses.quantile_levels("levels", levels), self.means.dtype)
        mixture = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf)[..., None, :], Mixture(
            self.log_weights, self.means[..., 0], self.scales[..., 0], None))  # fmt: skip
        of_components = mixture.means + mixture.scales * norm.ppf(q)[:, None]
        low, high = of_components.min(axis=-1), of_components.max(axis=-1)

        def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            low, high = ends
            middle = low + (high - low) / 2
            z = (middle[..., None] - mixture.means) / mixture.scales
            below = jnp.sum(jnp.exp(mixture.log_weights) * norm.cdf(z), axis=-1) < q
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        low, high = jax.lax.fori_loop(0, HALVINGS, halve, (low, high))
        return high

    @default_promotion
    def sample(self, key: Key[Array, ""]) -> Float[Array, "..."]:
        """One draw for each target: ``[*batch, K]``, or ``[*batch]`` if K is 1."""
        key_which, key_where = jax.random.split(checking.random_key("key", key))
        which = jax.random.categorical(key_which, self.log_weights)[..., None]
        mean, scale = (
            jnp.take_along_axis(leaf, which[..., None], axis=-2)[..., 0, :]
            for leaf in (self.means, self.scales)
        )
        z = jax.random.normal(key_where, mean.shape, mean.dtype)
        if self.correlation_arguments is not None:
            a = jnp.take_along_axis(self.correlation_arguments, which, axis=-1)[..., 0]
            # z2 given z1: rho z1 + sqrt(1 - rho^2) z
            second = jnp.tanh(a) * z[..., 0] + z[..., 1] / jnp.cosh(a)
            z = jnp.stack([z[..., 0], second], axis=-1)
        drawn = mean + scale * z
        return drawn[..., 0] if drawn.shape[-1] == 1 else drawn

    def _targets(self, targets: Any) -> jax.Array:
        targets = checking.array("targets", targets)
        *batch, _, count = self.means.shape
        if count == 1 and targets.shape == tuple(batch):
            targets = targets[..., None]
        if targets.shape != (*batch, count):
            wanted = (*batch, count) if count > 1 else tuple(batch)
            raise WrongValue(f"targets: expected shape {wanted}, got {targets.shape}")
        return targets.astype(self.means.dtype)

    def _require_one(self, what: str) -> None:
        if self.means.shape[-1] != 1:
            raise WrongValue(
                f"{what}: expected a mixture of one number, got one of {self.means.shape[-1]}"
            )


def width(components: int, outputs: int) -> int:
    """How many numbers describe a mixture of M components of K numbers."""
    return components * (1 + 2 * outputs + (outputs == 2))


@default_promotion
def from_readout(
    readout: jax.Array, components: int, outputs: int, smallest_scale: float
) -> Mixture:
    """The mixture that ``readout [*batch, O]`` describes (Graves 2013, eq. 18 to 22): weights by a
    softmax, means as they are, scales by an exponential, and correlations by a tanh."""
    readout = wide(readout)
    if readout.shape[-1] != width(components, outputs):
        raise WrongValue(
            f"outputs: expected [..., {width(components, outputs)}], got shape {readout.shape}"
        )
    m, n = components, components * outputs
    shape = (*readout.shape[:-1], components, outputs)
    arguments = None
    if outputs == 2:
        arguments = jnp.clip(readout[..., m + 2 * n :], -STEEPEST, STEEPEST)
    return Mixture(
        jax.nn.log_softmax(readout[..., :m], axis=-1),
        readout[..., m : m + n].reshape(shape),
        jnp.exp(readout[..., m + n : m + 2 * n].reshape(shape)) + smallest_scale,
        arguments,
    )
