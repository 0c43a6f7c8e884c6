"""One pass over nodes in the order of their levels, with a derivative of its own.

JAX's derivative of the loop adds an array of all nodes to the cotangents at each step. The one
here adds to the rows that the step has read, so that a pass over N nodes takes time in proportion
to N in both directions. It keeps the nodes' values, and computes the rest again.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.numerics import like
from lstm_jax.core.typing import Params
from lstm_jax.graph.levels import Levels

METHODS = ("auto", "scan")


class Edges(NamedTuple):
    """The edges of a step: the row that each leads to, ``width`` for none, and its kind."""

    target: jax.Array
    kind: jax.Array


class Step(NamedTuple):
    """Where a step reads and writes: its first place, and which rows and edges count."""

    start: jax.Array
    valid: jax.Array  # [width]
    sources: jax.Array  # [edge_width]
    edge_valid: jax.Array
    edges: Edges


Node = Callable[[Params, Any, Any, Edges], Any]


def sweep(
    node: Node, params: Params, inputs: Any, empty: Any, levels: Levels, method: str = "auto"
) -> Any:
    """Computes the values of all nodes, level by level.

    Args:
        node: ``(params, inputs, sent, edges) -> values``, for the nodes of one step: their rows of
            ``inputs``, and the values of the nodes that the edges come from, edge by edge.
        params: What ``node`` shares among all nodes.
        inputs: A tree of arrays ``[N + width, ...]``, in the order of levels.
        empty: The values to begin with, a tree of zeros ``[N + width, ...]``.
        levels: The order.
        method: "scan" for JAX's own derivatives, "auto" for the one of this file.

    Returns:
        The values, in the order of levels; zero where there is no node.
    """
    leaves = jax.tree.leaves((inputs, empty))
    if method == "scan" or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):

        def body(values: Any, number: jax.Array) -> tuple[Any, None]:
            return _advance(node, params, inputs, values, levels, number), None

        return jax.lax.scan(body, empty, jnp.arange(len(levels.nodes)))[0]
    return _sweep(node, params, inputs, empty, levels)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
@default_promotion
def _sweep(node: Node, params: Params, inputs: Any, empty: Any, levels: Levels) -> Any:
    def body(number: jax.Array, values: Any) -> Any:
        return _advance(node, params, inputs, values, levels, number)

    return jax.lax.fori_loop(0, levels.steps, body, empty)


@default_promotion
def _forward(
    node: Node, params: Params, inputs: Any, empty: Any, levels: Levels
) -> tuple[Any, ...]:
    values = _sweep(node, params, inputs, empty, levels)
    return values, (params, inputs, values, levels)


@default_promotion
def _backward(node: Node, kept: tuple[Any, ...], d_values: Any) -> tuple[Any, ...]:
    params, inputs, values, levels = kept
    # Sums over many steps are in float32 or wider, as the products are.
    d_params = jax.tree.map(
        lambda of: jnp.zeros(of.shape, jnp.promote_types(of.dtype, jnp.float32)), params
    )

    def body(number: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        d_params, d_inputs, d_values = carry
        step = _look_up(levels, levels.steps - 1 - number)
        rows, sent = _read(step, inputs, values)
        _, pull = jax.vjp(
            lambda params, rows, sent: node(params, rows, sent, step.edges), params, rows, sent
        )
        d_new = jax.tree.map(lambda of: _masked(step.valid, _rows(of, step)), d_values)
        d_own, d_rows, d_sent = pull(d_new)
        return (
            jax.tree.map(lambda total, own: total + own.astype(total.dtype), d_params, d_own),
            jax.tree.map(lambda of, new: _write(of, new, step), d_inputs, d_rows),
            jax.tree.map(
                lambda of, new: of.at[step.sources].add(_masked(step.edge_valid, new)),
                d_values,
                d_sent,
            ),
        )

    start = (d_params, jax.tree.map(jnp.zeros_like, inputs), d_values)
    d_params, d_inputs, _ = jax.lax.fori_loop(0, levels.steps, body, start)
    return like(params, d_params), d_inputs, jax.tree.map(jnp.zeros_like, values), None


_sweep.defvjp(_forward, _backward)


def _advance(
    node: Node, params: Params, inputs: Any, values: Any, levels: Levels, number: jax.Array
) -> Any:
    """The values after one step."""
    step = _look_up(levels, number)
    rows, sent = _read(step, inputs, values)
    new = node(params, rows, sent, step.edges)
    return jax.tree.map(lambda of, rows: _write(of, rows, step), values, new)


def _look_up(levels: Levels, number: jax.Array) -> Step:
    nodes, edges = jnp.asarray(levels.nodes)[number], jnp.asarray(levels.edges)[number]
    sources, target, kind = (
        jax.lax.dynamic_slice_in_dim(jnp.asarray(of), edges[0], levels.edge_width)
        for of in (levels.sources, levels.targets, levels.kinds)
    )
    edge_valid = jnp.arange(levels.edge_width) < edges[1]
    target = jnp.where(edge_valid, target - nodes[0], levels.width)
    valid = jnp.arange(levels.width) < nodes[1]
    return Step(nodes[0], valid, sources, edge_valid, Edges(target, kind))


def _read(step: Step, inputs: Any, values: Any) -> tuple[Any, Any]:
    """The inputs of the step's nodes, and the values at the other ends of its edges."""
    rows = jax.tree.map(lambda of: _masked(step.valid, _rows(of, step)), inputs)
    sent = jax.tree.map(lambda of: _masked(step.edge_valid, of[step.sources]), values)
    return rows, sent


def _rows(values: jax.Array, step: Step) -> jax.Array:
    return jax.lax.dynamic_slice_in_dim(values, step.start, len(step.valid))


def _write(values: jax.Array, new: jax.Array, step: Step) -> jax.Array:
    """``values`` with the step's rows that count replaced by ``new``."""
    mask = _expanded(step.valid, new)
    rows = jnp.where(mask, new.astype(values.dtype), _rows(values, step))
    return jax.lax.dynamic_update_slice_in_dim(values, rows, step.start, 0)


def _masked(mask: jax.Array, values: jax.Array) -> jax.Array:
    """``values`` with zeros where the mask is False, whatever is there (NaN included)."""
    return jnp.where(_expanded(mask, values), values, jnp.zeros((), values.dtype))


def _expanded(mask: jax.Array, values: jax.Array) -> jax.Array:
    return mask.reshape(*mask.shape, *([1] * (values.ndim - 1)))
