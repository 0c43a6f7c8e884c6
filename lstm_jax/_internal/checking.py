"""Checks that raise errors which name the argument, what was expected and what was given.

All checks read shapes and dtypes only, so they run at trace time and cost nothing in a
compiled program; the one exception, concrete ``lengths``, is checked where values exist.
"""

import difflib
import functools
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
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue


def choice(argument: str, value: Any, options: Iterable[str]) -> str:
    """``value`` if it is one of ``options``; otherwise an error that lists them."""
    names = list(options)
    if not isinstance(value, str) or value not in names:
        close = difflib.get_close_matches(str(value), names, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise WrongValue(f"{argument}: expected one of {', '.join(names)}, got {value!r}{hint}")
    return value


def positive_int(argument: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise WrongType(f"{argument}: expected a positive integer, got {value!r}")
    if value < 1:
        raise WrongValue(f"{argument}: expected a positive integer, got {value}")
    return int(value)


def divisor(argument: str, value: Any, size: int) -> int:
    """``value`` if ``size`` can be cut into so many equal parts."""
    value = positive_int(argument, value)
    if size % value:
        raise WrongValue(f"{argument}: expected a divisor of size, {size}, got {value}")
    return value


def seed(argument: str, value: Any, limit: int | None = None) -> int:
    """``value`` as a whole number from 0 up, below ``limit``."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < 0 or (limit is not None and value >= limit):
        end = "up" if limit is None else f"to {limit - 1}"
        raise WrongValue(f"{argument}: expected a whole number from 0 {end}, got {value!r}")
    return int(value)


def real(argument: str, value: Any) -> float:
    """``value`` as a float: a finite real number."""
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise WrongValue(f"{argument}: expected a finite number, got {value!r}")
    return number


def reals(argument: str, value: Any, size: int) -> np.ndarray:
    """``value`` as one finite number, or one a unit."""
    if isinstance(value, list | tuple | np.ndarray | jax.Array) and np.ndim(value) == 1:
        if len(value) != size:
            raise WrongValue(f"{argument}: expected one, or {size}, got {len(value)} values")
        return np.array([real(argument, item) for item in value])
    return np.array(real(argument, value))


def rate(argument: str, value: Any) -> float:
    """``value`` as a probability below one."""
    if real(argument, value) < 0 or value >= 1:
        raise WrongValue(f"{argument}: expected a probability in [0, 1), got {value!r}")
    return float(value)


def flag(argument: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise WrongType(f"{argument}: expected True or False, got {value!r}")
    return bool(value)


def float_dtype(argument: str, dtype: Any) -> jnp.dtype:
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
    if not isinstance(shape, tuple | list) or not all(_is_size(n) for n in shape):
        raise WrongValue(f"{argument}: expected a tuple of sizes such as (32,), got {shape!r}")
    return tuple(shape)


def _is_size(n: Any) -> bool:
    if isinstance(n, int | np.integer) and not isinstance(n, bool):
        return bool(n >= 0)
    return jax.export.is_symbolic_dim(n)  # the size of an exported program's batch


def entries(argument: str, value: Any, names: tuple[str, ...], whose: str) -> None:
    """``value`` is a dict with the entries of a cell made of cells."""
    if not isinstance(value, dict) or set(value) != set(names):
        got = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise WrongValue(
            f"{argument}: expected the entries {', '.join(names)} of {whose}, got {got}"
        )


def parts(argument: str, value: Any, count: int, whose: str) -> None:
    """``value`` is a tuple with an entry for each part."""
    if not isinstance(value, tuple | list) or len(value) != count:
        got = len(value) if isinstance(value, tuple | list) else type(value).__name__
        raise WrongValue(
            f"{argument}: expected a tuple of {count}, as {whose} has parts, got {got}"
        )


def array(argument: str, value: Any) -> jax.Array:
    if not isinstance(value, jax.Array | np.ndarray | np.generic):
        raise WrongType(f"{argument}: expected an array, got {type(value).__name__}")
    jax_dtype(argument, value)
    return jnp.asarray(value)


def float_array(argument: str, value: Any, axes: str, min_rank: int) -> jax.Array:
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
    """``key`` as one typed threefry key, see ``generators``; a legacy ``jax.random.PRNGKey`` is
    taken too, two words being those of threefry."""
    is_array = isinstance(key, jax.Array | np.ndarray)
    if is_array and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
        return generators.as_threefry(jnp.asarray(key))
    if is_array and key.dtype == jnp.uint32 and key.shape == (2,):
        return jax.random.wrap_key_data(jnp.asarray(key), impl=generators.THREEFRY)
    if is_array and key.dtype == jnp.uint32 and key.shape == (4,):
        return generators.threefry_of(jnp.asarray(key))
    what = f"{key.dtype} of shape {key.shape}" if is_array else repr(key)
    raise WrongValue(f"{argument}: expected one key, such as jax.random.key(0), got {what}")


def cell(argument: str, value: Any, *, memory: bool = False) -> None:
    """Duck-typed, so that this file imports nothing of the contract it guards.

    memory: whether a cell that reads a memory will do; most wrappers would lose it.
    """
    if not all(hasattr(value, name) for name in ("init", "initial_state", "step", "form")):
        hint = " (call the factory: lj.lstm(128))" if callable(value) else ""
        raise WrongType(f"{argument}: expected a Cell, such as lj.lstm(128), got {value!r}{hint}")
    if not memory and getattr(value, "memory", None) is not None:
        raise WrongValue(
            f"{argument}: expected a cell without one: wrap the cell inside, as in "
            f"lj.attentive(lj.dropout(cell, 0.1), memory), got {value.name}, which "
            "reads a memory"
        )


def lengths(
    value: Any, steps: int, batch: tuple[int, ...], argument: str = "lengths", whose: str = "xs"
) -> jax.Array:
    """``lengths`` within ``[0, T]``: an error where values are known, clipped where traced.

    argument, whose: what errors call the lengths, and the sequences that they belong to.
    """
    known = None if isinstance(value, jax.core.Tracer) else value
    value = array(argument, value)
    if not jnp.issubdtype(value.dtype, jnp.integer):
        raise WrongValue(f"{argument}: expected integers, got dtype {value.dtype.name}")
    if value.shape != batch:
        raise WrongValue(
            f"{argument}: expected {whose}'s batch axes, {batch}, got shape {value.shape}"
        )
    if known is not None and value.size:
        low, high = int(np.asarray(known).min()), int(np.asarray(known).max())
        if low < 0 or high > steps:
            raise WrongValue(
                f"{argument}: expected 0 to T = {steps}, the length of {whose}'s axis 0, got "
                f"values from {low} to {high}"
            )
    # Clipped before the cast, which would wrap large numbers; T itself may not fit in an int8.
    most = min(steps, int(jnp.iinfo(value.dtype).max))
    return jnp.clip(value, 0, most).astype(jnp.int32)


def resets(value: Any, steps: int, batch: tuple[int, ...]) -> jax.Array:
    value = array("resets", value)
    if value.dtype != jnp.bool_:
        raise WrongValue(f"resets: expected bool, got dtype {value.dtype.name}")
    if value.shape != (steps, *batch):
        raise WrongValue(
            f"resets: expected [T, *batch] as in xs, {(steps, *batch)}, got shape {value.shape}"
        )
    return value


@functools.lru_cache(maxsize=4096)
def _expected_params(cell: Any, input_size: int) -> Any:
    return jax.eval_shape(lambda key: cell.init(key, input_size), jax.random.key(0))


def _shapes_by_path(argument: str, tree: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of the leaves by path; an error that names a leaf which is no array for JAX."""
    shapes = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path)
        jax_dtype(argument + name, leaf)
        shapes[name] = tuple(np.shape(leaf))
    return shapes


def _find_wrong_leaf(got: dict, takes: dict) -> str | None:
    """The first leaf in which ``got`` differs, in words; None where there is none."""
    for path in [*takes, *got]:
        if got.get(path) != takes.get(path):
            has = f"shape {got[path]}" if path in got else "no such entry"
            return f"{path or 'value'}: expected {takes.get(path, 'no such entry')}, got {has}"
    return None


def like(argument: str, value: Any, expected: Any, whose: str) -> None:
    """``value`` has the entries and shapes of ``expected``, all of floats."""
    wrong = _find_wrong_leaf(_shapes_by_path(argument, value), _shapes_by_path(argument, expected))
    if wrong is not None:
        raise WrongValue(f"{argument}{wrong}, as {whose} gives it")
    floating(argument, value)


def floating(argument: str, value: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(value):
        name = argument + jax.tree_util.keystr(path)
        dtype = jax_dtype(name, leaf)
        if not is_wide_float(dtype):
            takes = "a floating dtype of 16 bits or more"
            raise WrongValue(f"{name}: expected {takes}, got dtype {dtype.name}")


def params(cell: Any, value: Any, input_argument: str, input_size: int) -> None:
    """``value`` has the entries and shapes that ``cell.init(key, input_size)`` gives."""
    try:
        expected = _expected_params(cell, input_size)
    except ArgumentError as error:  # such as a residual layer whose input is of another size
        raise WrongValue(f"{input_argument}: last axis is {input_size}, but {error}") from None
    takes, got = _shapes_by_path("params", expected), _shapes_by_path("params", value)
    wrong = _find_wrong_leaf(got, takes)
    if wrong is None:
        floating("params", value)
        return
    made_for = _input_size_of(cell, got, input_size)
    if made_for is not None:
        raise WrongValue(
            f"{input_argument}: expected a last axis of {made_for}, the input size that "
            f"params were made for ({cell.name}), got {input_size}"
        )
    raise WrongValue(f"params{wrong}, as {cell.name}.init gives it for {input_size} inputs")


def _input_size_of(cell: Any, got: dict, wrong_size: int) -> int | None:
    """The input size under which ``got`` would be right, if there is one."""
    for size in sorted({n for shape in got.values() for n in shape}):
        if size != wrong_size and size > 0:
            try:
                expected = _shapes_by_path("params", _expected_params(cell, size))
            except ArgumentError:
                continue
            if expected == got:
                return size
    return None


def state(cell: Any, params: Any, value: Any, batch: tuple[int, ...]) -> None:
    """``value`` is a state of ``cell`` with the batch axes of the input."""
    expected = jax.eval_shape(lambda p: cell.initial_state(p, batch), params)
    same = str(jax.tree.structure(expected)) == str(jax.tree.structure(value))
    if not same and type(expected) is not type(value):
        raise WrongValue(
            f"state: expected {type(expected).__name__}, as {cell.name}.initial_state "
            f"gives it, got {type(value).__name__}"
        )
    wrong = _find_wrong_leaf(_shapes_by_path("state", value), _shapes_by_path("state", expected))
    if wrong is not None or not same:
        raise WrongValue(f"state{wrong or ''} ({cell.name}, batch axes {batch} of the input)")
    for (path, leaf), like in zip(
        jax.tree_util.tree_leaves_with_path(value), jax.tree.leaves(expected), strict=True
    ):
        name = f"state{jax.tree_util.keystr(path)}"
        if jnp.issubdtype(like.dtype, jnp.floating):
            floating(name, leaf)
        elif jnp.result_type(leaf) != like.dtype:
            raise WrongValue(f"{name}: expected {like.dtype}, got dtype {jnp.result_type(leaf)}")
