"""The way of relevance back through a cell of the gated form: two layers and ``pointwise``."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.core.forms import Gated
from lstm_jax.core.numerics import product, wide
from lstm_jax.core.steps import input_product
from lstm_jax.core.typing import Params, State
from lstm_jax.insight.attribution.programs import Value, record
from lstm_jax.insight.attribution.rules import Options, Share, convert, propagate
from lstm_jax.unrolling.masks import where, zero_where_not
from lstm_jax.unrolling.methods.traversal import Traversal

# What the gates of pointwise are in a product, where their names say so.
IS_GATE = dict.fromkeys(("input", "forget", "output", "update", "reset"), True) | dict.fromkeys(
    ("cell", "candidate"), False
)


def back_of_gated(
    traversal: Traversal, trace: Any, form: Gated, options: Options
) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """The way back through a cell of the gated form, step by step."""
    step = _back_of_step(traversal.params, form, options)

    def back(of_ys: jax.Array) -> tuple[jax.Array, jax.Array]:
        def body(
            carry: tuple[Any, ...], inputs: tuple[Any, ...]
        ) -> tuple[tuple[Any, ...], jax.Array]:
            of_new, of_start = carry
            x, read, of_y, valid, reset = inputs
            of_read, of_x = step(read, x, of_new, zero_where_not(valid, of_y))
            of_read = [
                old if new is None else where(valid, new, old)
                for new, old in zip(of_read, of_new, strict=True)
            ]
            if reset is not None:  # what reaches the initial state goes no further back
                cut = reset & valid
                none = jax.tree.map(jnp.zeros_like, of_read)
                of_start = of_start + jnp.where(cut, _total(of_read, cut.ndim), 0)
                of_read = where(cut, none, of_read)
            return (of_read, of_start), zero_where_not(valid, of_x)

        none = _reached(step, traversal, of_ys)
        start = jnp.zeros(of_ys.shape[1:-1], of_ys.dtype)
        inputs = (traversal.xs, trace.previous, of_ys, trace.mask, trace.resets)
        (of_read, of_start), of_xs = jax.lax.scan(
            body, (none, start), inputs, reverse=not traversal.reverse
        )
        return of_xs, of_start + _total(of_read, of_start.ndim)

    return back


def _reached(step: Callable[..., Any], traversal: Traversal, of_ys: jax.Array) -> list[Any]:
    """Zeros for the leaves of the state that relevance can reach, None for the others.

    Others, such as the normaliser of the sLSTM, may come from equations without a rule.
    """
    leaves, reached = _floats(traversal.state), 0
    of_state: list[Any] = [None] * len(leaves)
    while True:
        shape = jax.eval_shape(step, traversal.state, traversal.xs[0], of_state, of_ys[0])[0]
        of_state = [
            None if old is None and new is None else wide(jnp.zeros_like(leaf))
            for leaf, old, new in zip(leaves, of_state, shape, strict=True)
        ]
        count = sum(share is not None for share in of_state)
        if count == reached:
            return of_state
        reached = count


def _back_of_step(params: Params, form: Gated, options: Options) -> Callable[..., Any]:
    """``(state, x, of_new, of_y) -> (of_state, of_x)`` for one step.

    The relevance of a state is a list with one array per floating leaf, or None for zero.
    """
    weights, vectors = form.split(params)
    fixed, structure = jax.tree.flatten(vectors)

    def step(
        state: State, x: jax.Array, of_new: list[Any], of_y: jax.Array
    ) -> tuple[list[Any], jax.Array]:
        leaves, of_leaves = jax.tree.flatten(state)
        inputs = [Value(leaf, False) for leaf in fixed]
        read = [Value(leaf, jnp.issubdtype(leaf.dtype, jnp.floating)) for leaf in leaves]
        reading = [*inputs, *read]
        count = len(fixed)

        def unflatten(arrays: Any) -> tuple[Any, State]:
            return (
                jax.tree.unflatten(structure, arrays[:count]),
                jax.tree.unflatten(of_leaves, arrays[count : len(reading)]),
            )

        to_source, (source,) = record(lambda *arrays: [form.source(*unflatten(arrays))], reading)
        z = Value(input_product(weights, x), True)
        r = Value(product(source.array, weights.w_h), True)
        names: list[str] = []

        def pointwise(*arrays: Any) -> list[Any]:
            new, m, gates = form.pointwise(*unflatten(arrays), *arrays[-2:])
            names.extend(gates)
            hidden = None if weights.w_p is None else new.h
            floats = [leaf for leaf in _floats(new) if leaf is not hidden]
            return [m, *floats, *gates.values()]

        operations, outs = record(pointwise, [*reading, z, r])
        for name, gate in zip(names, outs[len(outs) - len(names) :], strict=True):
            gate.gate = IS_GATE.get(name, gate.gate)
        m, *new = outs[: len(outs) - len(names)]
        of_m = of_y
        if weights.w_p is not None:  # the field h of the new state is the projected output
            place = [leaf is state.h for leaf in _floats(state)].index(True)
            of_y = of_y if of_new[place] is None else of_y + of_new[place]
            of_new = [share for i, share in enumerate(of_new) if i != place]
            of_m = _through_layer(m.array, weights.w_p, of_y, options)
        wanted = [(m, Share(of_m)), *((v, Share(s)) for v, s in zip(new, of_new, strict=True))]
        found = propagate(operations, wanted, options)

        of_z, of_r = convert(found(z), z.array, options), convert(found(r), r.array, options)
        of_source = _times_layer(source.array, weights.w_h, of_r.factor)
        of_x = _times_layer(x, weights.w_x, of_z.factor)
        if options.bias_factor:
            taken = _sum_last(of_z.spread) + _sum_last(of_r.spread)
            if weights.b is not None and of_z.factor is not None:
                taken = taken + options.bias_factor * _sum_last(of_z.factor * weights.b)
            each = jnp.asarray(taken)[..., None] / (x.shape[-1] + source.array.shape[-1])
            of_source, of_x = of_source + each, of_x + each
        through = propagate(to_source, [(source, Share(of_source))], options)
        shares = [(value, found(value).plus(through(value))) for value in read if value.data]
        of_state = [None if s.is_zero else s.total(wide(value.array)) for value, s in shares]
        return of_state, of_x

    return step


def _times_layer(inputs: jax.Array, w: jax.Array, factor: Any) -> jax.Array:
    """The relevance of the inputs of ``inputs @ w``, whose result has that factor."""
    inputs = wide(inputs)
    return jnp.zeros_like(inputs) if factor is None else inputs * (factor @ wide(w).T)


def _through_layer(inputs: jax.Array, w: jax.Array, of_outputs: Any, options: Options) -> Any:
    """The relevance of the inputs of a layer without bias."""
    share = convert(Share(of_outputs), product(inputs, w), options)
    spread = jnp.asarray(_sum_last(share.spread))[..., None] / w.shape[0]
    return _times_layer(inputs, w, share.factor) + spread


def _sum_last(part: Any) -> Any:
    return 0.0 if part is None else jnp.sum(part, axis=-1)


def _floats(state: State) -> list[Any]:
    return [s for s in jax.tree.leaves(state) if jnp.issubdtype(s.dtype, jnp.floating)]


def _total(shares: list[Any], rank: int) -> jax.Array:
    """The sum of the relevance of a state, ``[*batch]``."""
    there = [share for share in shares if share is not None]
    return sum(jnp.sum(s, axis=tuple(range(rank, s.ndim))) for s in there)  # type: ignore
