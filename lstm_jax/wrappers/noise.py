"""Noise against overfitting: dropout of units and of connections (``zoneout`` has its own file).

All randomness comes from the key of the sequence, which is given to ``lj.unroll`` or ``step``.
Without a key there is no noise, as in evaluation. Masks that last a sequence come from the key
alone. Noise of a single step comes from one key per row and from the row's count of steps since its
start, which is in the state. So chunks, recomputation and all methods see the same noise, and a row
that is reset sees the noise of a new sequence. This holds only for threefry, so keys of other
generators are first turned into threefry keys (``checking.random_key``). Inside ``shard_map``, give
each device its own key; otherwise the rows of all devices get the same noise.
"""

from collections.abc import Callable
from typing import Any, Generic, Literal, NamedTuple, overload

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.generators import split_key
from lstm_jax.core.cell import Cell, InitialState, Prepare
from lstm_jax.core.forms import Composite, Gated
from lstm_jax.core.gates import NO_GATES
from lstm_jax.core.recipes import factory
from lstm_jax.core.steps import advance_of
from lstm_jax.core.typing import BatchShape, StateT, StateT_co, generic_tuple
from lstm_jax.wrappers.shapes import shapes_of_params


class Noisy(NamedTuple):
    """Prepared params with the noise of this sequence, which is None without a key."""

    params: Any
    noise: Any


@generic_tuple
class CountedState(NamedTuple, Generic[StateT_co]):
    """A cell's state, and the count ``t [*batch]`` of steps since the row's start."""

    cell: StateT_co
    t: jax.Array


def prepare_with(cell: Cell, draw: Callable[[Any, BatchShape, Any], Any]) -> Prepare:
    """A ``prepare`` that adds ``draw(params, batch_shape, key)`` to the cell's own."""

    def prepare(params, batch_shape, key):
        inner_key, own_key = split_key(key, 2)
        inner = cell.prepare(params, batch_shape, inner_key)
        return Noisy(inner, None if key is None else draw(inner, batch_shape, own_key))

    return prepare


def row_keys(params: Any, batch_shape: BatchShape, key: Any) -> jax.Array:
    """One key per row, ``[*batch]``."""
    return jax.random.split(key, batch_shape)


def bernoulli(keys: jax.Array, probability: float, shape: tuple[int, ...]) -> jax.Array:
    """Draws booleans ``[*rows, *shape]``, each row from its own key."""
    share = jnp.float32(probability)  # under 64 bits a Python float would change the draws
    draw = lambda key: jax.random.bernoulli(key, share, shape)  # noqa: E731
    for _ in range(keys.ndim):
        draw = jax.vmap(draw)
    return draw(keys)


def keys_of_step(keys: jax.Array, t: jax.Array) -> jax.Array:
    """The keys of the steps ``t [*rows]``; ``keys`` may lack leading (time) axes."""
    keys = _spread_like(keys, t)
    fold = jax.random.fold_in
    for _ in range(keys.ndim):
        fold = jax.vmap(fold)
    for _ in range(t.ndim - keys.ndim):
        fold = jax.vmap(fold, in_axes=(None, 0))
    return fold(keys, t)


def _spread_like(keys: jax.Array, rows: jax.Array) -> jax.Array:
    """On an Explicit mesh: the keys on the devices of their rows."""
    spec = jax.typeof(rows).sharding.spec[rows.ndim - keys.ndim : rows.ndim]
    if all(axis is None for axis in spec):
        return keys
    return jax.sharding.reshard(keys, jax.sharding.PartitionSpec(*spec))


def initial_state_with_count(cell: Cell[StateT]) -> InitialState[CountedState[StateT]]:
    """An ``initial_state`` that adds a count of steps to the cell's."""

    def initial_state(params, batch_shape=(), dtype=None):
        state = cell.initial_state(params, batch_shape, dtype)
        return CountedState(state, jnp.zeros(batch_shape, jnp.uint32))

    return initial_state


# Counts the steps of each row under the unroll's lengths and resets: y is t, then t += 1.
_COUNTER: Cell[Any] = Cell(
    "count", 0, NO_GATES, lambda *_: (), lambda *_: (), lambda p, t, x: (t + 1, t)
)


@overload
def dropout(
    cell: Cell[StateT], rate: float, *, on: str = "input", variational: Literal[False] = False
) -> Cell[CountedState[StateT]]: ...


@overload
def dropout(
    cell: Cell[StateT], rate: float, *, on: str = "input", variational: Literal[True]
) -> Cell[StateT]: ...


@overload
def dropout(
    cell: Cell[StateT], rate: float, *, on: str = "input", variational: bool = False
) -> Any: ...  # a cell of either state


