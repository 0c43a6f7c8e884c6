"""Trees and graphs under JAX's transformations: one program per bucket, vmap, bfloat16."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw, weighted_sum
from tests.tree.shapes import random_graph, random_tree

D, H = 3, 4
SIZES = ((1, 7, 2, 12), (5, 1, 9, 3))  # of two batches, both of which fit the bucket
BUCKET = {"nodes": 32, "levels": 16}


class Run(NamedTuple):
    """A cell, how batches for it are packed, and how it is run over them."""

    cell: Any
    pack: Callable[[np.random.Generator, tuple[int, ...]], Any]
    unroll: Callable[..., Any] = lj.graph.unroll


def pack_trees(rng, sizes):
    shapes = [random_tree(rng, nodes, 3)[0] for nodes in sizes]
    return lj.tree.pack([lj.tree.Tree(of) for of in shapes], children=3, **BUCKET)


def pack_acyclic(rng, sizes):
    graphs = [random_graph(rng, nodes, 2 * nodes, acyclic=True) for nodes in sizes]
    return lj.graph.pack(graphs, edges=64, degree=16, **BUCKET)


def pack_any(rng, sizes):
    graphs = [random_graph(rng, nodes, 2 * nodes, acyclic=False, kinds=2) for nodes in sizes]
    return lj.graph.pack(graphs, acyclic=False, nodes=32, edges=64, kinds=2)


def propagate(*args):
    return lj.graph.propagate(*args, rounds=3)


RUNS = {
    "child_sum": Run(lj.tree.child_sum_lstm(H), pack_trees, lj.tree.unroll),
    "nary": Run(lj.tree.nary_lstm(H, 3), pack_trees, lj.tree.unroll),
    "top_down": Run(lj.gru(H), pack_trees, lj.tree.top_down),
    "graph_lstm": Run(lj.graph.lstm(H, neighbours="attention"), pack_acyclic),
    "graph_gru": Run(lj.graph.gru(H), pack_acyclic),
    "rounds": Run(lj.graph.gru(H, kinds=2, own=True), pack_any, propagate),
}
every_run = pytest.mark.parametrize("name", RUNS)


def arguments(run, batch, dtype=jnp.float32, seed=1):
    """Params, a structure and the inputs of its nodes."""
    structure = run.pack(np.random.default_rng(batch), SIZES[batch])
    params = draw(run.cell.init(jax.random.key(0), D), seed, dtype)
    rng = np.random.default_rng(seed)
    xs = structure.fill([rng.normal(size=(nodes, D)) for nodes in SIZES[batch]])
    return params, structure, jnp.asarray(xs, dtype)


def outcome_of(run):
    """``(params, structure, xs) -> ys`` and the gradients by params and inputs."""

    def outcome(params, structure, xs):
        def loss(params, xs):
            _, ys = run.unroll(run.cell, params, structure, xs)
            return weighted_sum(ys.astype(jnp.promote_types(ys.dtype, jnp.float32))), ys

        (_, ys), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, xs)
        return ys, gradients

    return outcome


@every_run
def test_batches_of_a_bucket_share_a_program(name):
    run = RUNS[name]
    traces = []

    @jax.jit
    def outcome(*args):
        traces.append(None)
        return outcome_of(run)(*args)

    found = [outcome(*arguments(run, batch)) for batch in (0, 1)]
    assert len(traces) == 1 and outcome._cache_size() == 1
    for batch, (ys, _) in enumerate(found):
        count = sum(SIZES[batch])
        assert np.all(np.asarray(ys[:count]).any(axis=1)) and not np.asarray(ys[count:]).any()


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@every_run
def test_vmap_over_seeds_and_over_batches(name):
    """Params alone are mapped, as for several seeds; or all arguments, of one bucket."""
    run = RUNS[name]
    each = [arguments(run, batch, jnp.float64, seed=1 + batch) for batch in (0, 1)]
    outcome = jax.jit(outcome_of(run))

    def stack(trees):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    _, structure, xs = each[0]
    several = stack([of[0] for of in each])
    over_seeds = jax.vmap(outcome, in_axes=(0, None, None))(several, structure, xs)
    close(over_seeds, stack([outcome(of[0], structure, xs) for of in each]))
    over_batches = jax.vmap(outcome)(*stack(each))
    close(over_batches, stack([outcome(*of) for of in each]))


@every_run
def test_bfloat16_compute_keeps_a_float32_state(name):
    run = RUNS[name]
    params, structure, xs = arguments(run, 0)
    ys, gradients = jax.jit(outcome_of(run))(params, structure, xs)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    low, low_gradients = jax.jit(outcome_of(run))(half, structure, xs.astype(jnp.bfloat16))
    state, _ = run.unroll(run.cell, half, structure, xs.astype(jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype("float32")}
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((low, low_gradients))}
    assert dtypes == {jnp.dtype("bfloat16")}
    close(low.astype(jnp.float32), ys, 0.06)
    for got, expected in zip(
        jax.tree.leaves(low_gradients), jax.tree.leaves(gradients), strict=True
    ):
        difference = np.linalg.norm(np.asarray(got, np.float32) - np.asarray(expected))
        assert difference < 0.1 * np.linalg.norm(expected) + 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["child_sum", "graph_gru"])
def test_derivatives_of_every_order_by_scan(name):
    """Forward over reverse is the difference quotient of the gradient, under method="scan"."""
    run = RUNS[name]
    params, structure, xs = arguments(run, 0, jnp.float64)
    direction = draw(params, 5)

    @jax.jit
    def gradient(params):
        def loss(params):
            return weighted_sum(run.unroll(run.cell, params, structure, xs, method="scan"))

        return jax.grad(loss)(params)

    def moved(step):
        return gradient(jax.tree.map(lambda a, d: a + step * d, params, direction))

    second = jax.jvp(gradient, (params,), (direction,))[1]
    step = 1e-5
    quotient = jax.tree.map(lambda a, b: (a - b) / (2 * step), moved(step), moved(-step))
    close(second, quotient, 1e-7)
