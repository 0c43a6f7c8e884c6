"""Losses: ``(outputs, targets) -> values``, one value per target, of which training takes the mean.

Outputs have batch axes ``[...]``, such as ``[B]`` or ``[T, B]``, which targets have too. Nothing is
broadcast: shapes that do not fit are an error that names both. There is one exception, on purpose:
one number per target may have an axis of its own, outputs ``[..., 1]`` beside targets ``[...]``.

Values are float32, or wider if the outputs are. A target that is missing has to be replaced, by any
valid one, before a loss is called, and left out of the mean after.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from lstm_jax._internal import calls, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import wide
from lstm_jax.core.typing import AnyArray

Loss = Callable[[Any, Any], jax.Array]


@default_promotion
def cross_entropy(outputs: AnyArray, targets: AnyArray) -> Float[Array, "..."]:
    """The cross-entropy of the softmax of ``outputs``, in nats.

    Args:
        outputs: logits of at least two classes. One logit per target is a matter for
            ``binary_cross_entropy``.
        targets: integers from 0 to C - 1; any other gives NaN.
    """
    outputs = wide(checking.float_array("outputs", outputs, "logits [..., C]", 1))
    if outputs.shape[-1] < 2:
        raise WrongValue(
            "outputs: expected logits [..., C] of two classes or more (binary_cross_entropy takes "
            f"one logit per target), got shape {outputs.shape}"
        )
    targets = classes(targets, outputs.shape[:-1], outputs.shape)
    is_class = (targets >= 0) & (targets < outputs.shape[-1])
    values = optax.softmax_cross_entropy_with_integer_labels(
        outputs, jnp.where(is_class, targets, 0)
    )
    return jnp.where(is_class, values, jnp.nan)


@default_promotion
def binary_cross_entropy(outputs: AnyArray, targets: AnyArray) -> jax.Array:
    """The cross-entropy of the logistic function of ``outputs``, in nats.

    Args:
        outputs: one logit per target, ``[..., 1]`` or ``[...]``; its sigmoid is the probability
            of class 1.
        targets: 0 or 1, as integers, Booleans or floats, or probabilities of class 1; any other
            number gives NaN.
    """
    outputs, targets = numbers(outputs, targets)
    values = optax.sigmoid_binary_cross_entropy(outputs, targets)
    return jnp.where((targets >= 0) & (targets <= 1), values, jnp.nan)


@default_promotion
def mse(outputs: AnyArray, targets: AnyArray) -> jax.Array:
    """The squared error; outputs of the targets' shape, or ``[..., 1]`` beside ``[...]``."""
    outputs, targets = numbers(outputs, targets)
    return jnp.square(outputs - targets)


@default_promotion
def mae(outputs: AnyArray, targets: AnyArray) -> jax.Array:
    """The absolute error; outputs of the targets' shape, or ``[..., 1]`` beside ``[...]``."""
    outputs, targets = numbers(outputs, targets)
    return jnp.abs(outputs - targets)


@default_promotion
def huber(outputs: AnyArray, targets: AnyArray, *, delta: float = 1.0) -> jax.Array:
    """Half the squared error up to an error of ``delta``, and linear beyond it (Huber 1964)."""
    outputs, targets = numbers(outputs, targets)
    if checking.real("delta", delta) <= 0:
        raise WrongValue(f"delta: expected a positive number, got {delta!r}")
    return optax.huber_loss(outputs, targets, delta=float(delta))


@default_promotion
def qlike(outputs: AnyArray, targets: AnyArray, *, log_outputs: bool = False) -> jax.Array:
    """``r - ln r - 1`` of the ratio r of a variance to its forecast: never negative, zero if they
    are equal (Patton 2011, section 3: the robust loss of degree b = -2).

    Its expectation is least for the true variance even if the targets are noisy estimates of it.

    Args:
        outputs: forecasts, which must be positive; or their logarithms.
        targets: positive variances; zero gives infinity, and a negative one NaN.
        log_outputs: whether ``outputs`` are logarithms, in which the loss is convex.
    """
    outputs, targets = numbers(outputs, targets)
    logs = outputs if checking.flag("log_outputs", log_outputs) else jnp.log(outputs)
    log_ratio = jnp.log(targets) - logs
    # exp(d) - d - 1, which loses its digits near zero if it is written so.
    return jnp.expm1(log_ratio) - log_ratio


def pinball(levels: Sequence[float]) -> Loss:
    """The loss of quantile forecasts, averaged over ``levels`` (Koenker & Bassett 1978).

    Of one level q it is ``q e`` for an error e = target - output above zero and ``(q - 1) e`` below
    it, least in expectation if the output is the target's quantile q. Outputs are ``[..., Q]``, one
    for each level in turn, and targets ``[...]``: so ``[B, K, Q]`` beside ``[B, K]`` for K targets.

        loss = pinball([0.1, 0.5, 0.9])
        loss(outputs, targets)  # [B, 3] and [B] give [B]

    Args:
        levels: rising, each between 0 and 1.
    """
    q = quantile_levels("levels", levels)

    def loss(outputs: AnyArray, targets: AnyArray) -> jax.Array:
        return pinball_of_levels(outputs, targets, q).mean(axis=-1)

    return loss


