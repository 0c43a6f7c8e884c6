"""A loop over blocks of time, the last of which may be shorter."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def over_blocks(
    body: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    inputs: Any,
    every: int | None,
    *,
    reverse: bool,
) -> tuple[Any, Any]:
    """Scans ``body(carry, block) -> (carry, outs)`` over blocks of ``every`` steps.

    Leaves of ``inputs`` and of the outs are ``[T, ...]``, those of a block ``[every, ...]``; what
    is left over stands in a block of its own at the end of time. None: one block of all steps.
    """
    steps = jax.tree.leaves(inputs)[0].shape[0]
    if every is None or every >= steps:
        return body(carry, inputs)
    count = steps // every
    whole = count * every
    head = jax.tree.map(lambda a: a[:whole].reshape(count, every, *a.shape[1:]), inputs)
    rest = jax.tree.map(lambda a: a[whole:], inputs)
    parts = []

    def run_head(carry: Any) -> Any:
        carry, outs = jax.lax.scan(body, carry, head, reverse=reverse)
        parts.append(jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), outs))
        return carry

    def run_rest(carry: Any) -> Any:
        if whole < steps:
            carry, outs = body(carry, rest)
            parts.append(outs)
        return carry

    for run in (run_rest, run_head) if reverse else (run_head, run_rest):
        carry = run(carry)
    if len(parts) == 1:
        return carry, parts[0]
    first, last = parts[::-1] if reverse else parts
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, last)


def even_block(wanted: float, steps: int) -> int:
    """The steps of a block near to ``wanted`` (half to twice as many) that leaves no rest, where
    there is one: a rest is compiled a second time, and costs a copy of all inputs and outputs."""
    near = range(max(1, math.ceil(wanted / 2)), min(steps, math.floor(wanted * 2)) + 1)
    equal = [n for n in near if steps % n == 0]
    rounded = max(1, min(steps, round(wanted)))
    return min(equal, key=lambda n: abs(math.log(n / wanted)), default=rounded)
