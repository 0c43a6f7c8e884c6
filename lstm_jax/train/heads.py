"""Heads: what a network's readout means, how it is trained, and what a user gets back.

head = train.heads.classification(10)
model = train.network(lj.lstm(128), train.inputs.numbers(28), head)
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.numerics import wide
from lstm_jax.core.recipes import FactoryMade, factory
from lstm_jax.train import losses, mixtures
from lstm_jax.train.mixtures import Mixture


class _Fields(NamedTuple):
    name: str
    output_size: int
    loss: Callable[[Any, Any], jax.Array]
    answer: Callable[[jax.Array], jax.Array]
    transform: Callable[[jax.Array], jax.Array] | None = None
    distribution: Callable[[jax.Array], Mixture] | None = None


class Head(FactoryMade, _Fields):
    """What the numbers mean that a network's readout computes.

    name: the factory's call, such as "classification(10)".
    output_size: how many numbers the readout computes, O.
    loss: ``(outputs, targets) -> values``, one per target, for ``train.fit``.
    answer: from outputs to what a user wants back, such as the classes' probabilities.
    transform: from the readout ``[..., O]`` to the model's outputs; None if they are the same.
    distribution: from outputs to the forecast ``Mixture``; None for a head of another kind.
    """


@factory
def classification(classes: int) -> Head:
    """One of C classes: outputs are logits ``[..., C]``, targets integers ``[...]`` below C.

    The loss is the cross-entropy in nats, and the answers are the probabilities ``[..., C]``.

    Args:
        classes: C, at least 2.
    """
    if checking.positive_int("classes", classes) < 2:
        raise WrongValue(f"classes: expected 2 or more, got {classes}")

    def answer(outputs: jax.Array) -> jax.Array:
        return jax.nn.softmax(wide(outputs), axis=-1)

    return Head("classification", int(classes), losses.cross_entropy, answer)


@factory
def regression(outputs: int = 1) -> Head:
    """K numbers: outputs ``[..., K]``, targets ``[..., K]``, or ``[...]`` if K is 1.

    The loss is the squared error, and the answers are the forecasts, in the targets' shape:
    ``[...]`` if K is 1. ``train.fit`` takes other losses by name, such as "mae" or "huber".

    Args:
        outputs: K.
    """
    size = checking.positive_int("outputs", outputs)

    def answer(outputs: jax.Array) -> jax.Array:
        return outputs[..., 0] if size == 1 else outputs

    return Head("regression", size, losses.mse, answer)


@factory
def quantiles(levels: Sequence[float], outputs: int = 1) -> Head:
    """Quantiles of K numbers at Q levels, which never cross.

    Outputs and answers are ``[..., K, Q]``, or ``[..., Q]`` if K is 1; targets ``[..., K]``, or
    ``[...]``. The readout gives the middle quantile and the steps from each to the next, which
    a softplus makes positive. The loss is the pinball loss, averaged over the levels (Koenker &
    Bassett 1978).

    Args:
        levels: Q rising numbers between 0 and 1, such as ``[0.1, 0.5, 0.9]``.
        outputs: K.
    """
    q = losses.quantile_levels("levels", levels).size
    size = checking.positive_int("outputs", outputs)
    middle = (q - 1) // 2

    def transform(readout: jax.Array) -> jax.Array:
        if size > 1:
            readout = readout.reshape(*readout.shape[:-1], size, q)
        center = readout[..., middle : middle + 1]
        steps = jax.nn.softplus(readout)
        above = center + jnp.cumsum(steps[..., middle + 1 :], axis=-1)
        # Summed outwards from the middle, so that rounding cannot make two of them cross.
        below = center - jnp.cumsum(steps[..., :middle][..., ::-1], axis=-1)[..., ::-1]
        return jnp.concatenate([below, center, above], axis=-1)

    return Head("quantiles", size * q, losses.pinball(levels), lambda outputs: outputs, transform)


@factory
def mixture(components: int, outputs: int = 1, *, smallest_scale: float = 1e-4) -> Head:
    """A density of K numbers: a mixture of M Gaussians (Bishop 1994; Graves 2013, eq. 16 to 25).

        head = train.heads.mixture(5)
        model = train.network(lj.lstm(64), train.inputs.numbers(1), head)
        head.distribution(model.apply(params, xs)).quantiles([0.1, 0.5, 0.9])

    The loss is the negative log-density in nats, one value ``[...]`` for targets ``[..., K]``, or
    ``[...]`` if K is 1. The answers are the means of the mixtures, in the targets' shape.

    Two numbers have a correlation in each component (eq. 24); any others are independent within a
    component, though not in the mixture.

    Args:
        components: M.
        outputs: K.
        smallest_scale: is added to the scales, ``exp`` of the readout, so that no component can
            shrink to a point, where the density of a repeated target has no bound. Choose it small
            in the targets' unit.
    """
    m = checking.positive_int("components", components)
    k = checking.positive_int("outputs", outputs)
    if checking.real("smallest_scale", smallest_scale) < 0:
        raise WrongValue(f"smallest_scale: expected 0 or more, got {smallest_scale}")

    def distribution(outputs: jax.Array) -> Mixture:
        outputs = checking.float_array("outputs", outputs, "[..., O]", 1)
        return mixtures.from_readout(outputs, m, k, float(smallest_scale))

    def loss(outputs: Any, targets: Any) -> jax.Array:
        return -distribution(outputs).log_density(targets)

    def answer(outputs: jax.Array) -> jax.Array:
        return distribution(outputs).mean()

    return Head("mixture", mixtures.width(m, k), loss, answer, None, distribution)
