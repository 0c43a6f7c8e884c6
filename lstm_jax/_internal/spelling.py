"""Canonical arguments of factories: one spelling for all that mean the same, and their text.

NumPy's numbers become Python's, lists become tuples, and ``1`` becomes ``1.0`` where the signature
says ``float``; but ``True`` stays apart from 1, and 2.0 is not a size.
"""

import collections.abc
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Atom:
    """The base class of factories' results, which count as one value even if they are tuples."""


class Kind:
    """The kind of a parameter by its signature: whether it holds numbers, and which ones."""

    def __init__(self, numbers: bool, floats: bool, dtype: bool):
        self.numbers, self.floats, self.dtype = numbers, floats, dtype

    @classmethod
    def of(cls, parameter: inspect.Parameter) -> "Kind":
        """The kind of a parameter, by its annotation, its default and its name."""
        leaves = _leaf_types(parameter.annotation)
        default = parameter.default
        if isinstance(default, bool | int | float):
            leaves = leaves | {type(default)}
        floats = float in leaves and int not in leaves
        is_dtype = parameter.name == "dtype" or parameter.name.endswith("_dtype")
        return cls(bool(leaves & {bool, int, float}), floats, is_dtype)

    def canonical(self, value: Any) -> Any:
        """``value`` in the one spelling of all that mean the same."""
        if isinstance(value, Atom | jax.core.Tracer):
            return value
        if isinstance(value, np.generic | np.ndarray | jax.Array) and _holds_values(value):
            if self.numbers or (isinstance(value, np.generic) and value.ndim == 0):
                return self.canonical(_as_python(value))
            if isinstance(value, np.ndarray):
                value = value.copy()
                value.flags.writeable = False
            return value
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(self.canonical, value))
        if isinstance(value, list | tuple):
            return tuple(map(self.canonical, value))
        if isinstance(value, Mapping):
            items = [(k, self.canonical(v)) for k, v in value.items()]
            return dict(sorted(items) if all(isinstance(k, str) for k, _ in items) else items)
        if (self.dtype and value is not None) or isinstance(value, np.dtype):
            return _dtype(value)
        if self.floats and not isinstance(value, bool | str):
            return _float(value)
        return value


def _leaf_types(annotation: Any) -> set[Any]:
    """The types in an annotation, except those inside a ``Callable``."""
    origin = typing.get_origin(annotation)
    if origin is None:
        return {annotation} if isinstance(annotation, type) else set()
    if origin is collections.abc.Callable:
        return set()
    if origin in (typing.Union, types.UnionType) or isinstance(origin, type):
        return set().union(*map(_leaf_types, typing.get_args(annotation)))
    return set()


def resolve_annotations(
    build: Callable[..., Any], signature: inspect.Signature
) -> inspect.Signature:
    """The signature of ``build`` with annotations that were written as text evaluated."""
    try:
        return inspect.signature(build, eval_str=True)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return signature


def _holds_values(array: Any) -> bool:
    """Whether ``array`` holds numbers, booleans or text, and not random keys or objects."""
    number = any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.number, jnp.bool_))
    return number or array.dtype.kind in "US"


def _as_python(array: Any) -> Any:
    """The array as a number, or as nested lists of numbers."""
    values = np.asarray(array)
    if jnp.issubdtype(values.dtype, jnp.floating):
        values = values.astype(np.float64)  # longdouble's item is another longdouble
    return values.tolist()


def _float(value: Any) -> Any:
    """A number as a float, anything else unchanged. -0.0 becomes 0.0, since they are equal."""
    try:
        return float(value) + 0.0 if isinstance(value, numbers.Real) else value
    except (TypeError, ValueError, OverflowError):
        return value


def _dtype(value: Any) -> Any:
    try:
        return jnp.dtype(value)
    except TypeError:
        return value


class _Unhashable:
    """Stands in a key for an option that equals nothing else, since it may change."""


def hashable_key(value: Any) -> Any:
    """A hashable stand-in for ``value``; equal ones stand for equal values of one type."""
    if isinstance(value, np.ndarray | jax.Array) and not isinstance(value, jax.core.Tracer):
        if not _holds_values(value):
            return _Unhashable()
        values = np.asarray(value)
        return _Array(values.dtype.name, values.shape, values.tobytes())
    if isinstance(value, Atom):
        return value
    if isinstance(value, tuple):
        return type(value), tuple(map(hashable_key, value))
    if isinstance(value, dict):
        return dict, tuple((hashable_key(k), hashable_key(v)) for k, v in value.items())
    try:
        hash(value)
    except TypeError:
        return _Unhashable()
    return type(value), value


class _Array(typing.NamedTuple):
    """Stands in a key for an array, by its values."""

    dtype: str
    shape: tuple[Any, ...]
    values: bytes


def holds_arrays(key: Any) -> bool:
    """Whether a key of ``hashable_key`` contains arrays or unhashable options."""
    if isinstance(key, _Array | _Unhashable):
        return True
    return type(key) is tuple and any(map(holds_arrays, key))


def format_call(
    name: str, signature: inspect.Signature, kinds: dict[str, Any], arguments: dict[str, Any]
) -> str:
    """The call as text, such as "lstm(4, peephole=True)", without options at their defaults."""
    parts: list[str] = []
    for parameter in signature.parameters.values():
        value = arguments[parameter.name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            parts += map(_text, value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            parts += [f"{option}={_text(v)}" for option, v in value.items()]
        elif parameter.default is parameter.empty:
            parts.append(_text(value))
        elif hashable_key(value) != hashable_key(
            kinds[parameter.name].canonical(parameter.default)
        ):
            parts.append(f"{parameter.name}={_text(value)}")
    return f"{name}({', '.join(parts)})"


def _text(value: Any) -> str:
    if isinstance(value, Atom):
        return getattr(value, "name", type(value).__name__)
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, types.FunctionType | type):
        return value.__name__
    if isinstance(value, np.ndarray | jax.Array):
        return f"{value.dtype.name}{list(value.shape)}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_text(k)}: {_text(v)}' for k, v in value.items())}}}"
    if type(value) is tuple and value:
        return f"({', '.join(map(_text, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
