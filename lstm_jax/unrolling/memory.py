"""How much the backward pass keeps, and blocks of steps short enough for a bound on it.

Sizes are read off shapes at trace time, before anything is compiled or run.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from lstm_jax.errors import WrongValue
from lstm_jax.unrolling.blocks import even_block

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Part(NamedTuple):
    """One cell of a call that is run over time by a method, and its memory in bytes.

    whole: of the arrays over all steps that no blocks avoid: outputs, their cotangents and those
        of the inputs.
    state: of what stands between two blocks. step: of what is kept for each step of a block.
    """

    cell: str
    method: str
    why: tuple[str, ...]
    steps: int
    whole: int
    state: int
    step: int


def part(
    cell: str,
    method: str,
    why: tuple[str, ...],
    run: Callable[..., Any],
    params: Any,
    xs: jax.Array,
    state: Any,
    masks: Any,
) -> Part:
    """Measures ``run(params, xs, state, masks) -> (state, ys)``."""

    def kept(steps: int) -> int:
        few = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct((steps, *a.shape[1:]), a.dtype), (xs, masks)
        )

        def residuals(params: Any, state: Any, xs: Any, masks: Any) -> Any:
            floats = lambda params, xs: run(params, xs, state, masks)  # noqa: E731
            return jax.vjp(floats, params, xs)[1]

        return _bytes(jax.eval_shape(residuals, params, state, *few))

    ys = jax.eval_shape(lambda *args: run(*args)[1], params, xs, state, masks)
    whole = 2 * _bytes(ys) + _bytes(xs)
    return Part(cell, method, why, xs.shape[0], whole, _bytes(state), max(kept(2) - kept(1), 1))


def bound_in_bytes(argument: str, value: str) -> int:
    """``"64 MiB"`` as a number of bytes."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", value)
    if match is None or match[2] not in UNITS:
        raise WrongValue(
            f"{argument}: got {value!r}; takes a number of steps, 'auto', or a bound on memory "
            f"such as '64 MiB' (units {', '.join(UNITS)})"
        )
    return int(float(match[1]) * UNITS[match[2]])


def block_for(argument: str, value: str, parts: Sequence[Part]) -> int | None:
    """The steps of a block: the most for which all fits into the bound ``value``, or with "auto"
    as many as keep least. None: no blocks are needed."""
    steps = max((p.steps for p in parts), default=0)
    if steps == 0:
        return None
    states, step = sum(p.steps * p.state for p in parts), max(p.step for p in parts)
    least = even_block(math.sqrt(states / (2 * step)), steps)
    if value == "auto":
        return least
    bound = bound_in_bytes(argument, value)
    if needed(parts, None) <= bound:
        return None
    if needed(parts, least) > bound:
        raise WrongValue(
            f"{argument}: got {value!r}, but the backward pass of this call takes "
            f"{readable(needed(parts, least))} or more"
        )
    equal = (n for n in range(steps // 2, least, -1) if steps % n == 0)
    return next((n for n in equal if needed(parts, n) <= bound), least)


def needed(parts: Sequence[Part], block: int | None) -> int:
    """About the bytes that the backward pass takes with blocks of ``block`` steps, or with none.

    What is kept of a step counts twice where it is read again: its cotangents stand beside it.
    """
    whole = sum(p.whole for p in parts)
    if block is None:
        return whole + sum(p.steps * p.step for p in parts) + max(p.steps * p.step for p in parts)
    states = sum(math.ceil(p.steps / block) * p.state for p in parts)
    return whole + states + max(2 * block * p.step for p in parts)


def readable(size: int) -> str:
    unit = next((u for u in ("GiB", "MiB", "KiB") if size >= UNITS[u]), "B")
    return f"{size / UNITS[unit]:.3g} {unit}"


def _bytes(tree: Any) -> int:
    return sum(
        math.prod(leaf.shape) * getattr(leaf.dtype, "itemsize", 4) for leaf in jax.tree.leaves(tree)
    )
