"""Scalers: fitted on the training part alone, then applied to any part, and inverted on forecasts.

scaler = series.standard()
scale = scaler.fit(values[:train])
scaled = scaler.apply(scale, values)
forecasts = scaler.invert(scale.column(0), outputs)  # of the column that is forecast
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.train.series import values as series


class Scale(NamedTuple):
    """What a scaler has found: ``apply`` gives ``(values - shift) / size``.

    shift, size: one number per column ``[D]``; or one for all ``[]``, of a series ``[T]``.
    """

    shift: np.ndarray
    size: np.ndarray

    def column(self, column: int) -> "Scale":
        """The scale of one column, for values of any shape."""
        if np.ndim(self.shift) != 1:
            raise WrongValue("column: expected a scale of several columns, got that of one")
        column = series.column_of("column", column, len(self.shift))
        return Scale(self.shift[column], self.size[column])


class Scaler(NamedTuple):
    """Pure functions.

    fit: ``(values) -> scale``, of a series ``[T]`` or ``[T, D]``; NaN does not count.
    apply: ``(scale, values) -> scaled``, of values ``[..., D]``, or of any shape if the scale is
        one number. NaN stays NaN.
    invert: ``(scale, scaled) -> values``.

    ``apply`` and ``invert`` return NumPy's float64 for what NumPy takes, and JAX arrays of the same
    dtype for JAX arrays, also under ``jit``.
    """

    fit: Callable[[Any], Scale]
    apply: Callable[[Scale, Any], Any]
    invert: Callable[[Scale, Any], Any]


def standard() -> Scaler:
    """To mean 0 and standard deviation 1; a constant column becomes 0."""

    def fit(values: Any) -> Scale:
        values, constant = _columns(values)
        size = np.nanstd(values, axis=0)
        return Scale(np.nanmean(values, axis=0), np.where(constant, 1.0, size))

    return Scaler(fit, _apply, _invert)


def minmax(low: float = 0.0, high: float = 1.0) -> Scaler:
    """To ``low`` for the smallest number and ``high`` for the largest; a constant column becomes
    ``low``. Later numbers may fall outside."""
    low, high = checking.real("low", low), checking.real("high", high)
    if low >= high:
        raise WrongValue(f"high: expected a number above low, {low}, got {high}")

    def fit(values: Any) -> Scale:
        values, constant = _columns(values)
        least = np.nanmin(values, axis=0)
        size = np.where(constant, 1.0, (np.nanmax(values, axis=0) - least) / (high - low))
        return Scale(least - low * size, size)

    return Scaler(fit, _apply, _invert)


def log(offset: float = 0.0) -> Scaler:
    """The logarithm of ``values + offset``, then ``standard``: for what grows by shares.

    Numbers at or below ``-offset`` have no logarithm: an error that names the first, or under
    ``jit`` NaN and minus infinity.
    """
    offset = checking.real("offset", offset)
    inner = standard()

    def logarithm(values: Any) -> Any:
        if isinstance(values, jax.Array):
            return jnp.log(values + offset)
        values = np.asarray(values, np.float64) + offset
        if (values <= 0).any():
            place = tuple(int(n) for n in np.argwhere(values <= 0)[0])
            raise WrongValue(
                f"values: expected numbers above {0 - offset:g}, which have a logarithm, "
                f"got {values[place] - offset:g} at {place}"
            )
        return np.log(values)

    def fit(values: Any) -> Scale:
        return inner.fit(logarithm(series.numbers("values", values)))

    @default_promotion
    def apply(scale: Scale, values: Any) -> Any:
        return _apply(scale, logarithm(_fitting(scale, values)))

    @default_promotion
    def invert(scale: Scale, values: Any) -> Any:
        logs = _invert(scale, values)
        return (jnp.exp(logs) if isinstance(logs, jax.Array) else np.exp(logs)) - offset

    return Scaler(fit, apply, invert)


@default_promotion
def _apply(scale: Scale, values: Any) -> Any:
    values = _fitting(scale, values)
    shift, size = _like(scale, values)
    return (values - shift) / size


@default_promotion
def _invert(scale: Scale, values: Any) -> Any:
    values = _fitting(scale, values)
    shift, size = _like(scale, values)
    return values * size + shift


def _like(scale: Scale, values: Any) -> tuple[Any, Any]:
    if isinstance(values, jax.Array):
        return jnp.asarray(scale.shift, values.dtype), jnp.asarray(scale.size, values.dtype)
    return scale.shift, scale.size


def _fitting(scale: Scale, values: Any) -> Any:
    """``values`` as floats whose last axis is as wide as the scale."""
    if not isinstance(scale, Scale):
        raise WrongType(f"scale: expected what fit returns, got {type(scale).__name__}")
    if not isinstance(values, jax.Array):
        try:
            values = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            raise WrongType(f"values: expected numbers, got {values!r}") from None
    elif not jnp.issubdtype(values.dtype, jnp.floating):
        raise WrongValue(f"values: expected a floating dtype, got {values.dtype.name}")
    if np.ndim(scale.shift) == 1 and values.shape[-1:] != scale.shift.shape:
        raise WrongValue(
            f"values: expected {len(scale.shift)} columns [..., {len(scale.shift)}], as the scale "
            f"was fitted to (scale.column(k) is that of one), got shape {values.shape}"
        )
    return values


def _columns(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """The values, and which columns are constant; each must have a number, and none infinity."""
    array = series.numbers("values", values)
    if np.isinf(array).any():
        series.require_finite("values", np.where(np.isnan(array), 0.0, array))
    empty = np.isnan(array).all(axis=0)
    if empty.any():
        where = "" if array.ndim == 1 else f" in column {int(np.argmax(empty))}"
        raise WrongValue(f"values: expected a number{where}, got only nan")
    # Not by the deviation, which rounding may leave a little above zero.
    return array, np.nanmax(array, axis=0) == np.nanmin(array, axis=0)
