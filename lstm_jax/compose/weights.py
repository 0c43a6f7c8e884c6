"""Wrappers about parameters: how they start, which state they give, in what precision they work."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import checking
from lstm_jax.cell import Cell, Composite, without_memory
from lstm_jax.errors import WrongType, WrongValue
from lstm_jax.initializers import Initializer
from lstm_jax.recipes import factory


@factory
def initialize(
    cell: Cell,
    *,
    w_x: Initializer | None = None,
    w_h: Initializer | None = None,
    b: Initializer | None = None,
) -> Cell:
    """``cell`` with other initial weights, such as ``lj.initialize(cell, b=chrono(200))``.

    w_x, w_h, b: from ``lj.initializers``; None leaves the cell's own.
    For one cell; in a chain, initialise the layers. ``init`` raises ValueError where the cell
    has no such entry.
    """
    checking.the_cell("cell", cell)
    given = {name: f for name, f in {"w_x": w_x, "w_h": w_h, "b": b}.items() if f is not None}
    for name, initializer in given.items():
        if not callable(initializer):
            raise WrongType(f"{name}: got {initializer!r}; takes one of lj.initializers")

    def init(key, input_size, dtype=jnp.float32):
        key = checking.random_key("key", key)
        params = cell.init(key, input_size, dtype)
        # fold_in(key, i) is what split(key) gives as its i-th: far from those that init took.
        own = jax.random.fold_in(key, 2**31 - 1)
        for i, (name, initializer) in enumerate(given.items()):
            if not isinstance(params, dict) or name not in params:
                raise WrongValue(f"{name}: {cell.name} has no such entry; initialise its parts")
            shape = params[name].shape
            axis = cell.axis.leading(shape[-1])  # some biases are those of the gates alone
            try:
                leaf = initializer(jax.random.fold_in(own, i), shape[:-1], axis, dtype)
            except Exception as error:
                raise WrongValue(
                    f"{name}: {error or type(error).__name__}; takes one of lj.initializers "
                    f"that gives {shape}, or each_gate(f) of a function f(key, shape, dtype)"
                ) from error
            if jnp.shape(leaf) != shape:
                raise WrongValue(f"{name}: got shape {jnp.shape(leaf)}; takes {shape}")
            params = params | {name: leaf.astype(dtype)}
        return params

    return cell._replace(name="initialize", init=init)


@factory
def learned_state(cell: Cell) -> Cell:
    """``cell`` whose initial state is learned: a vector a state field, zero at the start.

    Params ``{"cell", "state"}``; the state is the cell's, and resets return to the learned one.
    """
    checking.the_cell("cell", cell)

    def init(key, input_size, dtype=jnp.float32):
        inner = cell.init(key, input_size, dtype)
        state = cell.initial_state(inner, ())
        return {"cell": inner, "state": jax.tree.map(lambda s: s.astype(dtype), _floats(state))}

    def initial_state(params, batch_shape=(), dtype=None):
        checking.entries("params", params, ("cell", "state"), "learned_state")
        zeros = cell.initial_state(params["cell"], batch_shape, dtype)
        return jax.tree.map(
            lambda zero, start: zero if start is None else zero + start.astype(zero.dtype),
            zeros,
            params["state"],
            is_leaf=lambda leaf: leaf is None,
        )

    def prepare(params, batch_shape, key):
        return params | {"cell": cell.prepare(params["cell"], batch_shape, key)}

    def advance(params, state, x):
        return cell.advance(params["cell"], state, x)

    def over_time(run, params, xs, state, initial):
        return run(cell, params["cell"], xs, state, initial)

    return cell._replace(
        name="learned_state",
        init=init,
        initial_state=initial_state,
        prepare=prepare,
        advance=advance,
        form=Composite(over_time),
    )


def _floats(state: Any) -> Any:
    """``state`` without its counts, which are not learned."""
    return jax.tree.map(
        lambda leaf: leaf if jnp.issubdtype(leaf.dtype, jnp.floating) else None, state
    )


def mixed_precision(cell: Cell, compute_dtype: Any = "bfloat16") -> Cell:
    """``cell`` with its products in ``compute_dtype`` and all else as it was.

    Params keep the dtype they were made in and the state stays float32: the matrices are cast
    once a sequence, products are summed in float32, gates are computed in float32, and outputs
    come in ``compute_dtype``. A memory (``lj.attentive``) is cast as matrices are.
    """
    checking.the_cell("cell", cell, memory=True)
    # Without its memory, which is no part of what is compiled and kept.
    return _mixed_precision(without_memory(cell), compute_dtype)._replace(memory=cell.memory)


@factory
def _mixed_precision(cell: Cell, compute_dtype: Any = "bfloat16") -> Cell:
    dtype = checking.float_dtype("compute_dtype", compute_dtype)

    def cast(leaf: jax.Array) -> jax.Array:
        matrix = leaf.ndim >= 2 and jnp.issubdtype(leaf.dtype, jnp.floating)  # masks are none
        return leaf.astype(dtype) if matrix else leaf

    def prepare(params, batch_shape, key):
        return cell.prepare(jax.tree.map(cast, params), batch_shape, key)

    return cell._replace(name="mixed_precision", prepare=prepare)