@factory
def dropout(cell: Cell, rate: float, *, on: str = "input", variational: bool = False) -> Cell[Any]:
    """Sets a share ``rate`` of units to zero and scales the others by ``1 / (1 - rate)``.

        cell = lj.chain(lj.lstm(64), lj.dropout(lj.lstm(64), 0.5))  # Zaremba et al. 2014

    Params are the cell's. The state is the cell's too, or ``CountedState`` if masks are drawn at
    each step.

    Args:
        cell: Any cell; for ``on="recurrent"`` one of the gated form.
        rate: The share of units, in [0, 1).
        on: "input", "output", or "recurrent", which is what ``w_h`` multiplies.
        variational: Whether there is one mask per sequence (Gal & Ghahramani 2016) instead of one
            per step. Recurrent dropout requires it, since new masks at each step would erase the
            memory.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    cell_checks.cell("cell", cell)
    rate = checking.rate("rate", rate)
    checking.choice("on", on, ("input", "output", "recurrent"))
    checking.flag("variational", variational)
    if on == "recurrent":
        if not variational:
            raise WrongValue("variational: expected True for recurrent dropout, got False")
        return _recurrent_dropout(cell, rate, "dropout")

    def drop(keys, t, values):
        if keys is None:
            return values
        keys = keys if t is None else keys_of_step(keys, t)
        mask = bernoulli(keys, 1.0 - rate, values.shape[-cell.feature_axes :])
        return jnp.where(mask, values / (1.0 - rate), 0).astype(values.dtype)

    def drop_around(
        inner: Callable[[Any], tuple[Any, jax.Array]], keys: Any, t: Any, x: jax.Array
    ) -> tuple[Any, jax.Array]:
        if on == "input":
            return inner(drop(keys, t, x))
        state, y = inner(x)
        return state, drop(keys, t, y)

    def over_time(run, params, xs, state, initial):
        if variational:
            return drop_around(
                lambda xs: run(cell, params.params, xs, state, initial), params.noise, None, xs
            )
        t, ts = run(_COUNTER, (), xs, state.t, initial.t, method="scan")
        inner, ys = drop_around(
            lambda xs: run(cell, params.params, xs, state.cell, initial.cell), params.noise, ts, xs
        )
        return CountedState(inner, t), ys

    form = Composite(over_time)
    return cell._replace(
        name="dropout",
        initial_state=cell.initial_state if variational else initial_state_with_count(cell),
        advance=advance_of(form),
        form=form,
        prepare=prepare_with(cell, row_keys),
    )


def _recurrent_dropout(cell: Cell[StateT], rate: float, name: str) -> Cell[StateT]:
    inner = cell.form
    if not isinstance(inner, Gated):
        raise WrongValue(
            f"on: expected 'input' or 'output' for {cell.name}, which is not of the gated form, "
            "got 'recurrent'"
        )
    prepared = jax.eval_shape(lambda p: cell.prepare(p, (), None), shapes_of_params(cell))
    if not jax.eval_shape(lambda p: inner.split(p)[0], prepared).w_h.shape[0]:
        raise WrongValue(
            f"on: expected 'input' or 'output' for {cell.name}, which has no recurrent product, "
            "got 'recurrent'"
        )

    def draw(params, batch_shape, key):
        weights, _ = inner.split(params)
        keys = row_keys(params, batch_shape, key)
        return bernoulli(keys, 1.0 - rate, (*cell.grid.outputs, weights.w_h.shape[-2]))

    def split(params):
        weights, vectors = inner.split(params.params)
        return weights, (vectors, params.noise)

    def source(vectors, state):
        h = inner.source(vectors[0], state)
        return h if vectors[1] is None else jnp.where(vectors[1], h / (1.0 - rate), 0)

    def pointwise(vectors, state, z, r):
        return inner.pointwise(vectors[0], state, z, r)

    form = inner._replace(pointwise=pointwise, split=split, source=source)
    return cell._replace(
        name=name, advance=advance_of(form), form=form, prepare=prepare_with(cell, draw)
    )


@factory
def drop_connect(cell: Cell[StateT], rate: float) -> Cell[StateT]:
    """Sets a share ``rate`` of the recurrent weights to zero.

    These are the weights ``w_h`` and ``w_g``, of all parts of a composite. The same ones are
    dropped for all steps and rows of a sequence, and the others are scaled by ``1 / (1 - rate)``
    (Merity et al. 2018, "weight drop", after Wan et al. 2013). Params, state and form are the
    cell's.

    Args:
        cell: A cell with recurrent weights.
        rate: The share of weights, in [0, 1).

    Raises:
        ValueError: For a cell without recurrent weights.
    """
    cell_checks.cell("cell", cell)
    rate = checking.rate("rate", rate)
    if not _recurrent_weights(shapes_of_params(cell)):
        raise WrongValue(f"cell: expected a cell with recurrent weights (w_h), got {cell.name}")

    def prepare(params, batch_shape, key):
        inner_key, own_key = split_key(key, 2)
        if key is not None:
            recurrent = _recurrent_weights(params)
            keys = dict(zip(recurrent, jax.random.split(own_key, len(recurrent)), strict=True))

            def mask(path, leaf):
                if path not in keys:
                    return leaf
                kept = jax.random.bernoulli(keys[path], jnp.float32(1.0 - rate), leaf.shape)
                return jnp.where(kept, leaf / (1.0 - rate), 0)

            params = jax.tree_util.tree_map_with_path(mask, params)
        return cell.prepare(params, batch_shape, inner_key)

    return cell._replace(name="drop_connect", prepare=prepare)


def _recurrent_weights(params: Any) -> list[Any]:
    """The paths of the recurrent weights in ``params``."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    return [path for path in paths if path and getattr(path[-1], "key", None) in ("w_h", "w_g")]
