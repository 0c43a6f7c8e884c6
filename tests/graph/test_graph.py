"""Graphs: the published equations, sequences as chains, rounds, and names that do not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw, weighted_sum
from tests.reference import numpy_structures as reference
from tests.tree.shapes import random_graph

D, H = 3, 4
SIZES = ((1, 0), (6, 9), (3, 1), (10, 20))
NODES = {"lstm": reference.graph_lstm_node, "gru": reference.graph_gru_node}


def draw_params(cell, seed=1):
    return draw(cell.init(jax.random.key(0), D, jnp.float64), seed)


def draw_graphs(*, acyclic, kinds=1, seed=0):
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng, *size, acyclic=acyclic, kinds=kinds) for size in SIZES]
    return graphs, [rng.normal(size=(graph.nodes, D)) for graph in graphs]


def plain(tree):
    return {name: np.asarray(leaf) for name, leaf in tree.items()}


CASES = [("lstm", "sum", 2), ("lstm", "mean", 1), ("lstm", "attention", 1),
         ("gru", "sum", 1), ("gru", "attention", 2)]  # fmt: skip


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name, neighbours, kinds", CASES)
def test_topological_order(name, neighbours, kinds):
    """The equations node by node, the gradients, and rounds that reach the same."""
    cell = getattr(lj.graph, name)(H, neighbours=neighbours, kinds=kinds)
    params = draw_params(cell)
    graphs, xs = draw_graphs(acyclic=True, kinds=kinds)
    packed = lj.graph.pack(graphs, levels=16)
    filled = jnp.asarray(packed.fill(xs))

    def loss(params, xs, method):
        state, ys = lj.graph.unroll(cell, params, packed, xs, method=method)
        return weighted_sum((state, ys)), (state, ys)

    run = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True), static_argnums=2)
    (_, (state, ys)), gradients = run(params, filled, "auto")
    for graph, x, y in zip(graphs, xs, packed.split(ys), strict=True):
        expected = reference.acyclic(NODES[name], plain(params), graph.nodes, graph.edges, x,
                                     kinds=graph.kinds, neighbours=neighbours)  # fmt: skip
        expected = [expected[node][0] for node in range(graph.nodes)]
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    close(run(params, filled, "scan"), run(params, filled, "auto"))
    close(lj.graph.propagate(cell, params, packed, filled, rounds=10), (state, ys))
    direction, step = draw((params, filled), 5), 1e-6
    ahead, behind = (
        run(*jax.tree.map(lambda a, d, s=s: a + s * step * d, (params, filled), direction), "auto")
        for s in (1, -1)
    )
    slope = sum(
        jnp.vdot(g, d)
        for g, d in zip(jax.tree.leaves(gradients), jax.tree.leaves(direction), strict=True)
    )
    np.testing.assert_allclose((ahead[0][0] - behind[0][0]) / (2 * step), slope, rtol=1e-7)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name, neighbours, kinds", [("gru", "sum", 2), ("lstm", "mean", 1)])
def test_rounds_of_messages(name, neighbours, kinds):
    """Li et al. 2016 and Liang et al. 2016: neighbours and the node's own last state."""
    cell = getattr(lj.graph, name)(H, neighbours=neighbours, kinds=kinds, own=True)
    params = draw_params(cell)
    graphs, xs = draw_graphs(acyclic=False, kinds=kinds)
    packed = lj.graph.pack(graphs, acyclic=False)
    state = draw(cell.initial_state(params, (packed.nodes,)), 3)
    final, ys = lj.graph.propagate(cell, params, packed, packed.fill(xs), state, rounds=3)
    befores = [packed.split(leaf) for leaf in state]
    for i, (graph, x, y) in enumerate(zip(graphs, xs, packed.split(ys), strict=True)):
        start = {node: tuple(leaf[i][node] for leaf in befores) for node in range(graph.nodes)}
        expected = reference.rounds(
            NODES[name], plain(params), graph.nodes, graph.edges, x, start, 3,
            own=True, kinds=graph.kinds, neighbours=neighbours,
        )  # fmt: skip
        expected = [expected[node][0] for node in range(graph.nodes)]
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    count = sum(graph.nodes for graph in graphs)
    assert not np.asarray(ys)[count:].any() and not np.asarray(final.h)[count:].any()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("neighbours", ["sum", "attention"])
