"""Metrics: the numbers that are reported, by name, as a ``Metric`` or as a function.

``outputs`` are what the loss is computed from: logits of classes ``[..., C]``; one logit,
``[..., 1]`` or ``[...]``, whose sigmoid is the probability of class 1; numbers; or quantiles
``[..., Q]``. As in ``losses``, nothing is broadcast.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import calls, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray
from lstm_jax.train import losses, scoring
from lstm_jax.train.series import values


class Metric(NamedTuple):
    """A number that says how good outputs are. It has ``of_target`` or ``of_all``, not both.

    name: what tables call it.
    higher_is_better: None if neither is, or if nobody has said: then nothing can be chosen by it.
    of_target: ``(outputs, targets) -> values``, one per target like a loss, in jax.numpy. They are
        averaged over the targets that count.
    finish: of that mean, such as ``math.sqrt`` for the root of a mean square.
    of_all: ``(outputs [M, ...], targets [M, ...]) -> float`` of all targets that count at once, in
        NumPy, for what is no mean over targets.
    """

    name: str
    higher_is_better: bool | None
    of_target: Callable[[Any, Any], jax.Array] | None = None
    finish: Callable[[float], float] = float
    of_all: Callable[[Any, Any], float] | None = None


def pinball(levels: Sequence[float]) -> Metric:
    """The pinball loss, averaged over ``levels``, of quantiles ``[..., Q]``."""
    return Metric("pinball", False, losses.pinball(levels))


def crps(levels: Sequence[float]) -> Metric:
    """The continuous ranked probability score of quantiles ``[..., Q]``, in the targets' unit.

    It is twice the integral of the pinball loss over all levels (Gneiting & Ranjan 2011, eq. 7),
    here a sum in which each level stands for those that are nearer to it than to the others: exact
    for levels ``(i - 1/2) / Q``, and otherwise the better the more levels there are.
    """
    q = losses.quantile_levels("levels", levels)
    bounds = np.concatenate([[0.0], (q[1:] + q[:-1]) / 2, [1.0]])

    @default_promotion
    def of_target(outputs: AnyArray, targets: AnyArray) -> jax.Array:
        of_levels = losses.pinball_of_levels(outputs, targets, q)
        return (of_levels * jnp.asarray(2 * np.diff(bounds), of_levels.dtype)).sum(axis=-1)

    return Metric("crps", False, of_target)


def coverage(low: float, high: float, *, levels: Sequence[float] | None = None) -> Metric:
    """The share of targets from the quantile ``low`` to the quantile ``high``, ends included.

    It should be near ``high - low``: neither higher nor lower is better.

    Args:
        low, high: two of the levels.
        levels: those of the outputs ``[..., Q]``; by default these two.
    """
    q = losses.quantile_levels("levels", (low, high) if levels is None else levels)
    first, last = _place_of("low", low, q), _place_of("high", high, q)
    if low >= high:
        raise WrongValue(f"high: expected a level above low, {low!r}, got {high!r}")

    @default_promotion
    def of_target(outputs: AnyArray, targets: AnyArray) -> jax.Array:
        outputs, targets = losses.quantiles(outputs, targets, q.size)
        lower, upper = outputs[..., first], outputs[..., last]
        inside = ((lower <= targets) & (targets <= upper)).astype(outputs.dtype)
        return jnp.where(jnp.isnan(lower) | jnp.isnan(upper), jnp.nan, inside)

    return Metric(f"coverage({low:g}, {high:g})", None, of_target)


def mase(training: Any, season: int = 1) -> Metric:
    """The mean absolute scaled error (Hyndman & Koehler 2006, eq. 7): below 1 is better than the
    one-step forecasts of the seasonal naive method on the training series.

    Args:
        training: the series ``[T]``, or ``[T, K]`` beside targets ``[..., K]``, each of which has
            its own scale; in the targets' unit and order of time. Pairs with NaN do not count.
        season: the steps after which the naive method repeats a value; 1 repeats the last one.
    """
    series = values.numbers("training", training)
    season = checking.positive_int("season", season)
    if season >= len(series):
        raise WrongValue(f"season: expected fewer steps than training has, {len(series)}, "
                         f"got {season}")  # fmt: skip
    steps = np.abs(series[season:] - series[:-season])
    known = ~np.isnan(steps)
    scale = np.where(known, steps, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    for column, size in enumerate(np.atleast_1d(scale)):
        if not size > 0 or math.isinf(size):
            where = "" if series.ndim == 1 else f" in column {column}"
            raise WrongValue(f"training: expected finite numbers that differ from those {season} "
                             f"steps before{where}, got a mean difference of {size}")  # fmt: skip

    @default_promotion
    def of_target(outputs: AnyArray, targets: AnyArray) -> jax.Array:
        errors = losses.mae(outputs, targets)
        if scale.ndim and errors.shape[-1:] != scale.shape:
            raise WrongValue(f"targets: expected [..., {scale.size}], one for each column of "
                             f"training, got shape {errors.shape}")  # fmt: skip
        return errors / jnp.asarray(scale, errors.dtype)

    return Metric("mase", False, of_target)


def qlike(*, log_outputs: bool = False) -> Metric:
    """The QLIKE of forecasts of a variance (``losses.qlike``), or of their logarithms."""
    checking.flag("log_outputs", log_outputs)
    return Metric("qlike", False, functools.partial(losses.qlike, log_outputs=log_outputs))


def at_level(metric: Any, level: float, *, levels: Sequence[float]) -> Metric:
    """``metric`` of one of the quantiles ``[..., Q]``, such as "rmse" of the median.

    Args:
        metric: as in ``resolve``.
        level: one of ``levels``.
        levels: those of the outputs.
    """
    inner = resolve(metric)
    q = losses.quantile_levels("levels", levels)
    place = _place_of("level", level, q)

    def column(outputs: Any) -> Any:
        if np.shape(outputs)[-1:] != q.shape:
            raise WrongValue(f"outputs: expected quantiles [..., {q.size}], one for each level, "
                             f"got shape {np.shape(outputs)}")  # fmt: skip
        return outputs[..., place]

    of_target, of_all = inner.of_target, inner.of_all
    return inner._replace(
        of_target=of_target and (lambda outputs, targets: of_target(column(outputs), targets)),
        of_all=of_all and (lambda outputs, targets: of_all(column(outputs), targets)),
    )


def measure(metrics: Any, outputs: Any, targets: Any) -> dict[str, float]:
    """The value of each metric, by its name, of outputs that are there already, such as the
    forecasts of a baseline; ``train.evaluate`` takes a model.

    Args:
        metrics: one or several, as in ``resolve``.
        outputs: ``[N, ...]``.
        targets: ``[N]`` or ``[N, K]``. Those that are missing, NaN or the class -1, do not count;
            nor does a row with one of them where a metric takes all targets at once.
    """
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    whole = np.issubdtype(targets.dtype, np.integer)
    counts = (targets != -1) if whole else ~np.isnan(targets)
    if not counts.any():
        raise WrongValue(f"targets: expected one or more that are not missing, got none of shape "
                         f"{targets.shape}")  # fmt: skip
    present = np.where(counts, targets, np.zeros((), targets.dtype))
    rows = counts.reshape(len(counts), -1).all(axis=1)
    found = {}
    for metric in resolve_all(metrics):
        if metric.of_all is not None:
            found[metric.name] = metric.of_all(outputs[rows], targets[rows])
        elif metric.of_target is not None:
            values = np.asarray(metric.of_target(outputs, present), np.float64)
            found[metric.name] = metric.finish(float(values[counts].mean()))
    return found


def _place_of(argument: str, level: Any, levels: np.ndarray) -> int:
    if checking.real(argument, level) not in levels:
        raise WrongValue(f"{argument}: expected one of levels, {levels.tolist()}, got {level!r}")
    return int(np.flatnonzero(levels == level)[0])


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _bits(value: float) -> float:
    return value / math.log(2)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("mse", False, losses.mse),
        Metric("rmse", False, losses.mse, finish=math.sqrt),
        Metric("mae", False, losses.mae),
        Metric("r2", True, of_all=scoring.r2),
        Metric("accuracy", True, scoring.is_correct),
        Metric("f1", True, of_all=scoring.f1),
        Metric("f1_macro", True, of_all=scoring.f1_macro),
        Metric("auc", True, of_all=scoring.auc),
        Metric("cross_entropy", False, losses.cross_entropy),
        Metric("binary_cross_entropy", False, losses.binary_cross_entropy),
        Metric("perplexity", False, losses.cross_entropy, finish=_exp),
        Metric("bits", False, losses.cross_entropy, finish=_bits),
    )
}
FACTORIES: dict[str, Callable[..., Metric]] = {
    "pinball": pinball,
    "crps": crps,
    "coverage": coverage,
    "qlike": qlike,
}


def resolve(metric: str | Metric | Callable[[Any, Any], float]) -> Metric:
    """The metric of that name, or made from a function.

    Args:
        metric: "mse", "rmse", "mae", "r2", "accuracy", "f1" (of class 1 of two), "f1_macro", "auc"
            (one class against the rest, averaged, if there are more than two), "cross_entropy" and
            "binary_cross_entropy" in nats, "perplexity", "bits" per target, "qlike", or a factory
            with its options, such as ``"pinball(levels=(0.1, 0.9))"``; a ``Metric``; or a function
            ``(outputs, targets) -> float`` in NumPy of all targets at once, of which nobody knows
            whether higher is better.

    Raises:
        ValueError or TypeError: naming the argument.
    """
    if isinstance(metric, Metric):
        if (metric.of_target is None) == (metric.of_all is None):
            raise WrongValue(f"metrics: expected {metric.name} with of_target or of_all, "
                             f"got {'neither' if metric.of_all is None else 'both'}")  # fmt: skip
        return metric
    if isinstance(metric, str):
        return _by_name(metric)
    if callable(metric):
        return _from_function(metric)
    kind = type(metric).__name__
    raise WrongType(f"metrics: expected names, Metrics or functions, got {kind}")


@functools.lru_cache(maxsize=64)
def _by_name(metric: str) -> Metric:
    """Cached, so that programs compiled for a metric with options serve the next call too."""
    name, options = calls.parse("metrics", metric, (*METRICS, *FACTORIES))
    if name in FACTORIES:
        return calls.call(name, FACTORIES[name], **options)
    if options:
        raise WrongValue(f"metrics: expected {name} without options, got {metric!r}")
    return METRICS[name]


def resolve_all(metrics: Any) -> tuple[Metric, ...]:
    """All of ``metrics``, one or several, whose names must differ."""
    several = isinstance(metrics, Iterable) and not isinstance(metrics, str | Metric)
    resolved = tuple(resolve(metric) for metric in (metrics if several else (metrics,)))
    names = [metric.name for metric in resolved]
    twice = [name for n, name in enumerate(names) if name in names[:n]]
    if twice:
        raise WrongValue(f"metrics: expected different names, got {twice[0]!r} twice")
    return resolved


def _from_function(function: Callable[[Any, Any], float]) -> Metric:
    name = getattr(getattr(function, "func", function), "__name__", type(function).__name__)
    try:
        first = next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):  # of some callables written in C
        first = None
    if first == "y_true":  # of scikit-learn, whose order would be silently wrong
        raise WrongValue(f"metrics: expected a function (outputs, targets), got {name}(y_true, "
                         f"...): wrap it, as in lambda outputs, targets: {name}(targets, outputs)"
                         )  # fmt: skip

    def of_all(outputs: np.ndarray, targets: np.ndarray) -> float:
        value = function(outputs, targets)
        if np.ndim(value) != 0:
            raise WrongValue(f"metrics: expected one number from {name}, "
                             f"got shape {np.shape(value)}")  # fmt: skip
        return float(value)

    return Metric(name, None, of_all=of_all)
