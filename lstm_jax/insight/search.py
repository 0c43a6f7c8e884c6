"""Which units are active over a range of steps, and where else they are."""

from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.insight.memory import check_trace
from lstm_jax.insight.traces import Trace, field_names

OUTPUTS = "outputs"


class Selection(NamedTuple):
    """The units that are active over a range of steps of one row.

    Attributes:
        units: Their places in the last axis, ascending.
        row: The place of the row in the batch, one integer per batch axis.
        start, stop: The range, from ``start`` up to but without ``stop``.
        threshold: The least value of an active unit.
        name: What was searched: "outputs", a field of the state, or a gate.
    """

    units: np.ndarray
    row: tuple[int, ...]
    start: int
    stop: int
    threshold: float
    name: str


class Moment(NamedTuple):
    """A range of steps of one row in which units of a selection are active.

    Attributes:
        row: The place of the row in the batch, one integer per batch axis.
        start, stop: The range, from ``start`` up to but without ``stop``.
        share: The mean over these steps of the share of the selection's units that are active.
        units: The units that are active at all of these steps.
    """

    row: tuple[int, ...]
    start: int
    stop: int
    share: float
    units: np.ndarray


def active_units(
    trace: Trace,
    start: int,
    stop: int,
    threshold: float,
    *,
    row: int | tuple[int, ...] = (),
    name: str = OUTPUTS,
    alone: bool = False,
) -> Selection:
    """The units that are active at every step of a range.

        selection = lj.insight.active_units(trace, 12, 17, 0.3, row=0, name="c")
        lj.insight.matching_moments(trace, selection)[:5]

    This is the selection of LSTMVis (Strobelt et al. 2018, "LSTMVis: A tool for visual analysis of
    hidden state dynamics", section 5.1), as is ``matching_moments``. It takes one pass over the
    range.

    Args:
        trace: A trace of a cell; of a chain or a bidirectional layer, one of its ``parts``, except
            for its outputs.
        start: The first step of the range.
        stop: The step after its last.
        threshold: The least value of an active unit.
        row: The place of the row, an integer per batch axis; nothing without batch axes.
        name: What to search: "outputs", a field of the state such as "c", or a gate such as
            "forget".
        alone: Whether the units must also be inactive at the steps just before and just after the
            range, if these count.

    Returns:
        The ``Selection``, whose ``units`` may be none.

    Raises:
        ValueError, TypeError: For a wrong argument, such as a range outside the row.
    """
    values, mask = _searched(trace, name)
    place = _place(row, mask.shape[1:])
    threshold = checking.real("threshold", threshold)
    checking.flag("alone", alone)
    own = mask[(slice(None), *place)]
    steps = int(own.sum())
    for argument, value in (("start", start), ("stop", stop)):
        checking.seed(argument, value)
    if not start < stop <= steps:
        raise WrongValue(
            f"stop: expected a range within the {steps} steps of the row, got {start} to {stop}"
        )
    active = values[(slice(None), *place)] >= threshold
    chosen = active[start:stop].all(axis=0)
    if alone:
        for step in (start - 1, stop):
            if 0 <= step < steps:
                chosen &= ~active[step]
    return Selection(np.flatnonzero(chosen), place, int(start), int(stop), threshold, name)


def matching_moments(
    trace: Trace,
    selection: Selection,
    *,
    share: float = 0.5,
    count: int = 20,
    itself: bool = False,
) -> list[Moment]:
    """The other moments at which most units of a selection are active, the best first.

    A moment is a longest range of steps at each of which at least ``share`` of the units are
    active. First come those with the largest mean share, then those whose length is closest to that
    of the selection, then those of earlier rows and steps. See ``active_units`` for the source and
    an example. It takes one pass over the trace.

    Args:
        trace: The trace to search, of the same cell; it may be of other sequences.
        selection: As ``active_units`` returns it.
        share: The least share of the units that must be active, above 0 and at most 1.
        count: The most moments that are returned.
        itself: Whether moments that overlap with the selection, in its own row, are returned too:
            True for a trace of other sequences.

    Returns:
        The moments, in their order.

    Raises:
        ValueError, TypeError: For a wrong argument, such as a selection without units.
    """
    if not isinstance(selection, Selection):
        raise WrongType(
            f"selection: expected the result of active_units, got {type(selection).__name__}"
        )
    values, mask = _searched(trace, selection.name)
    if not len(selection.units):
        raise WrongValue("selection: expected at least one unit, got none; lower its threshold")
    if max(selection.units) >= values.shape[-1]:
        raise WrongValue(
            f"trace: expected at least {max(selection.units) + 1} units in "
            f"{selection.name}, got {values.shape[-1]}"
        )
    if not 0 < checking.real("share", share) <= 1:
        raise WrongValue(f"share: expected a number above 0 and at most 1, got {share}")
    count = checking.positive_int("count", count)
    checking.flag("itself", itself)
    active = (values[..., selection.units] >= selection.threshold) & mask[..., None]
    shares = active.mean(axis=-1)
    length = selection.stop - selection.start
    moments = []
    for row in np.ndindex(mask.shape[1:]):
        own = shares[(slice(None), *row)]
        for start, stop in _runs(own >= share - 1e-9):
            overlaps = start < selection.stop and selection.start < stop
            if row == selection.row and overlaps and not itself:
                continue
            throughout = active[(slice(start, stop), *row)].all(axis=0)
            mean = float(own[start:stop].mean())
            moments.append(Moment(row, start, stop, mean, selection.units[throughout]))
    moments.sort(key=lambda m: (-round(m.share, 9), abs(m.stop - m.start - length), m.row, m.start))
    return moments[:count]


def _runs(on: np.ndarray) -> list[tuple[int, int]]:
    """The longest ranges of True in ``on [T]``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _searched(trace: Any, name: Any) -> tuple[Any, Any]:
    """The values ``[T, *batch, units]`` of that name, and the mask ``[T, *batch]``."""
    check_trace(trace)
    options = {OUTPUTS: trace.outputs}
    names, leaves = field_names(trace.states), jax.tree.leaves(trace.states, is_leaf=_is_none)
    rank = trace.mask.ndim + 1
    options |= {
        name: leaf
        for name, leaf in zip(names, leaves, strict=True)
        if name is not None and leaf is not None and leaf.ndim == rank and not trace.parts
    }
    options |= {name: gate for name, gate in trace.gates.items() if gate.ndim == rank}
    return np.asarray(options[checking.choice("name", name, options)]), np.asarray(trace.mask)


def _is_none(leaf: Any) -> bool:
    return leaf is None


def _place(row: Any, batch: tuple[int, ...]) -> tuple[int, ...]:
    place = row if isinstance(row, tuple) else (row,)
    if not all(isinstance(i, int | np.integer) and not isinstance(i, bool) for i in place):
        raise WrongType(f"row: expected an integer per batch axis, got {row!r}")
    if len(place) != len(batch) or not all(0 <= i < n for i, n in zip(place, batch, strict=True)):
        raise WrongValue(f"row: expected a row of a batch of shape {batch}, got {row!r}")
    return tuple(int(i) for i in place)
