"""Descriptions: a cell or a model as JSON, from which it is built anew.

What a factory made is ``{"make": name, "options": {...}}``, with all options, also those at their
defaults, so that a later change of a default does not change the model. Numbers, texts, True,
False and None stand for themselves, and a list for a tuple. Other values are an object with one
entry that says what they are. Arrays stand beside the weights, under the names here.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.core.cell import Memory
from lstm_jax.core.recipes import FactoryMade
from lstm_jax.files import names

ARRAYS = "option:"  # begins the names of arrays among the options; no path of a leaf does


class UnknownFactory(Exception):
    """The description names a factory that is not there."""


def describe(model: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """``(description, arrays)``, where the arrays are those among the options.

    Raises:
        ValueError, TypeError: For a part that a description cannot hold.
    """
    arrays: dict[str, np.ndarray] = {}
    return _encode_made(model, arrays), arrays


def build(description: Any, arrays: dict[str, Any]) -> Any:
    """The cell or model of a description.

    Raises:
        UnknownFactory: For a name that is not known here.
        ValueError, TypeError, KeyError: For what is not a description.
    """
    return _decode(description, arrays)


def call_of(made: Any) -> tuple[str, dict[str, Any]]:
    """The name of the factory that made ``made``, and its arguments.

    Raises:
        ValueError: Without a factory, or one that a file can name.
    """
    recipe = made.recipe
    if recipe is None:
        raise WrongValue(
            f"model: expected what factories made, got {getattr(made, 'name', made)}, put together "
            "by hand or changed by _replace; build it in a function under lj.core.factory, and "
            "register that as lj.cells.registry['my_cell']"
        )
    bound = inspect.signature(recipe.factory).bind(*recipe.args, **recipe.kwargs)
    return names.find_name(recipe.factory, recipe.name), bound.arguments


def _encode_made(made: Any, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    name, arguments = call_of(made)
    where = made.recipe.name
    described: dict[str, Any] = {"make": name}
    described["options"] = {
        option: _encode(f"{where}: {option}", value, arrays) for option, value in arguments.items()
    }
    memory = getattr(made, "memory", None)
    if memory is not None:
        described["memory"] = _encode(f"{where}: memory", tuple(memory.arrays), arrays)
    return described


def _encode(where: str, value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, FactoryMade):
        return _encode_made(value, arrays)
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"number": repr(value)}
    if type(value) is tuple:
        return [_encode(where, part, arrays) for part in value]
    if isinstance(value, dict):
        pairs = [[_encode(where, k, arrays), _encode(where, v, arrays)] for k, v in value.items()]
        return {"dict": pairs}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    if isinstance(value, np.ndarray | jax.Array):
        name = f"{ARRAYS}{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name}
    what = f"the function {value.__name__}" if inspect.isfunction(value) else repr(value)
    raise WrongType(
        f"{where}: expected a number, a text, an array or what a factory made, got {what}, which a "
        "file cannot hold; make it inside a factory (lj.core.factory) whose options are such "
        "values, and register that as lj.cells.registry['my_cell']"
    )


def _decode(value: Any, arrays: dict[str, Any]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return tuple(_decode(part, arrays) for part in value)
    if "make" in value:
        made = _decode_made(value["make"], value["options"], arrays)
        if "memory" in value:
            made = made._replace(memory=Memory(_decode(value["memory"], arrays)))
        return made
    ((kind, content),) = value.items()
    return _KINDS[kind](content, arrays)


_KINDS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "number": lambda content, arrays: float(content),
    "dict": lambda content, arrays: {_decode(k, arrays): _decode(v, arrays) for k, v in content},
    "dtype": lambda content, arrays: jnp.dtype(content),
    "array": lambda content, arrays: arrays[content],
}


def _decode_made(name: str, options: dict[str, Any], arrays: dict[str, Any]) -> Any:
    factory = names.find_factory(name)
    if factory is None:
        raise UnknownFactory(name)
    given = {option: _decode(value, arrays) for option, value in options.items()}
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            args += given.pop(parameter.name, ())
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs |= given.pop(parameter.name, {})
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.name in given:
            kwargs[parameter.name] = given.pop(parameter.name)
        elif parameter.name in given:
            args.append(given.pop(parameter.name))
    if given:
        raise WrongValue(f"{name}: expected options that it has, got {', '.join(given)}")
    try:
        return factory(*args, **kwargs)
    except ArgumentError as error:
        raise WrongValue(f"{name}: {error}") from error
