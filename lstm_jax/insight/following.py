"""One traversal of a cell in which every step shows its gates and state.

A composite is followed part by part, in the same way as it is unrolled, so that its states over
time are put together by its own ``over_time``.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.core.forms import Composite, Observed, PartCall
from lstm_jax.core.steps import add_part, observe
from lstm_jax.core.typing import State
from lstm_jax.insight.traces import Trace, map_kept
from lstm_jax.unrolling.masks import (
    Masks,
    differentiable,
    narrow_floats,
    where,
    widen_floats,
    zero_where_not,
)
from lstm_jax.unrolling.methods.traversal import Traversal
from lstm_jax.unrolling.parts import segment_starts


class Disturbed(NamedTuple):
    """A leaf of a state together with what is added to it after each step, ``[T, *batch, ...]``.

    ``lj.insight`` differentiates by ``added``, which is zero.
    """

    value: jax.Array
    added: jax.Array | None


class Followed(NamedTuple):
    """A leaf of the states of a part: over time, and after the last step."""

    states: jax.Array
    last: jax.Array


def is_followed(leaf: Any) -> bool:
    """Whether ``leaf`` is a ``Followed``, which is a leaf of a state to ``jax.tree.map``."""
    return isinstance(leaf, Followed)


def is_disturbed(leaf: Any) -> bool:
    """Whether ``leaf`` is a ``Disturbed``, which is a leaf of a state to ``jax.tree.map``."""
    return isinstance(leaf, Disturbed)


def follow(traversal: Traversal) -> Trace:
    """The trace of a traversal, whose resets are those of the call, also in reverse.

    The leaves of ``traversal.state`` may be ``Disturbed``.
    """
    cell, params, xs, state, initial, (valid, resets), reverse = traversal
    if not isinstance(cell.form, Composite):
        starts = segment_starts(resets, valid, reverse)
        return _scan(traversal._replace(masks=Masks(valid, starts)))
    shown = Observed({})

    def run_part(part: PartCall) -> tuple[State, jax.Array]:
        nonlocal shown
        trace = follow(traversal.of_part(part))
        observed = Observed(trace.gates, trace.attention, trace.parts)
        shown = add_part(shown, part.name, trace, observed)
        return jax.tree.map(Followed, trace.states, trace.last), trace.outputs

    followed, ys = cell.form.run_parts(run_part, params, xs, state, initial)
    states, last = (
        jax.tree.map(lambda leaf, i=i: leaf[i], followed, is_leaf=is_followed) for i in (0, 1)
    )
    return _trace_of(traversal, states, last, zero_where_not(valid, ys), shown)


def _scan(traversal: Traversal) -> Trace:
    """The trace of a cell that is not a composite, step by step.

    As in the method "scan", the loop narrows the params in each step, so that the gradients of
    bfloat16 weights are summed over time in float32.
    """
    cell, params, xs, state, initial, masks, reverse = traversal
    disturbed = any(is_disturbed(leaf) for leaf in jax.tree.leaves(state, is_leaf=is_disturbed))
    start = undisturbed(state)
    added = _added(state) if disturbed else None
    step, wide = observe(cell), widen_floats(params)

    def body(state: State, inputs: tuple[Any, ...]) -> tuple[State, tuple[Any, ...]]:
        x, valid, reset, added = inputs
        if reset is not None:
            read = where(reset if valid is None else reset & valid, initial, state)
        else:
            read = state
        new, y, observed = step(narrow_floats(wide, params), read, x)
        if added is not None:
            new = map_kept(lambda a, leaf: leaf if a is None else leaf + a, added, new)
        new = where(valid, new, state)
        return new, (new, zero_where_not(valid, y), _mask_observed(valid, observed))

    inputs = (xs, masks.valid, masks.resets, added)
    last, (states, ys, observed) = jax.lax.scan(body, start, inputs, reverse=reverse)
    if observed.parts:  # the step shows parts, as that of an attentive cell around a chain does
        x = jnp.zeros(xs.shape[1:], xs.dtype)
        firsts = [step(params, state, x)[2] for state in (start, initial)]
        observed = _trace_parts(traversal, observed, *firsts)
    return _trace_of(traversal, states, last, ys, observed)


def _mask_observed(valid: jax.Array | None, observed: Observed) -> Observed:
    """``observed`` of one step with zeros in the padding, where parts keep the state they read."""
    gates, attention = zero_where_not(valid, observed[:2])
    parts = {
        name: (
            read,
            where(valid, new, read),
            zero_where_not(valid, y),
            _mask_observed(valid, inner),
        )
        for name, (read, new, y, inner) in observed.parts.items()
    }
    return Observed(gates, attention, parts)


def _trace_parts(
    traversal: Traversal, observed: Observed, start: Observed, initial: Observed
) -> Observed:
    """``observed`` over time, with traces as its parts.

    The states in which the parts start, and to which resets return, are those that they read in a
    step from the whole's.
    """
    parts = {}
    for name, (_, states, ys, inner) in observed.parts.items():
        read, _, _, first = start.parts[name]
        reset_to, _, _, first_after_reset = initial.parts[name]
        part = traversal._replace(state=read, initial=reset_to)
        inner = _trace_parts(part, inner, first, first_after_reset)
        end = 0 if traversal.reverse else -1
        last = jax.tree.map(
            lambda leaf, start, end=end: leaf[end] if len(leaf) else start, states, read
        )
        parts[name] = _trace_of(part, states, last, ys, inner)
    return observed._replace(parts=parts)


def _trace_of(
    traversal: Traversal, states: State, last: State, ys: jax.Array, observed: Observed
) -> Trace:
    valid, resets = traversal.masks
    steps, *shape = traversal.xs.shape
    rows = (steps, *traversal.cell.batch_shape(tuple(shape)))
    mask = jnp.ones(rows, bool) if valid is None else valid
    gates, attention, parts = observed
    if isinstance(traversal.cell.form, Composite):
        resets = segment_starts(resets, valid, traversal.reverse)
    start, initial = undisturbed(traversal.state), traversal.initial
    return Trace(
        ys, states, gates, attention, parts, mask, resets, start, last, initial, traversal.reverse
    )


def disturb(traversal: Traversal, added: State) -> Traversal:
    """``traversal`` with ``added`` to its states, ``[T, *batch, ...]`` in each leaf or None."""
    state = map_kept(lambda added, leaf: Disturbed(leaf, added), added, traversal.state)
    return traversal._replace(state=state)


def zeros_to_add(traversal: Traversal) -> State:
    """Zeros for ``disturb``, and None for leaves that are not floats."""

    def zeros(leaf: jax.Array) -> jax.Array | None:
        shape = (len(traversal.xs), *leaf.shape)
        return jnp.zeros(shape, leaf.dtype) if differentiable(leaf) else None

    return jax.tree.map(zeros, traversal.state)


def undisturbed(state: State) -> State:
    """``state`` with the values of leaves that are ``Disturbed``."""
    return jax.tree.map(
        lambda leaf: leaf.value if is_disturbed(leaf) else leaf, state, is_leaf=is_disturbed
    )


def _added(state: State) -> State:
    return jax.tree.map(lambda leaf: leaf.added, state, is_leaf=is_disturbed)
