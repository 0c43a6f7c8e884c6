"""The contract of cells whose state comes from neighbours: those of trees and graphs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from lstm_jax._internal import checking
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.builders import state_of
from lstm_jax.core.cell import Init, InitialState
from lstm_jax.core.gates import GateAxis
from lstm_jax.core.recipes import FactoryMade
from lstm_jax.core.typing import Params, State


class Received(NamedTuple):
    """What nodes receive along the edges that lead to them, edge by edge.

    Attributes:
        state: The state of the node that each edge comes from, ``[E, ...]``.
        message: What that node sends, ``[E, ...]``.
        target: The row of the node that each edge leads to, ``[E]``, in ascending order; ``rows``
            for an edge that does not count, whose values are zero.
        kind: The kind of each edge, ``[E]``; in a tree the position among the siblings.
        rows: The number of nodes that receive.
    """

    state: State
    message: Any
    target: jax.Array
    kind: jax.Array
    rows: int

    def sum(self, values: jax.Array) -> jax.Array:
        """The sum over the edges of each node: ``[E, ...]`` to ``[rows, ...]``."""
        return jax.ops.segment_sum(values, self.target, self.rows, indices_are_sorted=True)

    def degree(self) -> jax.Array:
        """The number of edges of each node, ``[rows]``."""
        return self.sum(jnp.ones(self.target.shape, jnp.int32))

    def at_target(self, values: jax.Array) -> jax.Array:
        """The values of the nodes that the edges lead to: ``[rows, ...]`` to ``[E, ...]``."""
        return values[jnp.minimum(self.target, self.rows - 1)]

    def softmax(self, scores: jax.Array) -> jax.Array:
        """The softmax of ``scores [E]`` over the edges of each node."""
        high = jax.ops.segment_max(
            jax.lax.stop_gradient(scores), self.target, self.rows, indices_are_sorted=True
        )
        powers = jnp.exp(scores - self.at_target(jnp.where(jnp.isfinite(high), high, 0.0)))
        powers = jnp.where(self.target < self.rows, powers, 0.0)
        total = self.at_target(self.sum(powers))
        return powers / jnp.where(total == 0, 1, total)


class _Fields(NamedTuple):
    name: str
    size: int
    axis: GateAxis
    init: Init
    initial_state: InitialState
    project: Callable[[Params, jax.Array], Any]
    send: Callable[[Params, State], Any]
    receive: Callable[[Params, Any, State | None, Received], State]
    kinds: int = 1
    ordered: bool = False
    reads_own: bool = False


class NodeCell(FactoryMade, _Fields):
    """A cell whose state comes from those of its neighbours: a tuple of pure functions.

    In a sequence a state comes from one other, the last; here from those of the nodes from which
    edges lead to it: a node's children, or its predecessors in a graph. Cells built by equal calls
    of a factory are equal.

    Attributes:
        name: What errors call the cell.
        size: The size H of its output, the field h of its state.
        axis: The packed gate axis of its weights.
        init: ``(key, input_size, dtype=float32) -> params``.
        initial_state: ``(params, batch_shape=(), dtype=None) -> state``.
        project: ``(params, xs [N, D]) -> z``, the work on the inputs, for all nodes at once.
        send: ``(params, state) -> message``, the work on a state that all receivers share.
        receive: ``(params, z, own, received) -> state``, with the node's own last state, which is
            None where it has none, and a ``Received``.
        kinds: The number of kinds of edges that it tells apart.
        ordered: Whether the kind of an edge is the position of a child among its siblings.
        reads_own: Whether ``receive`` reads the node's own last state, so that the cell runs in
            rounds only.
    """

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates, in the order of the packed axis."""
        return self.axis.names


def node_cell(
    name: str,
    size: int,
    axis: GateAxis,
    *,
    init: Callable[[jax.Array, int, Any], Params],
    state: Callable[[Callable[..., jax.Array]], State],
    **functions: Any,
) -> NodeCell:
    """Builds a cell from its equations; see ``NodeCell`` for ``functions``."""

    def checked_init(key: PRNGKeyArray, input_size: int, dtype: Any = jnp.float32) -> Params:
        """Params for inputs of ``input_size``; see the factory for the entries and shapes."""
        key = checking.random_key("key", key)
        input_size = checking.positive_int("input_size", input_size)
        return init(key, input_size, checking.float_dtype("dtype", dtype))

    return NodeCell(name, size, axis, default_promotion(checked_init), state_of(state), **functions)
