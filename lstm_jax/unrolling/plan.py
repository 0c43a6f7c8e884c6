"""The plan of a call: the method of each cell, the recomputed blocks, and the bytes they take.

It depends on shapes only, and is made at trace time, before anything is compiled or run.
"""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import State
from lstm_jax.unrolling.blocks import even_block
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.masks import Masks
from lstm_jax.unrolling.methods import METHODS
from lstm_jax.unrolling.methods.deferred_options import Deferred
from lstm_jax.unrolling.methods.traversal import Traversal
from lstm_jax.unrolling.parts import over_parts, start_traversal

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Method(NamedTuple):
    """The method that runs a cell: its name, and its functions of a ``Traversal``."""

    name: str
    traverse: Callable[[Traversal], tuple[State, jax.Array]]
    why: Callable[[Traversal], tuple[str, ...]]


class Part(NamedTuple):
    """One cell of a call, its method, and the bytes that its backward pass takes.

    Attributes:
        cell: The name of the cell.
        method: The name of its method.
        why: What the method decided, and why.
        steps: The number T of steps.
        whole: Bytes of the arrays over all steps that are needed with any blocks: the outputs,
            their cotangents and those of the inputs.
        state: Bytes that are kept between two blocks.
        step: Bytes that are kept for each step of a block.
    """

    cell: str
    method: str
    why: tuple[str, ...]
    steps: int
    whole: int
    state: int
    step: int


def choose_method(cell: Cell, method: str | Deferred) -> Method:
    """The method that runs ``cell``; ValueError, with the reason, for a method that cannot."""
    if method == "auto":
        name = next(name for name, m in METHODS.items() if m.ineligible(cell) is None)
        return Method(name, METHODS[name].traverse, METHODS[name].why)
    if isinstance(method, Deferred):
        name, options = "deferred", {"options": method}
    else:
        name, options = method, {}
    module = METHODS[name]
    reason = module.ineligible(cell)
    if reason is not None:
        raise WrongValue(f"method: expected 'auto' or 'scan', since {reason}, got {method!r}")
    traverse = functools.partial(module.traverse, **options)
    return Method(name, traverse, functools.partial(module.why, **options))


def plan(call: Call) -> tuple[list[Part], int | None]:
    """The parts of a call, and the steps of a recomputed block, or None without recomputation."""
    parts = parts_of(call)
    return parts, block_of(call, parts)


def block_of(call: Call, parts: Sequence[Part] | None = None) -> int | None:
    """The steps of a recomputed block of a call, or None without recomputation."""
    if not isinstance(call.checkpoint_every, str):
        return call.checkpoint_every
    parts = parts_of(call) if parts is None else parts
    return choose_block("checkpoint_every", call.checkpoint_every, parts)


def parts_of(call: Call) -> list[Part]:
    """The cells of a call, each with its method and what its backward pass keeps."""
    parts: list[Part] = []

    def measure_part(traversal: Traversal, method: str | Deferred) -> tuple[State, jax.Array]:
        chosen = choose_method(traversal.cell, method)
        parts.append(measure(traversal, chosen))
        return chosen.traverse(traversal)

    jax.eval_shape(lambda call: over_parts(start_traversal(call), call.method, measure_part), call)
    return parts


def measure(traversal: Traversal, method: Method) -> Part:
    """The part of one cell: its method, and the bytes that its backward pass takes."""
    steps, state = traversal.xs.shape[0], traversal.state

    def run(params: Any, xs: Any, state: Any, masks: Masks) -> tuple[State, jax.Array]:
        return method.traverse(traversal._replace(params=params, xs=xs, state=state, masks=masks))

    def residual_bytes(steps: int) -> int:
        inputs = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct((steps, *a.shape[1:]), a.dtype),
            (traversal.xs, traversal.masks),
        )

        def residuals(params: Any, state: Any, xs: Any, masks: Any) -> Any:
            return jax.vjp(lambda params, xs: run(params, xs, state, masks), params, xs)[1]

        return _nbytes(jax.eval_shape(residuals, traversal.params, state, *inputs))

    ys = jax.eval_shape(
        lambda *args: run(*args)[1], traversal.params, traversal.xs, state, traversal.masks
    )
    return Part(
        cell=traversal.cell.name,
        method=method.name,
        why=method.why(traversal),
        steps=steps,
        whole=2 * _nbytes(ys) + _nbytes(traversal.xs),
        state=_nbytes(state),
        step=max(residual_bytes(2) - residual_bytes(1), 1),
    )


def parse_bytes(argument: str, value: str) -> int:
    """``"64 MiB"`` as a number of bytes."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", value)
    if match is None or match[2] not in UNITS:
        raise WrongValue(
            f"{argument}: expected a number of steps, 'auto', or a bound such as '64 MiB' "
            f"(units {', '.join(UNITS)}), got {value!r}"
        )
    return int(float(match[1]) * UNITS[match[2]])


def choose_block(argument: str, value: str, parts: Sequence[Part]) -> int | None:
    """The steps of a block, or None if no blocks are needed.

    They are the most for which the backward pass fits into the bound ``value``; with "auto", the
    number that keeps least.
    """
    steps = max((p.steps for p in parts), default=0)
    if steps == 0:
        return None
    states, step = sum(p.steps * p.state for p in parts), max(p.step for p in parts)
    least = even_block(math.sqrt(states / (2 * step)), steps)
    if value == "auto":
        return least
    bound = parse_bytes(argument, value)
    if bytes_needed(parts, None) <= bound:
        return None
    if bytes_needed(parts, least) > bound:
        raise WrongValue(
            f"{argument}: expected {format_bytes(bytes_needed(parts, least))} or more for the "
            f"backward pass of this call, got {value!r}"
        )
    equal = (n for n in range(steps // 2, least, -1) if steps % n == 0)
    return next((n for n in equal if bytes_needed(parts, n) <= bound), least)


def bytes_needed(parts: Sequence[Part], block: int | None) -> int:
    """About how many bytes the backward pass takes with blocks of ``block`` steps, or without.

    What is kept for the steps of a block counts twice, since their cotangents are added.
    """
    whole = sum(p.whole for p in parts)
    if block is None:
        return whole + sum(p.steps * p.step for p in parts) + max(p.steps * p.step for p in parts)
    states = sum(math.ceil(p.steps / block) * p.state for p in parts)
    return whole + states + max(2 * block * p.step for p in parts)


def format_bytes(size: int) -> str:
    """``size`` in the largest unit that fits, such as "64 MiB"."""
    unit = next((u for u in ("GiB", "MiB", "KiB") if size >= UNITS[u]), "B")
    return f"{size / UNITS[unit]:.3g} {unit}"


def _nbytes(tree: Any) -> int:
    return sum(
        math.prod(leaf.shape) * getattr(leaf.dtype, "itemsize", 4) for leaf in jax.tree.leaves(tree)
    )