def test_a_sequence_is_a_chain(name, neighbours):
    sequence, cell = getattr(lj, name)(H), getattr(lj.graph, name)(H, neighbours=neighbours)
    params = draw(sequence.init(jax.random.key(0), D, jnp.float64), 1)
    of_graph = draw_params(cell, 2) | params
    xs = np.random.default_rng(0).normal(size=(6, D))
    _, expected = lj.unroll(sequence, params, jnp.asarray(xs))
    packed = lj.graph.pack([lj.graph.Graph(6, [(t, t + 1) for t in range(5)])])
    _, ys = lj.graph.unroll(cell, of_graph, packed, packed.fill([xs]))
    np.testing.assert_allclose(ys[:6], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("acyclic", [True, False])
def test_names_of_nodes_and_the_order_of_edges_do_not_matter(acyclic):
    cell, rng = lj.graph.lstm(H, kinds=2, own=not acyclic), np.random.default_rng(1)
    params = draw_params(cell)
    graphs, xs = draw_graphs(acyclic=acyclic, kinds=2)

    def run(graphs, xs):
        packed = lj.graph.pack(graphs, acyclic=acyclic, levels=16 if acyclic else None, kinds=2)
        filled = packed.fill(xs)
        if acyclic:
            return packed.split(lj.graph.unroll(cell, params, packed, filled)[1])
        return packed.split(lj.graph.propagate(cell, params, packed, filled, rounds=2)[1])

    names = [rng.permutation(graph.nodes) for graph in graphs]
    renamed = []
    for graph, name in zip(graphs, names, strict=True):
        order = rng.permutation(len(graph.edges))
        edges = [(int(name[graph.edges[e][0]]), int(name[graph.edges[e][1]])) for e in order]
        renamed.append(lj.graph.Graph(graph.nodes, edges, [graph.kinds[e] for e in order]))
    moved = run(renamed, [x[np.argsort(name)] for x, name in zip(xs, names, strict=True)])
    close([y[name] for y, name in zip(moved, names, strict=True)], run(graphs, xs))


@pytest.mark.usefixtures("x64")
def test_padding_is_inert_and_a_graph_alone_equals_the_graph_in_its_batch():
    cell = lj.graph.lstm(H, neighbours="attention")
    params = draw_params(cell)
    graphs, xs = draw_graphs(acyclic=True)

    def gradients(graphs, values, fill):
        packed = lj.graph.pack(graphs, nodes=32, edges=64, levels=16, degree=16)
        filled = packed.fill(values)
        filled[sum(map(len, values)) :] = fill

        def loss(params, xs):
            _, ys = lj.graph.unroll(cell, params, packed, xs)
            return weighted_sum(ys[: len(values[0])])

        value, (of_params, of_xs) = jax.value_and_grad(loss, (0, 1))(params, filled)
        return value, of_params, of_xs[: len(values[0])]

    order = [3, 0, 1, 2]
    together = gradients([graphs[i] for i in order], [xs[i] for i in order], np.nan)
    close(gradients([graphs[3]], [xs[3]], 0.0), together)


WRONG = {
    "cycle": (lj.graph.Graph(2, [(0, 1), (1, 0)]), "graphs[1]: expected an acyclic graph"),
    "loop": (lj.graph.Graph(1, [(0, 0)]), "graphs[1]: expected an acyclic graph"),
    "range": (lj.graph.Graph(2, [(0, 2)]), "graphs[1].edges: expected nodes from 0 to 1, got 2"),
    "empty": (lj.graph.Graph(0, []), "graphs[1].nodes: expected a positive integer, got 0"),
    "edges": (lj.graph.Graph(2, [(0, 1, 1)]), "graphs[1].edges: expected pairs of integers"),
    "kinds": (lj.graph.Graph(2, [(0, 1)], [0, 0]), "graphs[1].kinds: expected an integer for each"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_acyclic_graph(name):
    graph, message = WRONG[name]
    with pytest.raises(ValueError) as error:
        lj.graph.pack([lj.graph.Graph(1, []), graph])
    assert str(error.value).startswith(message)


@pytest.mark.usefixtures("without_shape_annotations")
def test_wrong_arguments():
    two = lj.graph.Graph(2, [(0, 1)])
    for sizes in ({"nodes": 1}, {"levels": 1}, {"kinds": 0}):
        with pytest.raises(ValueError, match=f"^{next(iter(sizes))}: expected"):
            lj.graph.pack([two], **sizes)
    three = lj.graph.Graph(3, [(0, 2), (1, 2)])
    for sizes, message in (
        ({"levels": 1}, "levels: expected at least 2, the levels of graphs[1], got 1"),
        ({"degree": 1}, "degree: expected at least 2, those of a node of graphs[1], got 1"),
        ({"edges": 1}, "edges: expected at least 2, those of all graphs, got 1"),
    ):
        with pytest.raises(ValueError) as error:
            lj.graph.pack([lj.graph.Graph(1, []), three], **sizes)
        assert str(error.value) == message
    packed, cell = lj.graph.pack([two]), lj.graph.lstm(H)
    params, xs = cell.init(jax.random.key(0), D), jnp.zeros((8, D))
    cyclic = lj.graph.pack([lj.graph.Graph(2, [(0, 1), (1, 0)])], acyclic=False)
    kinds = lj.graph.pack([lj.graph.Graph(2, [(0, 1)], [1])])
    for run, args, message in (
        (lj.graph.unroll, (cell, params, cyclic, xs), "graphs: expected acyclic graphs"),
        (lj.graph.unroll, (cell, params, kinds, xs), "graphs: expected at most 1 kinds"),
        (lj.graph.unroll, (lj.graph.gru(H, own=True), params, packed, xs), "cell: expected one fo"),
        (lj.graph.unroll, (lj.tree.nary_lstm(H, 2), params, packed, xs), "cell: expected one for"),
        (lj.graph.unroll, (cell, params, packed, xs[:2]), "xs: expected [8, D]"),
    ):
        with pytest.raises((ValueError, TypeError)) as error:
            run(*args)
        assert str(error.value).startswith(message)
    with pytest.raises(ValueError, match=r"^rounds: expected"):
        lj.graph.propagate(cell, params, packed, xs, rounds=0)
    with pytest.raises(ValueError, match=r"^neighbours: expected one of"):
        lj.graph.lstm(H, neighbours="max")
