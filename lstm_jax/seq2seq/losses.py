"""Training losses of sequence-to-sequence models, and schedules for scheduled sampling."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import wide
from lstm_jax.core.typing import AnyArray
from lstm_jax.decode.stepping import pick

Schedule = Callable[[AnyArray | int], jax.Array]


@default_promotion
def cross_entropy(
    log_probabilities: Float[AnyArray, "T B V"],
    targets: Integer[AnyArray, "T B"],
    *,
    lengths: Integer[AnyArray, "B"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Array, ""]:
    """The mean cross-entropy of a token, in nats; tokens past a row's length do not count.

    The mean is float32, or wider if the logarithms are, and so are the sums behind it.
    A target of probability zero, or outside the vocabulary, gives infinity; no tokens at all give
    zero.

    Args:
        log_probabilities: of each token of the vocabulary at each step.
        targets: the tokens to be predicted.
        lengths: outside [0, T] they are an error if they are known, and clipped if they are traced.
        label_smoothing: the share of the target's probability that is spread evenly over all
            possible tokens, those of a probability above zero (Szegedy et al. 2016, section 7).

    Raises:
        ValueError or TypeError: naming the argument.
    """
    logs = wide(checking.float_array("log_probabilities", log_probabilities, "[T, B, V]", 3))
    targets = checking.array("targets", targets)
    if not jnp.issubdtype(targets.dtype, jnp.integer) or targets.shape != logs.shape[:-1]:
        raise WrongValue(
            f"targets: expected integers of {logs.shape[:-1]}, got {targets.dtype.name} "
            f"of shape {targets.shape}"
        )
    smoothing = checking.rate("label_smoothing", label_smoothing)
    counts = jnp.ones(targets.shape, bool)
    if lengths is not None:
        bound = checking.lengths(lengths, targets.shape[0], targets.shape[1:])
        counts = jnp.arange(targets.shape[0])[:, None] < bound
    losses = -pick(logs, jnp.where(counts, targets, 0))
    if smoothing:
        possible = logs > -jnp.inf
        evenly = -jnp.where(possible, logs, 0).sum(-1) / jnp.maximum(possible.sum(-1), 1)
        losses = (1 - smoothing) * losses + smoothing * evenly
    return jnp.where(counts, losses, 0).sum() / jnp.maximum(counts.sum(), 1)


def linear_decay(slope: float, *, floor: float = 0.0, offset: float = 1.0) -> Schedule:
    """A schedule ``step -> p``, with ``1 - p = max(floor, offset - slope step)``.

    Here and in the other schedules p is the probability that a model reads its own last prediction
    and not the target; 1 - p is the epsilon of Bengio et al. 2015, section 2.4.
    """
    slope, offset = checking.real("slope", slope), checking.real("offset", offset)
    if not 0 <= checking.real("floor", floor) <= 1:
        raise WrongValue(f"floor: expected a probability, got {floor}")
    return lambda step: 1.0 - jnp.clip(offset - slope * _real(step), floor, 1.0)


def exponential_decay(base: float) -> Schedule:
    """A schedule with ``1 - p = base ** step``, base in (0, 1); see ``linear_decay``."""
    if not 0 < checking.real("base", base) < 1:
        raise WrongValue(f"base: expected a number between 0 and 1, got {base}")
    return lambda step: 1.0 - base ** _real(step)


def inverse_sigmoid_decay(k: float) -> Schedule:
    """A schedule with ``1 - p = k / (k + exp(step / k))``, k >= 1; see ``linear_decay``."""
    if checking.real("k", k) < 1:
        raise WrongValue(f"k: expected 1 or more, got {k}")
    return lambda step: jax.nn.sigmoid(_real(step) / k - jnp.log(k))  # exp(step / k) overflows


@default_promotion
def _real(step: AnyArray | int) -> jax.Array:
    return jnp.asarray(step, jnp.float32)
