"""Trees and graphs drawn at random."""

import lstm_jax as lj


def random_tree(rng, nodes, most_children=None):
    """A tree whose nodes are numbered at random, as ``(children, root)``."""
    names = rng.permutation(nodes)
    children = [[] for _ in range(nodes)]
    for node in range(1, nodes):
        free = [p for p in range(node)
                if most_children is None or len(children[names[p]]) < most_children]  # fmt: skip
        children[names[rng.choice(free)]].append(int(names[node]))
    return children, int(names[0])


def chain(nodes):
    """A tree with one child per node; the leaf is node 0, as the first step of a sequence."""
    return lj.tree.Tree([[], *([node] for node in range(nodes - 1))])


def random_graph(rng, nodes, edges, *, acyclic, kinds=1):
    """A graph of distinct edges, with nodes in no order."""
    pairs = [(a, b) for a in range(nodes) for b in range(nodes)
             if (a < b if acyclic else a != b)]  # fmt: skip
    names = rng.permutation(nodes)
    chosen = rng.choice(len(pairs), size=min(edges, len(pairs)), replace=False)
    found = [(int(names[pairs[i][0]]), int(names[pairs[i][1]])) for i in chosen]
    return lj.graph.Graph(nodes, found, rng.integers(kinds, size=len(found)).tolist())
