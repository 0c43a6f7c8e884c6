"""A proof that a traced program reads two of its arguments z and r only by their sum, if it exists.

Each number in the program is tracked as ``a z_i + b r_i`` plus something that does not depend on
how the sum is split into z and r. A number with ``a = b`` does not depend on it either. Sums,
differences and operations that only move numbers keep this form; any other operation must read
numbers that do not depend on the split. Gradients need no separate proof: a function of the sum has
the gradient of the sum.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np


class _Split(NamedTuple):
    """An array of numbers ``a z_i + b r_i``; ``place`` is i, or -1 where a and b are zero."""

    place: np.ndarray
    a: np.ndarray
    b: np.ndarray


class _Unproven(Exception):
    """An operation reads numbers that depend on the split of the sum."""


def reads_only_sums(jaxpr: Any, columns: int) -> bool:
    """Whether the first ``columns`` of the last two arguments are read only by their sum.

    False means that this could not be proved.

    Args:
        jaxpr: The program, whose last two arguments have one shape.
        columns: The number of leading columns, of the last axis, that the question is about.
    """
    others, shape = jaxpr.invars[:-2], jaxpr.invars[-1].aval.shape
    index = np.broadcast_to(np.arange(shape[-1]), shape)
    inside = index < columns
    # Rows are distinguished too, since a sum must combine one and the same place of z and r.
    index = np.where(inside, np.arange(inside.size).reshape(shape), -1)
    one, zero = inside.astype(float), np.zeros(shape)
    split = [_Split(index, one, zero), _Split(index, zero, one)]
    try:
        outs = _follow(jaxpr, [None] * len(others) + split)
    except _Unproven:
        return False
    return all(out is None for out in outs)


def _follow(jaxpr: Any, arguments: list[Any]) -> list[Any]:
    """The results of the program for these arguments; None for arrays free of the split."""
    known: dict[Any, Any] = dict(zip(jaxpr.invars, arguments, strict=True))

    def read(var: Any) -> _Split | None:
        return None if isinstance(var, jex.Literal) else known.get(var)

    for eqn in jaxpr.eqns:
        inputs = [read(var) for var in eqn.invars]
        if all(value is None for value in inputs):
            continue
        inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
        if eqn.primitive.name in INSIDE and inner is not None:
            outs = _follow(getattr(inner, "jaxpr", inner), inputs)
        elif eqn.primitive.name in RULES:
            outs = RULES[eqn.primitive.name](eqn, inputs)
        else:
            raise _Unproven(eqn.primitive.name)
        for var, out in zip(eqn.outvars, outs, strict=True):
            known[var] = None if out is None else _drop_free(out)
    return [read(var) for var in jaxpr.outvars]


def _drop_free(value: _Split) -> _Split | None:
    free = value.a == value.b
    if free.all():
        return None
    index, a, b = value
    return _Split(np.where(free, -1, index), np.where(free, 0, a), np.where(free, 0, b))


def _or_zeros(value: _Split | None, var: Any) -> _Split:
    if value is not None:
        return value
    shape = var.aval.shape
    return _Split(np.full(shape, -1), np.zeros(shape), np.zeros(shape))


def _sum(sign: float) -> Callable[..., Any]:
    def rule(eqn: Any, inputs: list[Any]) -> list[Any]:
        one, other = (_or_zeros(v, var) for v, var in zip(inputs, eqn.invars, strict=True))
        if np.any((one.place >= 0) & (other.place >= 0) & (one.place != other.place)):
            raise _Unproven("a sum over two places")
        index = np.maximum(one.place, other.place)
        return [_Split(index, one.a + sign * other.a, one.b + sign * other.b)]

    return rule


def _moving_rule(move: Callable[..., Any]) -> Callable[..., Any]:
    """The rule for an operation that only moves the numbers of its one argument."""

    def rule(eqn: Any, inputs: list[Any]) -> list[Any]:
        (value,) = inputs
        parts = [move(eqn.params, part) for part in value]
        if len(eqn.outvars) == 1:
            return [_Split(*parts)]
        return [_Split(*part) for part in zip(*parts, strict=True)]

    return rule


def _concatenate(eqn: Any, inputs: list[Any]) -> list[Any]:
    values = [_or_zeros(v, var) for v, var in zip(inputs, eqn.invars, strict=True)]
    axis = eqn.params["dimension"]
    return [_Split(*(np.concatenate(parts, axis) for parts in zip(*values, strict=True)))]


def _slice(params: dict[str, Any], part: np.ndarray) -> np.ndarray:
    strides = params["strides"] or (1,) * part.ndim
    bounds = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return part[tuple(slice(*bound) for bound in bounds)]


def _broadcast(params: dict[str, Any], part: np.ndarray) -> np.ndarray:
    shape = [1] * len(params["shape"])
    for size, axis in zip(part.shape, params["broadcast_dimensions"], strict=True):
        shape[axis] = size
    return np.broadcast_to(part.reshape(shape), params["shape"])


def _split(params: dict[str, Any], part: np.ndarray) -> list[np.ndarray]:
    return np.split(part, np.cumsum(params["sizes"])[:-1], params["axis"])


def _convert(eqn: Any, inputs: list[Any]) -> list[Any]:
    if not jnp.issubdtype(eqn.params["new_dtype"], jnp.floating):
        raise _Unproven("rounding")
    return inputs


INSIDE = ("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint")
RULES: dict[str, Callable[..., Any]] = {
    "add": _sum(1.0),
    "add_any": _sum(1.0),
    "sub": _sum(-1.0),
    "neg": lambda eqn, inputs: [_Split(inputs[0].place, -inputs[0].a, -inputs[0].b)],
    "concatenate": _concatenate,
    "slice": _moving_rule(_slice),
    "split": _moving_rule(_split),
    "reshape": _moving_rule(lambda params, part: part.reshape(params["new_sizes"])),
    "squeeze": _moving_rule(lambda params, part: np.squeeze(part, params["dimensions"])),
    "transpose": _moving_rule(lambda params, part: part.transpose(params["permutation"])),
    "broadcast_in_dim": _moving_rule(_broadcast),
    "convert_element_type": _convert,
    "copy": _moving_rule(lambda params, part: part),
}