@default_promotion
def pinball_of_levels(outputs: AnyArray, targets: AnyArray, levels: np.ndarray) -> jax.Array:
    """The pinball loss of each of the levels, which have been checked: ``[..., Q]``."""
    outputs, targets = quantiles(outputs, targets, levels.size)
    errors = targets[..., None] - outputs
    q = jnp.asarray(levels, outputs.dtype)
    return jnp.maximum(q * errors, (q - 1) * errors)


LOSSES: dict[str, Callable[..., Any]] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": mse,
    "mae": mae,
    "huber": huber,
    "qlike": qlike,
    "pinball": pinball,
}
FACTORIES = ("pinball",)  # which return a loss, from options that they need


def resolve(loss: str | Loss) -> Loss:
    """The loss of that name, or ``loss`` itself if it is a function.

    Args:
        loss: "cross_entropy", "binary_cross_entropy", "mse", "mae", "huber" or "qlike", perhaps
            with options, such as ``"huber(delta=0.5)"`` and ``"pinball(levels=(0.1, 0.9))"``; or a
            function ``(outputs, targets) -> values``.

    Raises:
        ValueError or TypeError: naming the argument.
    """
    if callable(loss):
        return loss
    if not isinstance(loss, str):
        raise WrongType(f"loss: expected a name or a function, got {type(loss).__name__}")
    return _by_name(loss)


@functools.lru_cache(maxsize=64)
def _by_name(loss: str) -> Loss:
    """Cached, so that programs compiled for a loss with options serve the next call too."""
    name, options = calls.parse("loss", loss, LOSSES)
    function = LOSSES[name]
    if name in FACTORIES:
        return calls.call(name, function, **options)
    for option in options:
        accepted = [*inspect.signature(function).parameters][2:]
        if option not in accepted:
            raise WrongValue(
                f"loss: expected {name} with {' or '.join(accepted) or 'no options'}, got {loss!r}"
            )
    return functools.partial(function, **options) if options else function


def numbers(outputs: Any, targets: Any) -> tuple[jax.Array, jax.Array]:
    """Outputs and targets as floats of one shape, the targets', checked.

    Raises ValueError for other shapes than equal ones and ``[..., 1]`` beside ``[...]``.
    """
    outputs = wide(checking.float_array("outputs", outputs, "numbers [...]", 0))
    targets = checking.array("targets", targets)
    if outputs.shape == (*targets.shape, 1):
        outputs = outputs[..., 0]
    if outputs.shape != targets.shape:
        raise WrongValue(
            f"targets: expected the outputs' shape {outputs.shape}"
            f"{_without_last(outputs.shape)}, got {targets.shape}"
        )
    if jnp.issubdtype(targets.dtype, jnp.complexfloating):
        raise WrongValue(f"targets: expected real numbers, got dtype {targets.dtype.name}")
    return outputs, targets.astype(outputs.dtype)


def _without_last(shape: tuple[int, ...]) -> str:
    return f", or {shape[:-1]} without its last axis" if shape[-1:] == (1,) else ""


def classes(targets: Any, shape: tuple[int, ...], of_outputs: tuple[int, ...]) -> jax.Array:
    """Targets as integers of ``shape``, checked; ``of_outputs`` is for the error."""
    targets = checking.array("targets", targets)
    if targets.shape != shape:
        raise WrongValue(
            f"targets: expected shape {shape}, that of outputs {of_outputs} without the classes, "
            f"got {targets.shape}"
        )
    if not jnp.issubdtype(targets.dtype, jnp.integer) and targets.dtype != jnp.bool_:
        raise WrongValue(f"targets: expected classes, as integers, got dtype {targets.dtype.name}")
    return targets.astype(jnp.promote_types(targets.dtype, jnp.int32))


def quantiles(outputs: Any, targets: Any, count: int) -> tuple[jax.Array, jax.Array]:
    """Outputs ``[..., Q]`` and targets ``[...]`` as floats, checked; ``count`` is Q."""
    outputs = wide(checking.float_array("outputs", outputs, "quantiles [..., Q]", 1))
    targets = checking.array("targets", targets)
    if outputs.shape[-1] != count:
        raise WrongValue(
            f"outputs: expected quantiles [..., {count}], one for each level, "
            f"got shape {outputs.shape}"
        )
    if outputs.shape[:-1] != targets.shape:
        raise WrongValue(
            f"targets: expected shape {outputs.shape[:-1]}, that of outputs {outputs.shape} "
            f"without the levels, got {targets.shape}"
        )
    return outputs, targets.astype(outputs.dtype)


def quantile_levels(argument: str, levels: Any) -> np.ndarray:
    """``levels`` as an array ``[Q]`` of rising numbers between 0 and 1, checked."""
    if isinstance(levels, str) or np.ndim(levels) != 1 or len(levels) == 0:
        raise WrongValue(f"{argument}: expected a list such as [0.1, 0.5, 0.9], got {levels!r}")
    q = np.array([checking.real(argument, level) for level in levels])
    if q.min() <= 0 or q.max() >= 1 or (np.diff(q) <= 0).any():
        raise WrongValue(f"{argument}: expected rising numbers between 0 and 1, got {levels!r}")
    return q
