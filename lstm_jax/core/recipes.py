"""What a cell was made from: its factory and its options.

A cell is a tuple of closures, which are equal to themselves alone. Its recipe lets two cells that
were built alike be one cell to ``jax.jit``, and lets a cell be pickled as the call that made it.
``factory`` decorates a function that builds one and does all of this.
"""

import contextlib
import functools
import inspect
import pickle
import types
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

from lstm_jax._internal import spelling
from lstm_jax._internal.errors import WrongType
from lstm_jax._internal.promotion import default_promotion

P = ParamSpec("P")
T = TypeVar("T")

KEPT = 4096  # built things that are kept, least recently used ones going first
SIMPLE = (bool, int, float, str, type(None))


class Recipe:
    """A factory and its arguments, in one spelling: defaults filled in, NumPy's scalars and arrays
    of numbers as Python's, lists as tuples. Equal for equal arguments; 1 is not True.

    args, kwargs: what the factory is called with. name: the call as text, without the options
    that are at their defaults. lasting: whether what it builds may be kept and given again.
    """

    def __init__(self, factory: Callable, args: tuple, kwargs: dict, name: str, key: tuple):
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
    """Mixed into what a factory gives: equality, hash and pickling by the recipe.

    Without a recipe (put together by hand, or changed by ``_replace``) it is equal to what has the
    same functions, as any tuple is.
    """

    recipe: Recipe | None = None
    outside_recipe: tuple[str, ...] = ()  # fields that stand beside the recipe and may be replaced

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

    def _replace(self, **changes: Any) -> Any:
        """As of any NamedTuple; the recipe stays where it still describes what comes of it."""
        new = super()._replace(**changes)  # type: ignore[misc]
        if self.recipe is not None and changes.keys() <= set(self.outside_recipe):
            object.__setattr__(new, "recipe", self.recipe)
        return new

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: {type(self).__name__} cannot be changed; use _replace")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        recipe = self.recipe
        what: Any = tuple(self) if isinstance(self, tuple) else ()
        if recipe is not None:
            what = (recipe.factory, recipe.args, recipe.kwargs)
        name = getattr(self, "name", type(self).__name__)
        try:
            pickle.dumps(what, protocol)
        except Exception as error:
            made = "put together by hand, and not by a factory under lj.core.factory"
            got = made if recipe is None else f"whose options or factory cannot be pickled: {error}"
            raise pickle.PicklingError(
                f"{name}: expected a factory and options that can be imported or pickled, "
                f"got a {type(self).__name__} {got}"
            ) from error
        if recipe is None:
            return type(self), what
        return _rebuild, (*what, {name: getattr(self, name) for name in self.outside_recipe})


class Function(FactoryMade):
    """A function that a factory gives, such as an initialiser."""

    def __init__(self, name: str, call: Callable):
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "__wrapped__", call)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return self.name  # type: ignore[attr-defined]


def factory(build: Callable[P, T]) -> Callable[P, T]:
    """Decorates a function that builds a cell (or an attention mechanism, or an initialiser).

    Calls with equal arguments then give equal cells, of one hash: ``lj.unroll(ugrnn(16), ...)`` in
    a loop compiles once. NumPy's numbers and arrays of numbers, lists and tuples are the same
    spelling; where the signature says ``float``, so are 1 and 1.0. A cell pickles as the call that
    made it, if the factory can be imported and the options can be pickled. A name without brackets
    is completed: "ugrnn" becomes "ugrnn(16)".

    The body is run once for equal arguments (4096 results are kept), and not under the caller's
    ``jax.jit``: it should depend on its arguments alone. An option that has no hash is compared by
    identity, and what is built of it is not kept.
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
        """The same, in a hundredth of the time."""
        return make_from_any(args, kwargs)

    def make_from_any(args: tuple, kwargs: dict) -> Any:
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

    return make


def _x64() -> bool:
    return jax.config.jax_enable_x64  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=KEPT)
def build_once(recipe: Recipe, build: Callable, x64: bool) -> Any:
    """What the recipe gives. x64: what arrays that are made here depend on."""
    traced = isinstance(jnp.zeros(()), jax.core.Tracer)
    # Inside a caller's jit: tracers would stay in what is kept.
    with jax.ensure_compile_time_eval() if traced else contextlib.nullcontext():
        made = default_promotion(build)(*recipe.args, **recipe.kwargs)
    if isinstance(made, Function) or not isinstance(made, FactoryMade):
        new: Any = Function(recipe.name, default_promotion(made))
    else:  # a copy: it may be what another factory gave
        fields = (default_promotion(field) if _is_function(field) else field for field in made)  # type: ignore
        new = type(made)(*fields)
        if "(" not in getattr(new, "name", "("):
            new = new._replace(name=recipe.name)
    object.__setattr__(new, "recipe", recipe)
    return new


def _is_function(field: Any) -> bool:
    return isinstance(field, types.FunctionType)


def _rebuild(factory: Callable, args: tuple, kwargs: dict, beside: dict) -> Any:
    made = factory(*args, **kwargs)
    return made._replace(**beside) if beside else made
