"""What the program of a function shows about it, for ``contract``; nothing is compiled."""

import ast
import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

ADDRESS = re.compile(r"0x[0-9a-f]+")  # of a function object, in a printed program
_COUNT = itertools.count(1)
_tracing = jax.make_user_context(0)
SHAPES = re.compile(r"on shapes ((?:\([\d, ]*\) ?)+)")  # in JAX's own message


def trace(function: Callable[..., Any], *arguments: Any) -> ClosedJaxpr:
    """The program of ``function``, traced anew with all functions that it jits, even if they were
    traced before."""
    with _tracing(next(_COUNT)):  # a context that JAX's caches do not know
        return jax.make_jaxpr(lambda *values: function(*values))(*arguments)


def same(first: ClosedJaxpr, second: ClosedJaxpr) -> bool:
    """Whether two programs are equal, their constants included."""
    texts = [ADDRESS.sub("", str(program)) for program in (first, second)]
    if texts[0] != texts[1]:
        return False
    constants = [list(_constants(program)) for program in (first, second)]
    return len(constants[0]) == len(constants[1]) and all(
        a is b or np.array_equal(np.asarray(a), np.asarray(b))
        for a, b in zip(*constants, strict=True)
    )


def uses_its_arguments(program: ClosedJaxpr) -> bool:
    """Whether anything in the program reads one of its arguments."""
    read = [*program.jaxpr.outvars]
    read += [var for equation in program.jaxpr.eqns for var in equation.invars]
    return any(var is argument for var in read for argument in program.jaxpr.invars)


def broadcast_over_rows(
    function: Callable[..., Any], outputs: Any, batch: Any, rows: int
) -> str | None:
    """The shapes of two arrays such as ``(B, 1) (B,)``, if ``function(outputs, batch)`` has JAX
    promote the rank of one, so that every row meets every other; None if it does not.

    Rows that are paired with each other on purpose, with an axis for it in both arrays, promote no
    rank.

    Args:
        rows: the number of rows, which is no other axis' size.
    """
    try:
        with jax.numpy_rank_promotion("raise"):
            trace(function, outputs, batch)
        return None
    except ValueError as error:
        promoted = [str(error)]
    if "rank_promotion" not in promoted[0]:
        return None  # an error of another kind, which shows without this
    with jax.numpy_rank_promotion("warn"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace(function, outputs, batch)
    for text in [*promoted, *(str(warning.message) for warning in caught)]:
        if found := SHAPES.search(text):
            shapes = ast.literal_eval(f"[{found[1].strip().replace(') (', '), (')}]")
            if np.broadcast_shapes(*shapes).count(rows) > 1:
                return found[1].strip()
    return None


def _constants(program: ClosedJaxpr) -> Iterator[Any]:
    yield from program.consts
    for inner in _inner(program.jaxpr):
        if isinstance(inner, ClosedJaxpr):
            yield from _constants(inner)


def _inner(program: Jaxpr) -> Iterator[ClosedJaxpr | Jaxpr]:
    """The programs within the equations, such as a scan's body."""
    for equation in program.eqns:
        for value in equation.params.values():
            for one in value if isinstance(value, tuple | list) else (value,):
                if isinstance(one, ClosedJaxpr | Jaxpr):
                    yield one
