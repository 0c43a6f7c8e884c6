"""Noise against overfitting: dropout, dropped connections, zoneout.

All randomness comes from the sequence's key, given to ``lj.unroll`` or to ``step``; without it
a noisy cell does what it does in evaluation. Masks that last a sequence come from the key alone.
Noise of a single step comes from a key a row and from the row's count of steps since its start,
which stands in the state: so chunks, recomputation and every method see the same noise, and a
row that is reset sees what a new sequence would. Inside ``shard_map`` give each device a key of
its own, or the rows of all devices get the same noise.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax import checking
from lstm_jax.cell import BatchShape, Cell, Composite, Gated, gated_advance
from lstm_jax.compose.layers import NO_GATES, split_key
from lstm_jax.errors import WrongValue
from lstm_jax.recipes import factory


class Noisy(NamedTuple):
    """Prepared params with the noise of this sequence; None where there was no key."""

    params: Any
    noise: Any


class CountedState(NamedTuple):
    """A cell's state beside the count of steps ``t [*batch]`` since the row's start."""

    cell: Any
    t: jax.Array


def _prepare_with(cell: Cell, draw: Callable[[Any, BatchShape, Any], Any]) -> Callable:
    """A ``prepare`` that adds ``draw(params, batch_shape, key)`` to the cell's own."""

    def prepare(params, batch_shape, key):
        inner_key, own_key = split_key(key, 2)
        inner = cell.prepare(params, batch_shape, inner_key)
        return Noisy(inner, None if key is None else draw(inner, batch_shape, own_key))

    return prepare


def _row_keys(params: Any, batch_shape: BatchShape, key: Any) -> jax.Array:
    return jax.random.split(key, batch_shape)


def _bernoulli(keys: jax.Array, probability: float, width: int) -> jax.Array:
    """``[*rows, width]`` of booleans, each row from its own key."""
    draw = lambda key: jax.random.bernoulli(key, probability, (width,))  # noqa: E731
    for _ in range(keys.ndim):
        draw = jax.vmap(draw)
    return draw(keys)


def _at_step(keys: jax.Array, t: jax.Array) -> jax.Array:
    """The key of step ``t [*rows]`` of each row; ``keys`` may lack leading (time) axes."""
    keys = _spread_like(keys, t)
    fold = jax.random.fold_in
    for _ in range(keys.ndim):
        fold = jax.vmap(fold)
    for _ in range(t.ndim - keys.ndim):
        fold = jax.vmap(fold, in_axes=(None, 0))
    return fold(keys, t)


def _spread_like(keys: jax.Array, rows: jax.Array) -> jax.Array:
    """On an Explicit mesh: the rows' keys where the rows are."""
    spec = jax.typeof(rows).sharding.spec[rows.ndim - keys.ndim : rows.ndim]
    if all(axis is None for axis in spec):
        return keys
    return jax.sharding.reshard(keys, jax.sharding.PartitionSpec(*spec))


def _counted(cell: Cell) -> Callable[..., CountedState]:
    def initial_state(params, batch_shape=(), dtype=None):
        state = cell.initial_state(params, batch_shape, dtype)
        return CountedState(state, jnp.zeros(batch_shape, jnp.uint32))

    return initial_state


# Counts the steps of each row, with the unroll's own lengths and resets: y is t, then t += 1.
_COUNTER = Cell("count", 0, NO_GATES, lambda *_: (), lambda *_: (), lambda p, t, x: (t + 1, t))


@factory
def dropout(cell: Cell, rate: float, *, on: str = "input", variational: bool = False) -> Cell:
    """Sets a share ``rate`` of units to zero and scales the others by ``1 / (1 - rate)``.

    on: "input", "output", or "recurrent" (what ``w_h`` multiplies, of a gated cell).
    variational: one mask a sequence (Gal & Ghahramani 2016) and not one a step. Recurrent
        dropout takes it only, since fresh masks at each step wipe the memory.

    Between layers as in Zaremba et al. 2014: ``chain(a, dropout(b, 0.5), ...)``. The params are
    the cell's; the state too, or ``CountedState`` where masks are drawn at each step.
    """
    checking.the_cell("cell", cell)
    rate = checking.rate("rate", rate)
    checking.choice("on", on, ("input", "output", "recurrent"))
    checking.flag("variational", variational)
    if on == "recurrent":
        if not variational:
            raise WrongValue("variational: got False for recurrent dropout; takes True")
        return _recurrent_dropout(cell, rate, "dropout")

    def drop(keys, t, values):
        if keys is None:
            return values
        keys = keys if t is None else _at_step(keys, t)
        mask = _bernoulli(keys, 1.0 - rate, values.shape[-1])
        return jnp.where(mask, values / (1.0 - rate), 0).astype(values.dtype)

    def around(inner: Callable[[Any], tuple], keys: Any, t: Any, x: jax.Array) -> tuple:
        if on == "input":
            return inner(drop(keys, t, x))
        state, y = inner(x)
        return state, drop(keys, t, y)

    def advance(params, state, x):
        if variational:
            return around(lambda x: cell.advance(params.params, state, x), params.noise, None, x)
        inner, y = around(
            lambda x: cell.advance(params.params, state.cell, x), params.noise, state.t, x
        )
        return CountedState(inner, state.t + 1), y

    def over_time(run, params, xs, state, initial):
        if variational:
            return around(
                lambda xs: run(cell, params.params, xs, state, initial), params.noise, None, xs
            )
        t, ts = run(_COUNTER, (), xs, state.t, initial.t, method="scan")
        inner, ys = around(
            lambda xs: run(cell, params.params, xs, state.cell, initial.cell), params.noise, ts, xs
        )
        return CountedState(inner, t), ys

    return cell._replace(
        name="dropout",
        initial_state=cell.initial_state if variational else _counted(cell),
        advance=advance,
        form=Composite(over_time),
        prepare=_prepare_with(cell, _row_keys),
    )


