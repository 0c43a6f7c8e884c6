"""Checks of arguments. Errors read "argument: expected X, got Y".

All checks read shapes and dtypes only, so they run at trace time and cost nothing in a
compiled program. The one exception is ``lengths``, whose values are checked if they are known.
"""

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import generators
from lstm_jax._internal.dtypes import is_wide_float, jax_dtype
from lstm_jax._internal.errors import WrongType, WrongValue


def choice(argument: str, value: Any, options: Iterable[str]) -> str:
    """Returns ``value`` if it is one of ``options``; the error lists them."""
    names = list(options)
    if not isinstance(value, str) or value not in names:
        close = difflib.get_close_matches(str(value), names, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise WrongValue(f"{argument}: expected one of {', '.join(names)}, got {value!r}{hint}")
    return value


def positive_int(argument: str, value: Any) -> int:
    """Returns ``value`` as an int of 1 or more; True is not one."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise WrongType(f"{argument}: expected a positive integer, got {value!r}")
    if value < 1:
        raise WrongValue(f"{argument}: expected a positive integer, got {value}")
    return int(value)


def sizes(argument: str, value: Any, count: int | None = None) -> tuple[int, ...]:
    """Returns ``value``, one size or one per axis, as a tuple of positive integers.

    Args:
        argument: Its name in errors.
        value: The sizes.
        count: The number of axes, for all of which one size may stand; None for as many as there
            are in ``value``.
    """
    if not isinstance(value, tuple | list):
        return (positive_int(argument, value),) * (1 if count is None else count)
    if count is not None and len(value) != count:
        raise WrongValue(f"{argument}: expected one size, or {count}, one per axis, got {value!r}")
    return tuple(positive_int(argument, size) for size in value)


def divisor(argument: str, value: Any, size: int) -> int:
    """Returns ``value`` if it divides ``size``."""
    value = positive_int(argument, value)
    if size % value:
        raise WrongValue(f"{argument}: expected a divisor of size, {size}, got {value}")
    return value


def seed(argument: str, value: Any, limit: int | None = None) -> int:
    """Returns ``value`` as an int of 0 or more, and below ``limit`` if there is one."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < 0 or (limit is not None and value >= limit):
        end = "up" if limit is None else f"to {limit - 1}"
        raise WrongValue(f"{argument}: expected a whole number from 0 {end}, got {value!r}")
    return int(value)


def real(argument: str, value: Any) -> float:
    """Returns ``value`` as a finite float."""
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise WrongValue(f"{argument}: expected a finite number, got {value!r}")
    return number


def reals(argument: str, value: Any, size: int) -> np.ndarray:
    """Returns ``value`` as an array: one finite number, or one per unit."""
    if isinstance(value, list | tuple | np.ndarray | jax.Array) and np.ndim(value) == 1:
        if len(value) != size:
            raise WrongValue(f"{argument}: expected 1 or {size} numbers, got {len(value)}")
        return np.array([real(argument, item) for item in value])
    return np.array(real(argument, value))


def rate(argument: str, value: Any) -> float:
    """Returns ``value`` as a probability below one."""
    if real(argument, value) < 0 or value >= 1:
        raise WrongValue(f"{argument}: expected a probability in [0, 1), got {value!r}")
    return float(value)


def name(argument: str, value: Any) -> str:
    """Returns ``value``, a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise WrongValue(f"{argument}: expected a name, got {value!r}")
    return value


def flag(argument: str, value: Any) -> bool:
    """Returns ``value`` as a bool; 0 and 1 are not."""
    if not isinstance(value, bool | np.bool_):
        raise WrongType(f"{argument}: expected True or False, got {value!r}")
    return bool(value)


def float_dtype(argument: str, dtype: Any) -> jnp.dtype:
    """Returns ``dtype``, or the dtype of that name, if one can compute in it."""
    try:
        if dtype is None:
            raise WrongType
        resolved = jnp.dtype(dtype)
    except TypeError:
        raise WrongType(f"{argument}: expected a floating dtype, got {dtype!r}") from None
    if not is_wide_float(resolved) or not resolved.isnative:
        raise WrongValue(f"{argument}: expected a floating dtype, got {resolved.name}")
    return resolved


def batch_shape(argument: str, shape: Any) -> tuple[Any, ...]:
    """Returns ``shape`` as a tuple of sizes, or of the symbols of an exported program."""
    if not isinstance(shape, tuple | list) or not all(_is_size(n) for n in shape):
        raise WrongValue(f"{argument}: expected a tuple of sizes such as (32,), got {shape!r}")
    return tuple(shape)


def _is_size(n: Any) -> bool:
    if isinstance(n, int | np.integer) and not isinstance(n, bool):
        return bool(n >= 0)
    return jax.export.is_symbolic_dim(n)  # the size of an exported program's batch


def array(argument: str, value: Any) -> jax.Array:
    """Returns ``value`` as a JAX array; lists and Python's numbers are refused."""
    if not isinstance(value, jax.Array | np.ndarray | np.generic):
        raise WrongType(f"{argument}: expected an array, got {type(value).__name__}")
    jax_dtype(argument, value)
    return jnp.asarray(value)


def float_array(argument: str, value: Any, axes: str, min_rank: int) -> jax.Array:
    """Returns ``value`` as an array of floats; ``axes`` is its shape in words, for the error."""
    value = array(argument, value)
    if value.ndim < min_rank:
        raise WrongValue(f"{argument}: expected {axes}, got shape {value.shape}")
    if not is_wide_float(value.dtype):
        raise WrongValue(
            f"{argument}: expected a floating dtype of 16 bits or more (embed or "
            f"one-hot encode integers first), got dtype {value.dtype.name}"
        )
    return value


def random_key(argument: str, key: Any) -> jax.Array:
    """Returns ``key`` as one typed threefry key (see ``generators``).

    A legacy ``jax.random.PRNGKey`` is accepted too; two words are taken as those of threefry.
    """
    is_array = isinstance(key, jax.Array | np.ndarray)
    if is_array and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
        return generators.as_threefry(jnp.asarray(key))
    if is_array and key.dtype == jnp.uint32 and key.shape == (2,):
        return jax.random.wrap_key_data(jnp.asarray(key), impl=generators.THREEFRY)
    if is_array and key.dtype == jnp.uint32 and key.shape == (4,):
        return generators.threefry_of(jnp.asarray(key))
    what = f"{key.dtype} of shape {key.shape}" if is_array else repr(key)
    raise WrongValue(f"{argument}: expected one key, such as jax.random.key(0), got {what}")


def lengths(
    value: Any, steps: int, batch: tuple[int, ...], argument: str = "lengths", whose: str = "xs"
) -> jax.Array:
    """Returns ``lengths`` within ``[0, T]``: other values are an error if they are known, and
    clipped if they are traced.

    Args:
        value: The lengths.
        steps: T.
        batch: The batch axes of the sequences.
        argument: The name of the lengths in errors.
        whose: The name of the sequences in errors.
    """
    known = None if isinstance(value, jax.core.Tracer) else value
    value = array(argument, value)
    if not jnp.issubdtype(value.dtype, jnp.integer):
        raise WrongValue(f"{argument}: expected integers, got dtype {value.dtype.name}")
    if value.shape != batch:
        raise WrongValue(
            f"{argument}: expected shape {batch}, the batch axes of {whose}, got {value.shape}"
        )
    if known is not None and value.size:
        low, high = int(np.asarray(known).min()), int(np.asarray(known).max())
        if low < 0 or high > steps:
            raise WrongValue(
                f"{argument}: expected values from 0 to {steps}, the steps of {whose}, "
                f"got {low} to {high}"
            )
    if jax.export.is_symbolic_dim(steps):  # of an exported program
        return jnp.clip(value.astype(jnp.int32), 0, jnp.int32(steps))
    # Clipped before the cast, which would wrap large numbers; T itself may not fit in an int8.
    most = min(steps, int(jnp.iinfo(value.dtype).max))
    return jnp.clip(value, 0, most).astype(jnp.int32)


def resets(value: Any, steps: int, batch: tuple[int, ...]) -> jax.Array:
    """Returns ``resets`` as booleans ``[T, *batch]``."""
    value = array("resets", value)
    if value.dtype != jnp.bool_:
        raise WrongValue(f"resets: expected booleans, got dtype {value.dtype.name}")
    if value.shape != (steps, *batch):
        raise WrongValue(
            f"resets: expected shape {(steps, *batch)}, [T, *batch] of xs, got {value.shape}"
        )
    return value
