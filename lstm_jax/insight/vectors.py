"""States as vectors, one per row, and norms that neither overflow nor underflow."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import ArgumentError, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params, State
from lstm_jax.unrolling.masks import partition


def norm(values: jax.Array, axes: tuple[int, ...] = (-1,)) -> jax.Array:
    """The Euclidean norm over ``axes``.

    The values are scaled by the largest first: gradients that vanish come to 1e-30 in float32, and
    their squares would be zero.
    """
    sizes = jnp.abs(values)
    largest = jnp.max(sizes, axis=axes, keepdims=True, initial=0)
    scale = jnp.where((largest == 0) | jnp.isinf(largest), 1, largest)
    sums = jnp.sum(jnp.square(sizes / scale), axis=axes, keepdims=True)
    return jnp.squeeze(scale * jnp.sqrt(sums), axes)


def ravel_rows(tree: Any, rank: int) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """The leaves ``[*batch, ...]`` of ``tree`` as one vector per row, like ``ravel_pytree``.

    Args:
        tree: Its leaves are real floats; None is no leaf.
        rank: The number of batch axes.

    Returns:
        The vectors ``[*batch, N]``, in the widest dtype and at least float32, and the function
        from vectors ``[*any, N]`` to such trees.
    """
    leaves, structure = jax.tree.flatten(tree)
    shapes, dtypes = [leaf.shape[rank:] for leaf in leaves], [leaf.dtype for leaf in leaves]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    dtype = jnp.result_type(jnp.float32, *dtypes)
    rows = [leaf.reshape(*leaf.shape[:rank], -1).astype(dtype) for leaf in leaves]

    def unravel(vectors: jax.Array) -> Any:
        parts = jnp.split(vectors, ends, axis=-1)
        shaped = [
            part.reshape(*vectors.shape[:-1], *shape).astype(dtype)
            for part, shape, dtype in zip(parts, shapes, dtypes, strict=True)
        ]
        return jax.tree.unflatten(structure, shaped)

    return jnp.concatenate(rows, axis=-1), unravel


def check_real(state: State) -> None:
    """Checks that ``state`` has floating leaves, none of them complex."""
    floats, _ = partition(state)
    leaves = jax.tree_util.tree_leaves_with_path(floats)
    if not leaves:
        raise WrongValue("state: expected a state with floating leaves, got none")
    for path, leaf in leaves:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            name = f"state{jax.tree_util.keystr(path)}"
            raise WrongValue(f"{name}: expected real numbers, got dtype {leaf.dtype.name}")


def check_steps(cell: Cell, params: Params, state: State, x: jax.Array) -> None:
    """Checks that ``cell`` can be stepped, which a layer that reads both ways cannot.

    Args:
        cell: The cell.
        params: Prepared params.
        state: A state.
        x: One input.
    """
    try:
        jax.eval_shape(cell.advance, params, state, x)
    except ArgumentError as error:
        raise WrongValue(
            f"cell: expected a cell that can be stepped, got {cell.name} ({error})"
        ) from None