def _recurrent_dropout(cell: Cell, rate: float, name: str) -> Cell:
    inner = cell.form
    if not isinstance(inner, Gated):
        raise WrongValue(f"on: got 'recurrent' for {cell.name}; takes a cell of the gated form")

    def draw(params, batch_shape, key):
        weights, _ = inner.split(params)
        keys = _row_keys(params, batch_shape, key)
        return _bernoulli(keys, 1.0 - rate, weights.w_h.shape[0])

    def split(params):
        weights, vectors = inner.split(params.params)
        return weights, (vectors, params.noise)

    def source(vectors, state):
        h = inner.source(vectors[0], state)
        return h if vectors[1] is None else jnp.where(vectors[1], h / (1.0 - rate), 0)

    def pointwise(vectors, state, z, r):
        return inner.pointwise(vectors[0], state, z, r)

    form = Gated(pointwise, split, source, inner.additive)
    return cell._replace(
        name=name, advance=gated_advance(form), form=form, prepare=_prepare_with(cell, draw)
    )


@factory
def drop_connect(cell: Cell, rate: float) -> Cell:
    """Sets a share ``rate`` of the recurrent weights (``w_h``, ``w_g``) to zero, the same ones for
    all steps and rows of a sequence, and scales the others by ``1 / (1 - rate)`` (Merity et al.
    2018, "weight drop", after Wan et al. 2013). Params, state and form are the cell's.
    """
    checking.the_cell("cell", cell)
    rate = checking.rate("rate", rate)

    def prepare(params, batch_shape, key):
        inner_key, own_key = split_key(key, 2)
        if key is not None:
            paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
            recurrent = [p for p in paths if getattr(p[-1], "key", None) in ("w_h", "w_g")]
            if not recurrent:
                raise WrongValue(f"cell: got {cell.name}; drop_connect takes one with a w_h")
            keys = dict(zip(recurrent, jax.random.split(own_key, len(recurrent)), strict=True))

            def mask(path, leaf):
                if path not in keys:
                    return leaf
                kept = jax.random.bernoulli(keys[path], 1.0 - rate, leaf.shape)
                return jnp.where(kept, leaf / (1.0 - rate), 0)

            params = jax.tree_util.tree_map_with_path(mask, params)
        return cell.prepare(params, batch_shape, inner_key)

    return cell._replace(name="drop_connect", prepare=prepare)


@factory
def zoneout(cell: Cell, rate: float | Mapping[str, float]) -> Cell:
    """Each unit keeps its old state with probability ``rate`` (Krueger et al. 2017, eq. 3 to 5);
    in evaluation it takes the mean of the two, weighted by it.

    rate: for ``h`` and, where the state has it, ``c``; or one a field, such as
        ``{"h": 0.05, "c": 0.5}``.
    Params are the cell's; state ``CountedState``. For one cell with a state field ``h``, its
    output; in a chain, zone the layers out.
    """
    checking.the_cell("cell", cell)
    fields = _state_fields(cell)
    if isinstance(rate, Mapping):
        for field in rate:
            checking.choice("rate", field, fields)
        rates = {
            field: checking.rate(f"rate[{field!r}]", rate[field])
            for field in fields  # in their order: a field's noise depends on its place
            if field in rate
        }
    else:
        value = checking.rate("rate", rate)
        rates = {field: value for field in ("h", "c") if field in fields}

    def zone(noise, old, new):
        """Old and new states of the cell, mixed by field."""
        kept = {}
        for i, (field, p) in enumerate(rates.items()):
            before, after = getattr(old.cell, field), getattr(new, field)
            if noise is None:
                kept[field] = p * before + (1.0 - p) * after
            else:
                keys = _at_step(_at_step(noise, jnp.full_like(old.t, i)), old.t)
                kept[field] = jnp.where(_bernoulli(keys, p, before.shape[-1]), before, after)
        state = new._replace(**kept)
        return CountedState(state, old.t + 1), state.h

    def advance(params, state, x):
        new, y = cell.advance(params.params, state.cell, x)
        state, h = zone(params.noise, state, new)
        return state, h.astype(y.dtype)

    inner, form = cell.form, None
    if isinstance(inner, Gated) and not _projected(cell):

        def pointwise(vectors, state, z, r):
            new, _, gates = inner.pointwise(vectors[0], state.cell, z, r)
            state, h = zone(vectors[1], state, new)
            return state, h, gates

        def split(params):
            weights, vectors = inner.split(params.params)
            return weights, (vectors, params.noise)

        form = Gated(
            pointwise, split, lambda v, state: inner.source(v[0], state.cell), inner.additive
        )

    return cell._replace(
        name="zoneout",
        initial_state=_counted(cell),
        advance=advance if form is None else gated_advance(form),
        form=form,
        prepare=_prepare_with(cell, _row_keys),
    )


def _shapes(cell: Cell) -> Any:
    return jax.eval_shape(lambda key: cell.init(key, 1), jax.random.key(0))


def _state_fields(cell: Cell) -> tuple[str, ...]:
    if not isinstance(cell.form, Composite):
        state = jax.eval_shape(cell.initial_state, _shapes(cell))
        if "h" in getattr(state, "_fields", ()):
            return state._fields
    raise WrongValue(f"cell: got {cell.name}; zoneout takes one cell with a state field h")


def _projected(cell: Cell) -> bool:
    """A projection mixes units behind the gates, so that their state is not yet the cell's."""
    assert isinstance(cell.form, Gated)
    params = jax.eval_shape(lambda p: cell.prepare(p, (), None), _shapes(cell))
    return jax.eval_shape(cell.form.split, params)[0].w_p is not None
