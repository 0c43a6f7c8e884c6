"""What ``lj.trace`` returns."""

import dataclasses
from typing import Any, Generic

import jax
import jax.numpy as jnp

from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.typing import State, StateT, StateT_co
from lstm_jax.unrolling.call import STATIC
from lstm_jax.unrolling.masks import where


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Trace(Generic[StateT_co]):
    """What a cell computed at every step of a sequence.

    Attributes:
        outputs: As ``lj.unroll`` returns them, ``[T, *batch, H]``.
        states: The states after each step: the cell's own NamedTuple, each leaf with a leading T.
            In the padding they are frozen. A field that ``keep`` leaves out is None.
        gates: The gates by name, ``[T, *batch, H]``, or ``[T, *batch, heads]`` with one per head;
            zero in the padding. Empty for a chain and for a bidirectional layer, see ``parts``.
        attention: The attention weights, ``[T, *batch, W]`` or ``[T, *batch, heads, W]``, zero in
            the padding; None for a cell without attention.
        parts: The traces of the layers of a chain ("0", "1", ...) or of the two directions
            ("forward", "backward") by name. Other wrappers show the gates, attention weights and
            parts of the cell that they wrap.
        mask: The steps that count, ``[T, *batch]``.
        resets: Where a row starts anew in the direction of travel, ``[T, *batch]``; or None.
        start: The state before the first step in the direction of travel.
        last: The state after the last step in the direction of travel, as ``lj.unroll`` returns it.
        initial: The state that a reset returns to.
        reverse: Whether the rows ran from their last step to their first.
    """

    outputs: Any  # arrays; but a pytree must hold whatever a function of its leaves returns
    states: StateT_co
    gates: dict[str, Any]
    attention: Any
    parts: dict[str, "Trace[Any]"]
    mask: Any
    resets: Any
    start: StateT_co
    last: StateT_co
    initial: StateT_co
    reverse: bool = dataclasses.field(metadata=STATIC)

    @property
    def previous(self) -> StateT_co:
        """The states that the steps read, ``[T, ...]`` in each leaf: those of the step before, or
        the initial state where a row starts anew.

        Raises:
            ValueError: For a layer whose parts ran in both directions; take that of its parts.
        """
        if not self.runs_one_way(self.reverse):
            raise WrongValue(
                "previous: expected a trace in one direction, got one with parts in both; read it "
                "from its parts"
            )

        def shift(states: jax.Array | None, start: jax.Array, initial: jax.Array) -> Any:
            if states is None:
                return None
            before = [start[None], states[:-1]]
            if self.reverse:
                before = [states[1:], start[None]]
            read = jnp.concatenate(before)[: states.shape[0]]
            if self.resets is None:
                return read
            return where(self.resets, jnp.broadcast_to(initial, read.shape), read)

        return map_kept(shift, self.states, self.start, self.initial)

    def runs_one_way(self, reverse: bool) -> bool:
        """Whether this trace and all its parts ran in the direction that ``reverse`` says."""
        parts = self.parts.values()
        return self.reverse == reverse and all(part.runs_one_way(reverse) for part in parts)

    def row(self, index: int | tuple[int, ...]) -> "Trace[StateT_co]":
        """The trace of one row of the batch, without batch axes.

        Args:
            index: The place of the row, one integer per batch axis.

        Raises:
            ValueError, TypeError: For another number of integers, and outside the batch.
        """
        batch = self.mask.shape[1:]
        places = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(i, int) and not isinstance(i, bool) for i in places):
            raise WrongType(f"index: expected an integer per batch axis, got {index!r}")
        if len(places) != len(batch) or not all(
            -n <= i < n for i, n in zip(places, batch, strict=True)
        ):
            raise WrongValue(f"index: expected a row of a batch of shape {batch}, got {index!r}")
        return _row(self, places)


def map_kept(function: Any, states: State, *others: State) -> State:
    """``jax.tree.map`` over ``states``, in which None is a leaf of its own."""
    return jax.tree.map(function, states, *others, is_leaf=lambda leaf: leaf is None)


def _row(trace: Trace[StateT], places: tuple[int, ...]) -> Trace[StateT]:
    def at_steps(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[(slice(None), *places)], tree)

    def without_time(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[places], tree)

    return dataclasses.replace(
        trace,
        outputs=at_steps(trace.outputs),
        states=at_steps(trace.states),
        gates=at_steps(trace.gates),
        attention=at_steps(trace.attention),
        parts={name: _row(part, places) for name, part in trace.parts.items()},
        mask=at_steps(trace.mask),
        resets=at_steps(trace.resets),
        start=without_time(trace.start),
        last=without_time(trace.last),
        initial=without_time(trace.initial),
    )


def field_names(tree: Any) -> list[str | None]:
    """The name of each leaf of a state: that of the innermost field that it is in, or None."""
    paths = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda leaf: leaf is None)[0]
    return [
        next(
            (key.name for key in reversed(path) if isinstance(key, jax.tree_util.GetAttrKey)), None
        )
        for path, _ in paths
    ]
