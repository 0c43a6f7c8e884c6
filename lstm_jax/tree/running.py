"""Running cells over trees: from leaves to roots, and from roots to leaves."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell, with_memory, without_memory
from lstm_jax.core.numerics import like
from lstm_jax.core.typing import AnyArray, Params, State
from lstm_jax.graph.contract import NodeCell, Received
from lstm_jax.graph.running import check_cell, check_inputs, mask_padding, over_levels, to_nodes
from lstm_jax.graph.sweep import METHODS, sweep
from lstm_jax.tree.forest import Forest, checked_forest


@default_promotion
def unroll(
    cell: NodeCell,
    params: Params,
    forest: Forest,
    xs: Float[AnyArray, "N D"],
    *,
    method: str = "auto",
) -> tuple[State, Float[Array, "N H"]]:
    """Runs ``cell`` over trees from the leaves to the roots, each node after its children.

        cell = lj.tree.child_sum_lstm(64)
        params = cell.init(jax.random.key(0), input_size)
        state, ys = lj.tree.unroll(cell, params, forest, forest.fill(features))

    Args:
        cell: A cell of trees, or one of ``lj.graph`` that does not read a node's own last state.
        params: As ``cell.init(key, D)`` gives them.
        forest: What ``lj.tree.pack`` returned.
        xs: The inputs of the nodes, ``[N, D]``; zeros where a node has none, as at the inner nodes
            of a treebank. Values in the padding (NaN included) change nothing.
        method: How gradients are taken; see ``lj.graph.unroll``.

    Returns:
        ``(state, ys)``: the states of the roots, ``[trees, H]`` in each field, and the outputs of
        all nodes ``[N, H]``, zero in the padding.

    Raises:
        ValueError, TypeError: At trace time, for a wrong argument.
    """
    forest = checked_forest("forest", forest)
    check_cell(cell)
    if cell.reads_own:
        raise WrongValue(f"cell: expected one that runs without rounds, got {cell.name}")
    if cell.ordered and forest.children > cell.kinds:
        raise WrongValue(
            f"forest: expected at most {cell.kinds} children of a node for {cell.name}, got "
            f"{forest.children}"
        )
    xs = check_inputs(cell, params, xs, forest.nodes, "forest")
    return _unroll(cell, params, forest, xs, checking.choice("method", method, METHODS))


@functools.partial(jax.jit, static_argnums=(0, 4), inline=True)
def _unroll(cell: NodeCell, params: Params, forest: Forest, xs: jax.Array, method: str) -> Any:
    levels = forest.up
    if not cell.ordered:  # the positions of children are no kinds of edges
        levels = levels.without_kinds()
    states, ys = over_levels(cell, params, levels, xs, forest.sizes, method)
    return jax.tree.map(lambda of: of[forest.roots], states), ys


@default_promotion
def top_down(
    cell: Cell,
    params: Params,
    forest: Forest,
    xs: Float[AnyArray, "N D"],
    state: State | None = None,
    *,
    method: str = "auto",
) -> tuple[State, Float[Array, "N H"]]:
    """Runs a cell of sequences over trees from the roots to the leaves, each node after its parent.

        cell = lj.gru(64)
        params = cell.init(jax.random.key(0), input_size)
        states, ys = lj.tree.top_down(cell, params, forest, forest.fill(features))

    So each path from a root is a sequence. Beside the outputs of ``lj.tree.unroll`` as inputs, it
    gives each node a summary of the whole tree.

    Args:
        cell: Any cell that can be stepped, without noise.
        params: As ``cell.init(key, D)`` gives them.
        forest: What ``lj.tree.pack`` returned.
        xs: The inputs of the nodes, ``[N, D]``. Values in the padding (NaN included) change
            nothing.
        state: The states above the roots, ``[trees, ...]`` in each field; by default
            ``cell.initial_state``.
        method: How gradients are taken; see ``lj.graph.unroll``.

    Returns:
        ``(states, ys)``: the states of all nodes and their outputs ``[N, H]``; zero in the padding.

    Raises:
        ValueError, TypeError: At trace time, for a wrong argument.
    """
    forest = checked_forest("forest", forest)
    cell_checks.cell("cell", cell, memory=True)
    checking.choice("method", method, METHODS)
    xs = check_inputs(cell, params, xs, forest.nodes, "forest")
    batch = (len(forest.sizes),)
    if state is None:
        state = cell.initial_state(params, batch)
    cell_checks.state(cell, params, state, batch)
    bound = with_memory(cell, params)
    return _top_down(without_memory(cell), bound, forest, xs, state, method)


@functools.partial(jax.jit, static_argnums=(0, 5), inline=True)
def _top_down(
    cell: Cell, params: Any, forest: Forest, xs: jax.Array, state: State, method: str
) -> tuple[State, jax.Array]:
    levels = forest.down
    ready = cell.prepare(params, (levels.width,), None)

    def node(params: Params, rows: Any, sent: Any, edges: Any) -> Any:
        x, above = rows
        received = Received(sent[0], sent[1], edges.target, edges.kind, levels.width)
        is_root = received.degree() == 0

        def before(of_parent: jax.Array, of_root: jax.Array) -> jax.Array:
            parent = received.sum(of_parent)  # of one
            return jnp.where(is_root.reshape(-1, *([1] * (parent.ndim - 1))), of_root, parent)

        state = jax.tree.map(before, sent[0], above)
        new, y = cell.advance(params, state, x)
        return like(state, new), y

    valid, xs = mask_padding(xs, forest.sizes)
    of_tree = jnp.minimum(forest.owner, len(forest.sizes) - 1)[levels.order]
    inputs = (xs[levels.order], jax.tree.map(lambda of: of[of_tree], state))
    rows = jax.tree.map(lambda of: of[: levels.width], inputs)
    _, y = jax.eval_shape(cell.advance, ready, rows[1], rows[0])
    places = len(levels.order)
    empty = (jax.tree.map(jnp.zeros_like, inputs[1]), jnp.zeros((places, *y.shape[1:]), y.dtype))
    states, ys = sweep(node, ready, inputs, empty, levels, method)
    return to_nodes((states, ys), levels, valid)
