"""``lj.trace``: every gate, state and attention weight of an unroll, step by step."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator

import jax

from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Inputs, Key, Lengths, Params, Resets, StateT
from lstm_jax.insight.following import follow
from lstm_jax.insight.traces import Trace, field_names
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.call import Call
from lstm_jax.unrolling.parts import start_traversal

ATTENTION = "attention"  # what ``keep`` calls the attention weights


@default_promotion
def trace(
    cell: Cell[StateT],
    params: Params,
    xs: Inputs,
    state: StateT | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    key: Key | None = None,
    keep: Iterable[str] | None = None,
) -> Trace[StateT]:
    """Runs ``cell`` over ``xs`` as ``lj.unroll`` does, and keeps what it computed at every step.

        trace = lj.trace(cell, params, xs)
        trace.gates["forget"], trace.states.c  # [T, *batch, H]

    The numbers are those of ``lj.unroll(..., method="scan")``, and gradients pass through all of
    them. For a gated cell it takes at most 1.5 times as long as the unroll (``python -m
    benchmarks.studies.trace``); all cells are scanned, whatever their fastest method.

    Args:
        cell: The cell, or a layer such as ``lj.bidirectional``.
        params: As for ``lj.unroll``, like the arguments that follow.
        xs: The inputs, ``[T, *batch, D]``.
        state: The state before the first step.
        lengths: The number of steps that count in each row, ``[*batch]``.
        resets: Where rows start anew, ``[T, *batch]``.
        reverse: Whether each row runs from its last step that counts to its first.
        key: The random key of noisy cells.
        keep: The names of the gates and of the fields of the state that are kept, and "attention"
            for attention weights; by default everything. Outputs are always kept.

    Returns:
        The ``Trace``.

    Raises:
        ValueError, TypeError: For a wrong argument, and for a name in ``keep`` that the cell does
            not have.
    """
    call = check_call(cell, params, xs, state, lengths, resets, key, reverse)
    if keep is None:
        return _run(call, None)
    if isinstance(keep, str) or not isinstance(keep, Iterable):
        raise WrongType(f"keep: expected a tuple of names, got {keep!r}")
    names = tuple(keep)
    if not all(isinstance(name, str) for name in names):
        raise WrongType(f"keep: expected a tuple of names, got {names!r}")
    return _run(call, names)


@functools.partial(jax.jit, static_argnums=1, inline=True)
def _run(call: Call, keep: tuple[str, ...] | None) -> Trace:
    """``trace`` of checked arguments."""
    whole = follow(start_traversal(call))
    if keep is None:
        return whole
    names = sorted(set(_names(whole)))
    for name in keep:
        if name not in names:
            raise WrongValue(
                f"keep: expected names among {', '.join(names)} for {call.cell.name}, got {name!r}"
            )
    return _keep_only(whole, frozenset(keep))


def _names(trace: Trace) -> Iterator[str]:
    """The names that ``keep`` may have."""
    yield from trace.gates
    yield from (name for name in field_names(trace.states) if name is not None)
    if trace.attention is not None:
        yield ATTENTION
    for part in trace.parts.values():
        yield from _names(part)


def _keep_only(trace: Trace, names: frozenset[str]) -> Trace:
    leaves, tree = jax.tree.flatten(trace.states)
    kept = [
        leaf if name in names else None
        for leaf, name in zip(leaves, field_names(trace.states), strict=True)
    ]
    return dataclasses.replace(
        trace,
        states=jax.tree.unflatten(tree, kept),
        gates={name: gate for name, gate in trace.gates.items() if name in names},
        attention=trace.attention if ATTENTION in names else None,
        parts={name: _keep_only(part, names) for name, part in trace.parts.items()},
    )
