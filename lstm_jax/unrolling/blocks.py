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
    """Scans ``body(carry, block) -> (carry, outs)`` over blocks of steps.

    Steps that do not fill a block form a shorter one at the end of time.

    Args:
        body: The function of one block.
        carry: The carry before the first block in the direction of travel.
        inputs: A tree of arrays ``[T, ...]``, of which a block has ``[every, ...]``.
        every: The steps of a block; None for one block of all steps.
        reverse: Whether to go from the last block to the first.

    Returns:
        ``(carry, outs)``, with outs ``[T, ...]``.
    """
    steps = jax.tree.leaves(inputs)[0].shape[0]
    if every is None or every >= steps:
        return body(carry, inputs)
    count = steps // every
    whole = count * every
    head = jax.tree.map(lambda a: a[:whole].reshape(count, every, *a.shape[1:]), inputs)
    rest = jax.tree.map(lambda a: a[whole:], inputs)

    def run_head(carry: Any) -> tuple[Any, Any]:
        carry, outs = jax.lax.scan(body, carry, head, reverse=reverse)
        return carry, jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), outs)

    if whole == steps:
        return run_head(carry)
    if reverse:
        carry, rest_outs = body(carry, rest)
        carry, head_outs = run_head(carry)
    else:
        carry, head_outs = run_head(carry)
        carry, rest_outs = body(carry, rest)
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), head_outs, rest_outs)


def even_block(wanted: float, steps: int) -> int:
    """A number of steps between half and twice ``wanted`` that divides ``steps``, if there is one.

    Otherwise a shorter block remains, whose body is compiled separately, and which costs a copy of
    all inputs and outputs.
    """
    near = range(max(1, math.ceil(wanted / 2)), min(steps, math.floor(wanted * 2)) + 1)
    equal = [n for n in near if steps % n == 0]
    rounded = max(1, min(steps, round(wanted)))
    return min(equal, key=lambda n: abs(math.log(n / wanted)), default=rounded)
