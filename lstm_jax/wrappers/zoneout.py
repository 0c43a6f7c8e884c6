"""Zoneout: units keep their old state at random."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Composite, Form, Gated, Plain
from lstm_jax.core.recipes import factory
from lstm_jax.core.states import match_scales, scales
from lstm_jax.core.steps import advance_of, observe
from lstm_jax.core.typing import StateT
from lstm_jax.wrappers.noise import (
    CountedState,
    bernoulli,
    initial_state_with_count,
    keys_of_step,
    prepare_with,
    row_keys,
)
from lstm_jax.wrappers.shapes import shapes_of_params, shapes_of_state


@factory
def zoneout(cell: Cell[StateT], rate: float | Mapping[str, float]) -> Cell[CountedState[StateT]]:
    """Zoneout: each unit keeps its old state with probability ``rate``.

    Krueger et al. 2017, eq. 3 to 5. In evaluation a unit takes the mean of its old and new state,
    weighted by the rate. A memory that is kept divided by ``exp(m)``, as in ``lj.slstm``, is zoned
    out as a whole: c, n and m together.

    Params are the cell's; state ``CountedState``.

    Args:
        cell: A single cell whose output is the field ``h [*batch, H]`` of its state; in a chain,
            zone out its cells.
        rate: One rate for ``h`` and, if the state has it, ``c``; or one per field, such as
            ``{"h": 0.05, "c": 0.5}``.

    Raises:
        ValueError, TypeError: For other cells and other fields.
    """
    cell_checks.cell("cell", cell)
    fields, together = _state_fields(cell)
    if isinstance(rate, Mapping):
        for field in rate:
            checking.choice("rate", field, fields)
        rates = {
            field: checking.rate(f"rate[{field!r}]", rate[field])
            for field in fields  # in this order, since a field's noise depends on its place
            if field in rate
        }
    else:
        value = checking.rate("rate", rate)
        rates = {field: value for field in ("h", "c") if field in fields}

    def zone(noise, old, new):
        """Mixes the old and the new state of the cell, field by field: ``(state, h)``."""
        state = new
        for i, (field, p) in enumerate(rates.items()):
            if p == 0:
                continue
            before, after, scale = old.cell, new, together.get(field)
            names = [field] if scale is None else [*scales(new)[scale], scale]
            if noise is None:
                if scale is not None:
                    before, after = match_scales(before, after, scale)
                mixed = {n: p * getattr(before, n) + (1.0 - p) * getattr(after, n) for n in names}
                if scale is not None:
                    mixed[scale] = getattr(after, scale)
            else:
                keys = keys_of_step(keys_of_step(noise, jnp.full_like(old.t, i)), old.t)
                kept = bernoulli(keys, p, getattr(old.cell, field).shape[-cell.feature_axes :])
                mixed = {n: jnp.where(kept, getattr(before, n), getattr(after, n)) for n in names}
            state = state._replace(**mixed)
        return CountedState(state, old.t + 1), state.h

    def observe_zoned(params, state, x):
        new, y, observed = observe(cell)(params.params, state.cell, x)
        state, h = zone(params.noise, state, new)
        return state, h.astype(y.dtype), observed

    inner = cell.form
    form: Form = Plain(observe_zoned)
    if isinstance(inner, Gated) and not _has_projection(cell):

        def pointwise(vectors, state, z, r):
            new, _, gates = inner.pointwise(vectors[0], state.cell, z, r)
            state, h = zone(vectors[1], state, new)
            return state, h, gates

        def split(params):
            weights, vectors = inner.split(params.params)
            return weights, (vectors, params.noise)

        form = inner._replace(
            pointwise=pointwise,
            split=split,
            source=lambda v, state: inner.source(v[0], state.cell),
        )

    zoned: Cell[Any] = cell._replace(
        name="zoneout",
        initial_state=initial_state_with_count(cell),
        advance=advance_of(form),
        form=form,
        prepare=prepare_with(cell, row_keys),
    )
    return zoned


def _state_fields(cell: Cell) -> tuple[tuple[str, ...], dict[str, str]]:
    """The fields of the state that can be zoned out.

    Returns:
        The fields, and for each that is kept divided by ``exp(m)`` the name of m.
    """
    state = None if isinstance(cell.form, Composite) else shapes_of_state(cell)
    h = getattr(state, "h", None)
    if (
        state is None
        or h is None
        or h.shape != (*cell.grid.outputs, cell.size)
        or not _outputs_field(cell, "h")
    ):
        raise WrongValue(
            "cell: expected a cell whose output is its state's field h [*batch, H], "
            f"got {cell.name}; zone out the cells inside it"
        )
    together, hidden = {}, set()
    for scale, (first, *others) in scales(state).items():
        together[first] = scale
        hidden |= {scale, *others}
    fields = [
        field
        for field, leaf in zip(state._fields, state, strict=True)
        if leaf.ndim == cell.feature_axes
        and jnp.issubdtype(leaf.dtype, jnp.floating)
        and field not in hidden
    ]
    return tuple(fields), together


def _outputs_field(cell: Cell, field: str) -> bool:
    """Whether the output of ``cell`` is the ``field`` of its new state."""
    same: list[bool] = []

    def step(params: Any, state: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        new, y = cell.advance(cell.prepare(params, (), None), state, x)
        same.append(getattr(new, field) is y)
        return getattr(new, field), y

    x = jax.ShapeDtypeStruct((*cell.grid.inputs, 1), jnp.float32)
    shapes = shapes_of_params(cell), shapes_of_state(cell), x
    value, y = jax.eval_shape(step, *shapes)
    if same[0] or value.shape != y.shape:
        return same[0]
    # They may be two computations of one value, such as two calls of a compiled function.
    with jax.ensure_compile_time_eval():
        leaves, tree = jax.tree.flatten(shapes)
        values = [jnp.full(leaf.shape, 0.1 + 0.01 * i, leaf.dtype) for i, leaf in enumerate(leaves)]
        value, y = jax.jit(step)(*jax.tree.unflatten(tree, values))
        return bool(jnp.allclose(value, y, rtol=1e-2, atol=1e-6))  # y may be narrower


def _has_projection(cell: Cell) -> bool:
    """Whether a projection mixes the units after ``pointwise``, which then lacks the final h."""
    assert isinstance(cell.form, Gated)
    params = jax.eval_shape(lambda p: cell.prepare(p, (), None), shapes_of_params(cell))
    return jax.eval_shape(cell.form.split, params)[0].w_p is not None
