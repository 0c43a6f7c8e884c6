"""Running a cell over graphs: in topological order, or by rounds of messages."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.dtypes import same_precision
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import like
from lstm_jax.core.typing import AnyArray, Params, State
from lstm_jax.graph.contract import NodeCell, Received
from lstm_jax.graph.levels import Levels
from lstm_jax.graph.packing import Graphs
from lstm_jax.graph.sweep import METHODS, sweep


@default_promotion
def unroll(
    cell: NodeCell,
    params: Params,
    graphs: Graphs,
    xs: Float[AnyArray, "N D"],
    *,
    method: str = "auto",
) -> tuple[State, Float[Array, "N H"]]:
    """Runs ``cell`` over acyclic graphs, each node after all those from which edges lead to it.

        cell = lj.graph.lstm(64)
        params = cell.init(jax.random.key(0), input_size)
        state, ys = lj.graph.unroll(cell, params, graphs, graphs.fill(features))

    Args:
        cell: Such as ``lj.graph.lstm``, which must not read a node's own last state.
        params: As ``cell.init(key, D)`` gives them.
        graphs: What ``lj.graph.pack`` returned.
        xs: The inputs of the nodes, ``[N, D]``. Values in the padding (NaN included) change
            nothing.
        method: How gradients are taken. "scan" is ``jax.lax.scan`` with JAX's own derivatives of
            every order and mode. "auto" has a derivative of its own, of first order in reverse
            mode, which takes time in proportion to the number of nodes.

    Returns:
        ``(state, ys)``: the states of all nodes and their outputs ``[N, H]``; zero in the padding.

    Raises:
        ValueError, TypeError: At trace time, for a wrong argument.
    """
    graphs = check_graphs(cell, graphs)
    checking.choice("method", method, METHODS)
    if graphs.levels is None:
        raise WrongValue("graphs: expected acyclic graphs, got those of pack(acyclic=False)")
    if cell.reads_own:
        raise WrongValue(
            f"cell: expected one for acyclic graphs, got {cell.name}, which reads a node's own "
            "last state: use propagate"
        )
    xs = check_inputs(cell, params, xs, graphs.nodes, "graphs")
    return _unroll(cell, params, graphs, xs, method)


@functools.partial(jax.jit, static_argnums=(0, 4), inline=True)
def _unroll(cell: NodeCell, params: Params, graphs: Graphs, xs: jax.Array, method: str) -> Any:
    assert graphs.levels is not None
    return over_levels(cell, params, graphs.levels, xs, graphs.sizes, method)


def over_levels(
    cell: NodeCell, params: Params, levels: Levels, xs: jax.Array, sizes: Any, method: str
) -> tuple[State, jax.Array]:
    """``unroll`` of checked arguments, for any order of nodes."""

    def node(params: Params, rows: Any, sent: Any, edges: Any) -> Any:
        before, message = sent
        received = Received(before, message, edges.target, edges.kind, levels.width)
        state = like(dtypes, cell.receive(params, rows, None, received))
        return state, cell.send(params, state)

    valid, xs = mask_padding(xs, sizes)
    places = len(levels.order)
    zeros = cell.initial_state(params, (places,))
    messages = jax.eval_shape(cell.send, params, zeros)
    empty = (zeros, jax.tree.map(lambda of: jnp.zeros(of.shape, of.dtype), messages))
    dtypes = jax.tree.map(lambda of: jax.ShapeDtypeStruct((), of.dtype), zeros)
    z = cell.project(params, xs[levels.order])
    states, _ = sweep(node, params, z, empty, levels, method)
    states = to_nodes(states, levels, valid)
    return states, states.h.astype(params["w_x"].dtype)


def to_nodes(values: Any, levels: Levels, valid: jax.Array) -> Any:
    """Values in the order of levels, in the order of nodes; zero in the padding."""
    return jax.tree.map(
        lambda of: jnp.where(
            valid.reshape(-1, *([1] * (of.ndim - 1))), of[levels.rank], jnp.zeros((), of.dtype)
        ),
        values,
    )


def mask_padding(xs: jax.Array, sizes: Any) -> tuple[jax.Array, jax.Array]:
    """Which rows are nodes, and ``xs`` with zeros in all others."""
    valid = jnp.arange(len(xs)) < jnp.sum(jnp.asarray(sizes))
    return valid, jnp.where(valid[:, None], xs, jnp.zeros((), xs.dtype))


@default_promotion
def propagate(
    cell: NodeCell,
    params: Params,
    graphs: Graphs,
    xs: Float[AnyArray, "N D"],
    state: State | None = None,
    *,
    rounds: int,
) -> tuple[State, Float[Array, "N H"]]:
    """Runs ``cell`` over any graphs by rounds of messages.

    In each round every node receives the states that the nodes before it had after the last
    round. In an acyclic graph, as many rounds as it has levels give the result of ``unroll``.

    Args:
        cell: Such as ``lj.graph.gru(size, own=True)``.
        params: As ``cell.init(key, D)`` gives them.
        graphs: What ``lj.graph.pack`` returned.
        xs: The inputs of the nodes, ``[N, D]``, the same in each round. Values in the padding (NaN
            included) change nothing.
        state: The states of all nodes before the first round; by default ``cell.initial_state``.
        rounds: The number of rounds.

    Returns:
        ``(state, ys)``: the states of all nodes and their outputs ``[N, H]``; zero in the padding.

    Raises:
        ValueError, TypeError: At trace time, for a wrong argument.
    """
    graphs = check_graphs(cell, graphs)
    xs = check_inputs(cell, params, xs, graphs.nodes, "graphs")
    rounds = checking.positive_int("rounds", rounds)
    if state is None:
        state = cell.initial_state(params, (graphs.nodes,))
    cell_checks.state(cell, params, state, (graphs.nodes,))
    return _propagate(cell, params, graphs, xs, state, rounds)


@functools.partial(jax.jit, static_argnums=(0, 5), inline=True)
def _propagate(
    cell: NodeCell, params: Params, graphs: Graphs, xs: jax.Array, state: State, rounds: int
) -> tuple[State, jax.Array]:
    valid, xs = mask_padding(xs, graphs.sizes)
    sources, nodes = jnp.asarray(graphs.sources), graphs.nodes
    targets, kinds = jnp.asarray(graphs.targets), jnp.asarray(graphs.edge_kinds)
    present = targets < nodes

    def mask(values: Any, rows: jax.Array) -> Any:
        def keep(of: jax.Array) -> jax.Array:
            return jnp.where(rows.reshape(-1, *([1] * (of.ndim - 1))), of, jnp.zeros((), of.dtype))

        return jax.tree.map(keep, values)

    z = cell.project(params, xs)
    state = mask(state, valid)

    def step(state: State, _: Any) -> tuple[State, None]:
        sent = jax.tree.map(lambda of: of[sources], (state, cell.send(params, state)))
        before, message = mask(sent, present)
        received = Received(before, message, targets, kinds, nodes)
        new = cell.receive(params, z, state if cell.reads_own else None, received)
        return mask(like(state, new), valid), None

    state, _ = jax.lax.scan(step, state, length=rounds)
    return state, state.h.astype(params["w_x"].dtype)


def check_graphs(cell: Any, graphs: Any) -> Graphs:
    """Returns ``graphs`` if they are for ``cell``."""
    check_cell(cell)
    if not isinstance(graphs, Graphs):
        raise WrongType(
            f"graphs: expected Graphs, as lj.graph.pack gives them, got {type(graphs).__name__}"
        )
    if cell.ordered:
        raise WrongValue(
            f"cell: expected one for graphs, got {cell.name}, for trees with ordered children"
        )
    if graphs.kinds > cell.kinds:
        raise WrongValue(
            f"graphs: expected at most {cell.kinds} kinds of edges, those of {cell.name}, got "
            f"{graphs.kinds}"
        )
    return graphs


def check_cell(cell: Any) -> None:
    """Checks that ``cell`` is one of the two rooms."""
    if not isinstance(cell, NodeCell):
        name = getattr(cell, "name", None) or repr(cell)
        raise WrongType(
            f"cell: expected a cell of trees or graphs, such as lj.graph.lstm(64), got {name}"
        )


def check_inputs(cell: Any, params: Params, xs: Any, nodes: int, whose: str) -> jax.Array:
    """Returns ``xs`` as an array, if it has a row for each node and params are for its size."""
    xs = checking.float_array("xs", xs, "[N, D]", 2)
    if xs.ndim != 2 or len(xs) != nodes:
        raise WrongValue(
            f"xs: expected [{nodes}, D], a row for each node of {whose} and for its padding "
            f"({whose}.fill), got shape {xs.shape}"
        )
    cell_checks.params(cell, params, "xs", xs.shape[-1])
    same_precision("xs", xs, params)
    return xs
