"""Recipes: the factory and the options that a cell was made from.

A cell is a tuple of closures, each of which equals only itself. Its recipe makes two cells of equal
calls one cell to ``jax.jit``, and lets a cell be pickled as the call that made it. The decorator
``factory`` attaches recipes.
"""

import contextlib
import functools
import inspect
import pickle
import types
from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

import jax
import jax.numpy as jnp

from lstm_jax._internal import spelling
from lstm_jax._internal.errors import WrongType
from lstm_jax._internal.promotion import default_promotion

P = ParamSpec("P")
T = TypeVar("T")

KEPT = 4096  # the most results that are cached
SIMPLE = (bool, int, float, str, type(None))


class Recipe:
    """A factory and its arguments in canonical form.

    Defaults are filled in, NumPy's scalars and arrays of numbers become Python's, lists become
    tuples. Recipes are equal for equal arguments; 1 does not equal True.

    Attributes:
        args, kwargs: The arguments of the call.
        name: The call as text, without options at their defaults.
        can_be_kept: Whether the result may be cached.
    """

    def __init__(
        self,
        factory: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str,
        key: tuple[Any, ...],
    ):
        self.factory, self.args, self.kwargs, self.name = factory, args, kwargs, name
        self.can_be_kept = not spelling.holds_arrays(key)
        self._key = key
        self._hash = hash((factory, key))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recipe):
            return NotImplemented
        if self is other:
            return True
        return (self._hash, self.factory, self._key) == (other._hash, other.factory, other._key)

    def __hash__(self) -> int:
        return self._hash


class FactoryMade(spelling.Atom):
    """A mixin for the results of factories: equality, hash and pickling by the recipe.

    Without a recipe (if put together by hand, or changed by ``_replace``) it compares as any tuple
    does, by its functions.
    """

    recipe: Recipe | None = None
    outside_recipe: tuple[str, ...] = ()  # fields that the recipe does not determine

    def __eq__(self, other: object) -> Any:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, FactoryMade)
        if self.recipe is None and other.recipe is None:
            return super().__eq__(other)
        beside = all(getattr(self, name) == getattr(other, name) for name in self.outside_recipe)
        return self.recipe == other.recipe and beside

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        return super().__hash__() if self.recipe is None else hash(self.recipe)

    def _replace(self, **changes: Any) -> Self:
        """As for any NamedTuple; the recipe is kept if it still describes the result."""
        new: Self = super()._replace(**changes)  # type: ignore[misc]
        if self.recipe is not None and changes.keys() <= set(self.outside_recipe):
            object.__setattr__(new, "recipe", self.recipe)
        return new

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: {type(self).__name__} cannot be changed; use _replace")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        recipe = self.recipe
        content: Any = tuple(self) if isinstance(self, tuple) else ()
        if recipe is not None:
            content = (recipe.factory, recipe.args, recipe.kwargs)
        name = getattr(self, "name", type(self).__name__)
        try:
            pickle.dumps(content, protocol)
        except Exception as error:
            got = "put together by hand, not by a factory under lj.core.factory"
            if recipe is not None:
                got = f"whose options or factory cannot be pickled: {error}"
            raise pickle.PicklingError(
                f"{name}: expected a factory and options that can be imported or pickled, "
                f"got a {type(self).__name__} {got}"
            ) from error
        if recipe is None:
            return type(self), content
        return _rebuild, (*content, {name: getattr(self, name) for name in self.outside_recipe})


class Function(FactoryMade):
    """A function that a factory returns, such as an initialiser."""

    def __init__(self, name: str, call: Callable[..., Any]):
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "__wrapped__", call)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return self.name  # type: ignore[attr-defined]


def factory(build: Callable[P, T]) -> Callable[P, T]:
    """Decorates a function that builds a cell (or an attention mechanism, or an initialiser).

        @lj.core.factory
        def ugrnn(size: int) -> lj.Cell: ...

    Calls with equal arguments then return equal cells with one hash, so that
    ``lj.unroll(ugrnn(16), ...)`` in a loop compiles once. Numbers of NumPy and of Python are equal
    arguments, as are lists and tuples, and 1 and 1.0 where the signature says ``float``. A cell
    pickles as the call that made it, if the factory can be imported and the options can be
    pickled. A name without brackets is completed: "ugrnn" becomes "ugrnn(16)".

    The body runs once for equal arguments (4096 results are cached), and outside the caller's
    ``jax.jit``, so it must depend on its arguments only. An option without a hash is compared by
    identity, and a result made from it is not cached.
    """
    signature = inspect.signature(build)
    parameters = spelling.resolve_annotations(build, signature).parameters
    kinds = {name: spelling.Kind.of(parameter) for name, parameter in parameters.items()}
    factory_name = build.__name__.lstrip("_")

    @functools.wraps(build)
    def make(*args: P.args, **kwargs: P.kwargs) -> T:
        if all(isinstance(value, SIMPLE) for value in (*args, *kwargs.values())):
            return make_from_simple(_x64(), *args, **kwargs)  # type: ignore[arg-type]
        return make_from_any(args, kwargs)

    @functools.lru_cache(maxsize=KEPT, typed=True)
    def make_from_simple(x64: bool, *args: Any, **kwargs: Any) -> Any:
        """A cache in front of ``make_from_any``, which takes a hundred times as long."""
        return make_from_any(args, kwargs)

    def make_from_any(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise WrongType(f"{factory_name}() {error}") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            bound.arguments[name] = kinds[name].canonical(value)
        key = spelling.hashable_key(tuple(bound.arguments.items()))
        name = spelling.format_call(factory_name, signature, kinds, bound.arguments)
        recipe = Recipe(make, bound.args, bound.kwargs, name, key)
        run = build_once if recipe.can_be_kept else build_once.__wrapped__
        return run(recipe, build, _x64())

    make.is_factory = True  # type: ignore[attr-defined]  # see ``is_factory``
    return make


def is_factory(value: Any) -> bool:
    """Whether ``value`` is a function decorated by ``factory``."""
    return getattr(value, "is_factory", False) is True


def _x64() -> bool:
    return jax.config.jax_enable_x64  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=KEPT)
def build_once(recipe: Recipe, build: Callable[..., Any], x64: bool) -> Any:
    """The result of the recipe. ``x64`` is part of the cache key, since arrays depend on it."""
    traced = isinstance(jnp.zeros(()), jax.core.Tracer)
    # Inside a caller's jit, the cached result would otherwise hold its tracers.
    with jax.ensure_compile_time_eval() if traced else contextlib.nullcontext():
        made = default_promotion(build)(*recipe.args, **recipe.kwargs)
    if isinstance(made, Function) or not isinstance(made, FactoryMade):
        new: Any = Function(recipe.name, default_promotion(made))
    else:  # a copy, since it may be the cached result of another factory
        fields = (default_promotion(field) if _is_function(field) else field for field in made)  # type: ignore
        new = type(made)(*fields)
        if "(" not in getattr(new, "name", "("):
            new = new._replace(name=recipe.name)
    object.__setattr__(new, "recipe", recipe)
    return new


def _is_function(field: Any) -> bool:
    return isinstance(field, types.FunctionType)


def _rebuild(
    factory: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    beside: dict[str, Any],
) -> Any:
    """Unpickles a result: calls the factory again, and puts back the fields in ``beside``."""
    made = factory(*args, **kwargs)
    return made._replace(**beside) if beside else made
