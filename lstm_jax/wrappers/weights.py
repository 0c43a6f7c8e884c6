"""Wrappers that change parameters: initial weights, a learned initial state, mixed precision."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.core.cell import Cell, without_memory
from lstm_jax.core.forms import Composite
from lstm_jax.core.initializers import Initializer
from lstm_jax.core.recipes import factory
from lstm_jax.core.states import learnable_fields
from lstm_jax.core.steps import advance_of
from lstm_jax.core.typing import StateT
from lstm_jax.wrappers.shapes import shapes_of_params, shapes_of_state


@factory
def initialize(
    cell: Cell[StateT],
    *,
    w_x: Initializer | None = None,
    w_h: Initializer | None = None,
    b: Initializer | None = None,
) -> Cell[StateT]:
    """``cell`` with other initial weights.

        cell = lj.initialize(lj.lstm(128), b=lj.initializers.chrono(200))

    Args:
        cell: A single cell; in a chain, initialise its cells.
        w_x: The initialiser of the input weights, from ``lj.initializers``; by default the cell's.
        w_h: The initialiser of the recurrent weights, likewise.
        b: The initialiser of the bias, likewise.

    Raises:
        ValueError: For a cell without such an entry; in ``init``, for an initialiser that does not
            fit the entry.
    """
    cell_checks.cell("cell", cell)
    entries = {"w_x": w_x, "w_h": w_h, "b": b}
    initializers = {name: f for name, f in entries.items() if f is not None}
    for name, initializer in initializers.items():
        if not callable(initializer):
            raise WrongType(f"{name}: expected one of lj.initializers, got {initializer!r}")
    shapes = shapes_of_params(cell)
    for name in initializers:
        if not isinstance(shapes, dict) or name not in shapes:
            raise WrongValue(
                f"{name}: expected a cell with such an entry in its params, got {cell.name}; "
                "initialise the cells inside it"
            )

    def init(key, input_size, dtype=jnp.float32):
        key = checking.random_key("key", key)
        params = cell.init(key, input_size, dtype)
        # fold_in(key, i) equals the i-th key of split(key), so i is far from those that init uses.
        own = jax.random.fold_in(key, 2**31 - 1)
        for i, (name, initializer) in enumerate(initializers.items()):
            shape = params[name].shape
            axis = cell.axis.leading(shape[-1])  # in some cells only the first gates have a bias
            try:
                leaf = initializer(jax.random.fold_in(own, i), shape[:-1], axis, dtype)
            except ArgumentError as error:
                raise WrongValue(f"{name}: {error}") from error
            except Exception as error:  # anything, since the initialiser is the caller's
                raise WrongValue(
                    f"{name}: expected one of lj.initializers for shape {shape}, or "
                    "each_gate(f) of a function f(key, shape, dtype), got the error "
                    f"{str(error) or type(error).__name__}"
                ) from error
            if jnp.shape(leaf) != shape:
                raise WrongValue(f"{name}: expected shape {shape}, got {jnp.shape(leaf)}")
            params = params | {name: leaf.astype(dtype)}
        return params

    return cell._replace(name="initialize", init=init)


@factory
def learned_state(cell: Cell[StateT]) -> Cell[StateT]:
    """``cell`` with a learned initial state.

    A learned vector, initially zero, is added to each field of the cell's own initial state, which
    is zero in most cells. Resets return to the learned state. Counts are not learned, nor are
    fields that only a step can fill, such as the keys of an empty window; for these, ``"state"``
    has None.

    Params ``{"cell", "state"}``; the state is the cell's.

    Args:
        cell: A cell with a field that can be learned.

    Raises:
        ValueError: For a cell without such a field.
    """
    cell_checks.cell("cell", cell)
    if not jax.tree.leaves(learnable_fields(shapes_of_state(cell))):
        raise WrongValue(
            "cell: expected a cell with an initial state that can be learned, "
            f"got {cell.name}, whose state only its steps can fill"
        )

    def init(key, input_size, dtype=jnp.float32):
        inner = cell.init(key, input_size, dtype)
        state = cell.initial_state(inner, ())
        return {
            "cell": inner,
            "state": jax.tree.map(lambda s: jnp.zeros_like(s, dtype), learnable_fields(state)),
        }

    def initial_state(params, batch_shape=(), dtype=None):
        cell_checks.entries("params", params, ("cell", "state"), "learned_state")
        cell_checks.floating("params['state']", params["state"])
        own = cell.initial_state(params["cell"], batch_shape, dtype)
        return jax.tree.map(
            lambda leaf, added: leaf if added is None else leaf + added.astype(leaf.dtype),
            own,
            params["state"],
            is_leaf=lambda leaf: leaf is None,
        )

    def prepare(params, batch_shape, key):
        return params | {"cell": cell.prepare(params["cell"], batch_shape, key)}

    def over_time(run, params, xs, state, initial):
        return run(cell, params["cell"], xs, state, initial)

    form = Composite(over_time)
    return cell._replace(
        name="learned_state",
        init=init,
        initial_state=initial_state,
        prepare=prepare,
        advance=advance_of(form),
        form=form,
    )


def mixed_precision(cell: Cell[StateT], compute_dtype: Any = "bfloat16") -> Cell[StateT]:
    """``cell`` with its products in ``compute_dtype``.

    Params keep their dtype and the state stays float32. Matrices are cast once per sequence,
    products are summed in float32, gates are computed in float32, and outputs have
    ``compute_dtype``. A memory (``lj.attentive``) is cast like the matrices.

    "bfloat16" has the range of float32 and needs nothing else. "float16" has a largest number of
    65,504 and rounds numbers below 6e-8 to zero, so that the cotangents of a small loss vanish. It
    needs loss scaling (Micikevicius et al. 2018, section 3.2), which is up to the caller:
    differentiate ``2**15 * loss`` and divide the gradient by ``2**15``, as
    ``optax.chain(optax.scale(2.0**-15), optimizer)`` does, inside ``optax.apply_if_finite``, which
    skips a step whose gradient has overflowed (then use a smaller factor).

    Args:
        cell: Any cell.
        compute_dtype: A floating dtype of 16 bits or more.
    """
    cell_checks.cell("cell", cell, memory=True)
    # The memory must not become part of the cached cell.
    return _mixed_precision(without_memory(cell), compute_dtype)._replace(memory=cell.memory)


@factory
def _mixed_precision(cell: Cell, compute_dtype: Any = "bfloat16") -> Cell:
    dtype = checking.float_dtype("compute_dtype", compute_dtype)

    def cast(leaf: jax.Array) -> jax.Array:
        matrix = leaf.ndim >= 2 and jnp.issubdtype(leaf.dtype, jnp.floating)  # not masks
        return leaf.astype(dtype) if matrix else leaf

    def prepare(params, batch_shape, key):
        return cell.prepare(jax.tree.map(cast, params), batch_shape, key)

    return cell._replace(name="mixed_precision", prepare=prepare)
