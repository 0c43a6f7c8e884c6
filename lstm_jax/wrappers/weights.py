"""Wrappers about parameters: how they start, which state they give, in what precision they work."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.cell import Cell, without_memory
from lstm_jax.core.forms import Composite
from lstm_jax.core.initializers import Initializer
from lstm_jax.core.recipes import factory
from lstm_jax.core.states import learnable_fields
from lstm_jax.wrappers.shapes import shapes_of_params, shapes_of_state


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
    For one cell; in a chain, initialise the layers. Raises ValueError for a cell without such an
    entry, and ``init`` for an initialiser that does not fit it.
    """
    checking.cell("cell", cell)
    given = {name: f for name, f in {"w_x": w_x, "w_h": w_h, "b": b}.items() if f is not None}
    for name, initializer in given.items():
        if not callable(initializer):
            raise WrongType(f"{name}: expected one of lj.initializers, got {initializer!r}")
    entries = shapes_of_params(cell)
    for name in given:
        if not isinstance(entries, dict) or name not in entries:
            raise WrongValue(
                f"{name}: expected a cell with such an entry in its params, got {cell.name}; "
                "initialise the cells that it is made of"
            )

    def init(key, input_size, dtype=jnp.float32):
        key = checking.random_key("key", key)
        params = cell.init(key, input_size, dtype)
        # fold_in(key, i) is what split(key) gives as its i-th: far from those that init took.
        own = jax.random.fold_in(key, 2**31 - 1)
        for i, (name, initializer) in enumerate(given.items()):
            shape = params[name].shape
            axis = cell.axis.leading(shape[-1])  # some biases are those of the gates alone
            try:
                leaf = initializer(jax.random.fold_in(own, i), shape[:-1], axis, dtype)
            except Exception as error:
                raise WrongValue(
                    f"{name}: expected one of lj.initializers that gives {shape}, or "
                    "each_gate(f) of a function f(key, shape, dtype), got "
                    f"{error or type(error).__name__}"
                ) from error
            if jnp.shape(leaf) != shape:
                raise WrongValue(f"{name}: expected {shape}, got shape {jnp.shape(leaf)}")
            params = params | {name: leaf.astype(dtype)}
        return params

    return cell._replace(name="initialize", init=init)


@factory
def learned_state(cell: Cell) -> Cell:
    """``cell`` whose initial state is learned: to each field of the cell's own, which is zero in
    most cells, a vector is added, zero at the start.

    Params ``{"cell", "state"}``; the state is the cell's, and resets return to the learned one.
    Counts are not learned, nor is what only a step can fill, such as the keys of a window that is
    empty at the start; in their place ``"state"`` has None. Raises ValueError for a cell with
    nothing else in its state.
    """
    checking.cell("cell", cell)
    if not jax.tree.leaves(learnable_fields(shapes_of_state(cell))):
        raise WrongValue(
            "cell: expected a cell with an initial state that can be learned, "
            f"got {cell.name}, whose state is filled by its steps alone"
        )

    def init(key, input_size, dtype=jnp.float32):
        inner = cell.init(key, input_size, dtype)
        state = cell.initial_state(inner, ())
        return {
            "cell": inner,
            "state": jax.tree.map(lambda s: jnp.zeros_like(s, dtype), learnable_fields(state)),
        }

    def initial_state(params, batch_shape=(), dtype=None):
        checking.entries("params", params, ("cell", "state"), "learned_state")
        checking.floating("params['state']", params["state"])
        own = cell.initial_state(params["cell"], batch_shape, dtype)
        return jax.tree.map(
            lambda leaf, added: leaf if added is None else leaf + added.astype(leaf.dtype),
            own,
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


def mixed_precision(cell: Cell, compute_dtype: Any = "bfloat16") -> Cell:
    """``cell`` with its products in ``compute_dtype`` and all else as it was.

    Params keep the dtype they were made in and the state stays float32: the matrices are cast
    once a sequence, products are summed in float32, gates are computed in float32, and outputs
    come in ``compute_dtype``. A memory (``lj.attentive``) is cast as matrices are.

    "bfloat16" has the range of float32 and asks for nothing else. "float16" ends at 65,504, and
    below 6e-8 it is zero: cotangents pass through it on their way back, and those of a small loss
    vanish. So float16 takes loss scaling (Micikevicius et al. 2018, section 3.2), which nothing
    here does by itself: differentiate ``2**15 * loss`` and divide the gradient by ``2**15``, as
    ``optax.chain(optax.scale(2.0**-15), optimizer)`` does, with ``optax.apply_if_finite`` around it
    to leave out a step whose gradient has overflowed (then take a smaller factor).
    """
    checking.cell("cell", cell, memory=True)
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
