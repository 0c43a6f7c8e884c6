"""Shape annotations of lstm_jax, enforced in the tests by jaxtyping and beartype."""

import functools
import importlib.util
import threading
import types

import jaxtyping


def enforce() -> None:
    """Must be called before lstm_jax is imported. Without beartype, which a borrowed machine may
    lack, nothing is enforced, and test_annotations.py cannot run."""
    if importlib.util.find_spec("beartype") is None:
        return
    jaxtyping.jaxtyped = _once_a_definition(jaxtyping.jaxtyped)  # by which the hook decorates
    jaxtyping.install_import_hook("lstm_jax", "beartype.beartype")


def _once_a_definition(jaxtyped):
    """``jaxtyped``, except that a function inside a function is decorated once and not at each call
    of the outer one: decorating compiles Python code, and would take a fifth of the tests' time."""
    checks: dict[types.CodeType, _Check] = {}

    def decorator(*, typechecker):
        decorate = jaxtyped(typechecker=typechecker)

        def decorated(fn):
            if isinstance(fn, types.FunctionType) and not _says_shapes(fn):
                return fn
            if not isinstance(fn, types.FunctionType) or "<locals>" not in fn.__qualname__:
                return decorate(fn)
            if fn.__code__ not in checks:
                checks[fn.__code__] = _Check(fn, decorate)
            return checks[fn.__code__].around(fn)

        return decorated

    return decorator


def _says_shapes(fn):
    """Whether an annotation is one of jaxtyping's. All other types are for mypy; checking them at
    each call would take another fifth of the tests' time."""
    return any("jaxtyping" in repr(kind) or isinstance(kind, str) for kind in
               fn.__annotations__.values())  # fmt: skip


class _Check:
    """Checks the arguments and the result of all functions made by one definition."""

    def __init__(self, like, decorate):
        self._called = threading.local()  # functions whose arguments are being checked

        @functools.wraps(like)
        def whichever(*args, **kwargs):
            return self._called.functions.pop()(*args, **kwargs)

        self._checked = decorate(whichever)  # which reads its signature now, from `like`,
        del whichever.__wrapped__  # whose closure is not to be kept

    def around(self, fn):
        @functools.wraps(fn)
        def checked(*args, **kwargs):
            functions = self._called.__dict__.setdefault("functions", [])
            depth = len(functions)
            functions.append(fn)
            try:
                return self._checked(*args, **kwargs)
            finally:
                del functions[depth:]  # where the arguments were not as annotated

        return checked
