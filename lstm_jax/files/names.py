"""The factories by the names under which files know them.

A name is the public one without ``lj.``, such as "lstm", "chain" or "train.network", so that files
outlive a change of the modules. Only functions in this table are called when a file is read.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from lstm_jax import attend, cells, seq2seq, wrappers
from lstm_jax._internal.errors import WrongValue
from lstm_jax.attend.attentive import _attentive
from lstm_jax.cells.registry import registry
from lstm_jax.core import initializers
from lstm_jax.core.recipes import is_factory
from lstm_jax.wrappers.weights import _mixed_precision

TRAIN = "lstm_jax.train"


def find_name(factory: Callable[..., Any], made: str) -> str:
    """The name of ``factory``, which has made what is called ``made``.

    Raises:
        ValueError: If it has none: it is a user's, and is not registered.
    """
    for name, known in _factories(with_train=TRAIN in sys.modules):
        if known is factory:
            return name
    name = getattr(factory, "__name__", "my_factory")
    taken = name in dict(_built_in(False))
    shown = f"my_{name}" if taken else name
    raise WrongValue(
        f"model: expected parts whose factories a file can name, got {made}, made by "
        f"{name}; register the factory, here and where the file is read: "
        f"lj.cells.registry[{shown!r}] = {name}"
    )


def find_factory(name: str) -> Callable[..., Any] | None:
    """The factory of this name; None if there is none."""
    return dict(_factories(with_train=name.startswith("train."))).get(name)


def _factories(with_train: bool) -> Iterator[tuple[str, Callable[..., Any]]]:
    """All names and factories. Those of ``lj.train`` on demand, since its import takes long."""
    own = dict(_built_in(with_train))
    yield from own.items()
    for name, factory in registry.items():
        if name not in own and is_factory(factory):
            yield name, factory


def _built_in(with_train: bool) -> Iterator[tuple[str, Callable[..., Any]]]:
    for room in (cells, wrappers):
        for module in _modules(room):
            yield from _in_module("", module)
    yield "mixed_precision", _mixed_precision
    yield "attentive", _attentive
    yield from _in_module("initializers.", initializers)
    for module in _modules(attend):
        yield from _in_module("attend.", module)
    yield from _in_module("seq2seq.", importlib.import_module(f"{seq2seq.__name__}.model"))
    if with_train:
        for path in ("model", "network", "heads", "inputs.simple", "inputs.composed"):
            prefix = {"heads": "train.heads.", "model": "train.", "network": "train."}.get(
                path, "train.inputs."
            )
            yield from _in_module(prefix, importlib.import_module(f"{TRAIN}.{path}"))


def _modules(package: ModuleType) -> list[ModuleType]:
    """The modules of a package that are imported."""
    prefix = f"{package.__name__}."
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(prefix)]


def _in_module(prefix: str, module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(module).items():
        own = getattr(value, "__module__", None) == module.__name__
        if own and is_factory(value) and not name.startswith("_"):
            yield prefix + name, value
