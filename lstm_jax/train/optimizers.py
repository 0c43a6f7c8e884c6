"""Optimizers by name, with clipping and a learning-rate schedule, all from Optax."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lstm_jax._internal import calls, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.numerics import wide

# RMSprop's decay is 0.9, as in Arjovsky et al. 2016 and in Tallec & Ollivier 2018 (chrono).
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "sgd": optax.sgd,
    "momentum": functools.partial(optax.sgd, momentum=0.9),
    "rmsprop": functools.partial(optax.rmsprop, decay=0.9),
}
SCHEDULES = ("constant", "cosine", "linear")


def optimizer(
    name: str,
    learning_rate: Any,
    *,
    clip: float | None = None,
    clip_value: float | None = None,
    schedule: str = "constant",
    warmup: int = 0,
    steps: int | None = None,
) -> optax.GradientTransformation:
    """The optimizer ``name``: "adam", "adamw", "sgd", "momentum" (of 0.9), "rmsprop" (decay 0.9).

    Args:
        name: may have options of Optax, such as ``"rmsprop(decay=0.99)"`` or
            ``"adamw(weight_decay=0.01)"``.
        learning_rate: a positive number, or a scalar array, which may be traced: inside ``jit`` or
            ``vmap`` each run then has a rate of its own.
        clip: the largest global norm of the gradient, to which larger ones are scaled down; None
            for no limit.
        clip_value: the largest magnitude of each entry, clipped before the norm is taken; None for
            no limit.
        schedule: the factor of the rate at update n = 0, 1, ...: "constant" is 1; "cosine" and
            "linear" fall from 1 at n = warmup to 0 at n = steps, and stay there.
        warmup: the number of updates over which the rate first rises, as ``(n + 1) / warmup``, so
            that no update has a rate of zero.
        steps: the total number of updates; only "cosine" and "linear" need it.

    Raises:
        ValueError or TypeError: naming the argument.
    """
    kind, options = calls.parse("name", name, OPTIMIZERS)
    factory = OPTIMIZERS[kind]
    accepted = inspect.signature(factory).parameters.keys() - {"learning_rate"}
    for option in options:
        checking.choice(f"name: the option of {kind}", option, sorted(accepted))
    if options:
        _require_update(name, functools.partial(factory, **options))
    rate = _rate(learning_rate)
    share = _share(schedule, warmup, steps)
    parts = []
    if clip_value is not None:
        parts.append(optax.clip(_positive("clip_value", clip_value)))
    if clip is not None:
        parts.append(_clip_by_norm(_positive("clip", clip)))
    scheduled = rate if share is None else lambda count: rate * share(count)
    return optax.chain(*parts, factory(scheduled, **options))


def _clip_by_norm(limit: float) -> optax.GradientTransformation:
    """Optax's, with the norm in float32 or wider: sums of float16 squares soon overflow."""
    inner = optax.clip_by_global_norm(limit)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        clipped, state = inner.update(
            jax.tree.map(lambda leaf: wide(jnp.asarray(leaf)), updates), state, params
        )
        return jax.tree.map(lambda new, old: new.astype(old.dtype), clipped, updates), state

    return optax.GradientTransformation(inner.init, update)


def _require_update(name: str, factory: Callable[..., optax.GradientTransformation]) -> None:
    """Raises ValueError for options whose values make no update, which Optax reports only when it
    makes one; nothing is computed."""

    def update(params: dict[str, jax.Array]) -> Any:
        made = factory(1.0)
        return made.update(params, made.init(params), params)

    try:
        jax.eval_shape(update, {"w": jnp.zeros(1)})
    except Exception as error:
        raise WrongValue(
            f"name: expected options that make an update, got {name!r}: {error}"
        ) from error


def _share(schedule: str, warmup: int, steps: int | None) -> Callable[[Any], Any] | None:
    """``schedule`` for a rate of 1; None if it stays 1 throughout."""
    checking.choice("schedule", schedule, SCHEDULES)
    if warmup != 0:
        checking.positive_int("warmup", warmup)
    after = optax.constant_schedule(1.0)
    if schedule != "constant":
        if steps is None:
            raise WrongValue(
                f"steps: expected the number of updates for schedule {schedule!r}, got None"
            )
        left = checking.positive_int("steps", steps) - warmup
        if left < 1:
            raise WrongValue(f"warmup: expected fewer than steps, {steps}, got {warmup}")
        if schedule == "cosine":
            after = optax.cosine_decay_schedule(1.0, left)
        else:
            after = optax.linear_schedule(1.0, 0.0, left)
    elif warmup == 0:
        return None
    if warmup == 0:
        return after
    rising = optax.linear_schedule(1 / warmup, 1 + 1 / warmup, warmup)
    return optax.join_schedules([rising, after], [warmup])


def _rate(value: Any) -> Any:
    if isinstance(value, jax.core.Tracer):  # it has no value yet, but a shape and a dtype
        if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
            got = f"{value.dtype} of shape {value.shape}"
            raise WrongValue(f"learning_rate: expected one floating number, got {got}")
        return value
    _positive("learning_rate", value)
    return value


def _positive(argument: str, value: Any) -> float:
    number = checking.real(argument, value)
    if number <= 0:
        raise WrongValue(f"{argument}: expected a positive number, got {value!r}")
    return number
