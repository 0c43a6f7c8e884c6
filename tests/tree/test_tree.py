"""Trees: the published equations, sequences as trees, and what may not change anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.conformance import close, draw, weighted_sum
from tests.reference import numpy_structures as reference
from tests.tree.shapes import chain, random_tree

D, H = 3, 4
SIZES = (1, 7, 2, 12)
CELLS = {
    "child_sum": (lj.tree.child_sum_lstm(H), reference.child_sum_tree, None),
    "nary": (lj.tree.nary_lstm(H, 3), reference.nary_tree, 3),
}


def draw_params(cell, seed=1):
    return draw(cell.init(jax.random.key(0), D, jnp.float64), seed)


def draw_trees(most_children, seed=0):
    rng = np.random.default_rng(seed)
    drawn = [random_tree(rng, nodes, most_children) for nodes in SIZES]
    xs = [rng.normal(size=(nodes, D)) for nodes in SIZES]
    return drawn, xs


def pack(shapes, **sizes):
    return lj.tree.pack([lj.tree.Tree(of) for of in shapes], **sizes)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("method", ["auto", "scan"])
def test_equations_of_the_paper(name, method):
    cell, run, most = CELLS[name]
    drawn, xs = draw_trees(most)
    params = draw_params(cell)
    forest = pack([children for children, _ in drawn], **({"children": most} if most else {}))
    state, ys = lj.tree.unroll(cell, params, forest, forest.fill(xs), method=method)
    plain = {key: np.asarray(leaf) for key, leaf in params.items()}
    for i, ((children, root), x, y) in enumerate(zip(drawn, xs, forest.split(ys), strict=True)):
        expected = run(plain, children, x, root)
        np.testing.assert_allclose(
            y, [expected[j][0] for j in range(len(children))], rtol=1e-12, atol=1e-12
        )
        for got, value in zip(state, expected[root], strict=True):
            np.testing.assert_allclose(got[i], value, rtol=1e-12, atol=1e-12)
    assert not np.asarray(ys)[sum(SIZES) :].any()


def loss_of(cell, forest, method):
    def loss(params, xs):
        return weighted_sum(lj.tree.unroll(cell, params, forest, xs, method=method))

    return loss


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CELLS)
def test_gradients(name):
    """By finite differences along random directions, and by JAX's own derivative."""
    cell, _, most = CELLS[name]
    drawn, xs = draw_trees(most)
    params = draw_params(cell)
    forest = pack([children for children, _ in drawn])
    given = (params, jnp.asarray(forest.fill(xs)))
    auto, scan = (jax.jit(jax.value_and_grad(loss_of(cell, forest, method), (0, 1)))(*given)
                  for method in ("auto", "scan"))  # fmt: skip
    close(auto, scan)
    direction, step = draw(given, 5), 1e-6
    run = jax.jit(loss_of(cell, forest, "auto"))
    ahead, behind = (
        run(*jax.tree.map(lambda a, d, s=sign: a + s * step * d, given, direction))
        for sign in (1, -1)
    )
    slope = sum(
        jnp.vdot(g, d)
        for g, d in zip(jax.tree.leaves(auto[1]), jax.tree.leaves(direction), strict=True)
    )
    np.testing.assert_allclose((ahead - behind) / (2 * step), slope, rtol=1e-7)
    assert not np.asarray(auto[1][1])[sum(SIZES) :].any()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cell", [lj.tree.child_sum_lstm(H), lj.tree.nary_lstm(H, 1)],
                         ids=["child_sum", "nary"])  # fmt: skip
def test_a_sequence_is_a_tree_with_one_child_per_node(cell):
    sequence = lj.lstm(H)
    params = draw(sequence.init(jax.random.key(0), D, jnp.float64), 1)
    lengths = np.array([6, 1, 3])
    xs = np.random.default_rng(0).normal(size=(6, 3, D))
    (h, c), expected = lj.unroll(sequence, params, jnp.asarray(xs), lengths=lengths)
    forest = lj.tree.pack([chain(n) for n in lengths])
    of_tree = params if not cell.ordered else params | {"w_h": params["w_h"][None]}
    filled = forest.fill([xs[:n, i] for i, n in enumerate(lengths)])
    state, ys = lj.tree.unroll(cell, of_tree, forest, filled)
    close(state, lj.LSTMState(h, c))
    for i, y in enumerate(forest.split(ys)):
        np.testing.assert_allclose(y, expected[: lengths[i], i], rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "cell",
    [lj.lstm(H), lj.gru(H, norm="layer"), lj.attention(H, 2, 3), lj.chain(lj.gru(2), lj.rnn(H))],
    ids=lambda cell: cell.name,
)
def test_each_path_from_the_root_is_a_sequence(cell):
    params = draw(cell.init(jax.random.key(0), D, jnp.float64), 1)
    (children, root), x = [part[-1] for part in draw_trees(None)]
    parents = {child: node for node, of in enumerate(children) for child in of}
    forest = pack([children, [[]]])
    xs = jnp.asarray(forest.fill([x, x[:1]]))

    def paths(params, xs):
        ys = {}
        for leaf in range(len(children)):
            path = [leaf]
            while path[-1] != root:
                path.append(parents[path[-1]])
            ys[leaf] = lj.unroll(cell, params, xs[np.array(path[::-1])], method="scan")[1][-1]
        return jnp.stack([ys[node] for node in range(len(children))])

    def tree(params, xs):
        return lj.tree.top_down(cell, params, forest, xs)[1][: len(children)]

    close(tree(params, xs), paths(params, xs))
    if cell.name == "gru(4, norm='layer')":
        gradients = [
            jax.grad(lambda *args, run=run: weighted_sum(run(*args)), (0, 1))(params, xs)
            for run in (tree, paths)
        ]
        close(*gradients)


@pytest.mark.usefixtures("x64")
def test_states_above_the_roots():
    cell = lj.lstm(H)
    params = draw(cell.init(jax.random.key(0), D, jnp.float64), 1)
    xs = np.random.default_rng(0).normal(size=(2, D))
    forest = pack([[[]], [[]]])
    state = draw(cell.initial_state(params, (2,)), 3)
    states, ys = lj.tree.top_down(cell, params, forest, forest.fill([xs[:1], xs[1:]]), state)
    expected, y = cell.step(params, state, xs)
    close((jax.tree.map(lambda of: of[:2], states), ys[:2]), (expected, y))


@pytest.mark.usefixtures("x64")
def test_siblings_and_names_of_nodes_do_not_matter():
    cell, rng = lj.tree.child_sum_lstm(H), np.random.default_rng(3)
    params = draw_params(cell)
    drawn, xs = draw_trees(None)
    forest = pack([children for children, _ in drawn])
    _, expected = lj.tree.unroll(cell, params, forest, forest.fill(xs))
    expected = forest.split(expected)

    shuffled = [[rng.permutation(of).tolist() for of in children] for children, _ in drawn]
    forest = pack(shuffled)
    _, ys = lj.tree.unroll(cell, params, forest, forest.fill(xs))
    close(forest.split(ys), expected)

    names = [rng.permutation(len(children)) for children, _ in drawn]
    renamed = []
    for (children, _), name in zip(drawn, names, strict=True):
        of = [[] for _ in children]
        for node, below in enumerate(children):
            of[name[node]] = [int(name[child]) for child in below]
        renamed.append(of)
    forest = pack(renamed)
    filled = forest.fill([x[np.argsort(name)] for x, name in zip(xs, names, strict=True)])
    _, ys = lj.tree.unroll(cell, params, forest, filled)
    got = [y[name] for y, name in zip(forest.split(ys), names, strict=True)]
    close(got, expected)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("run", ["unroll", "top_down"])
def test_padding_is_inert_and_a_tree_alone_equals_the_tree_in_its_batch(run):
    cell = lj.tree.child_sum_lstm(H) if run == "unroll" else lj.lstm(H)
    params = draw_params(cell)
    drawn, xs = draw_trees(None)

    def gradients(children, values, fill):
        forest = pack(children, nodes=64, levels=16, children=8)
        filled = forest.fill(values)
        filled[sum(map(len, values)) :] = fill

        def loss(params, xs):
            _, ys = getattr(lj.tree, run)(cell, params, forest, xs)
            return weighted_sum(ys[: len(values[0])]), ys

        (_, ys), grads = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, filled)
        return ys[: len(values[0])], grads[0], grads[1][: len(values[0])]

    order = [3, 0, 1, 2]
    together = gradients([drawn[i][0] for i in order], [xs[i] for i in order], np.nan)
    close(gradients([drawn[3][0]], [xs[3]], 0.0), together)


@pytest.mark.slow
def test_ten_thousand_nodes_of_any_shape_run_one_program():
    cell = lj.tree.child_sum_lstm(H)
    params = cell.init(jax.random.key(0), D)
    traces = []

    @jax.jit
    def run(forest, xs):
        traces.append(None)
        return lj.tree.unroll(cell, params, forest, xs)

    rng = np.random.default_rng(0)
    for seed in range(3):
        sizes = rng.multinomial(9_900, np.full(100, 0.01)) + 1
        drawn = [random_tree(np.random.default_rng((seed, i)), n)[0] for i, n in enumerate(sizes)]
        forest = pack(drawn, nodes=10_000, levels=64, children=64)
        _, ys = run(forest, jnp.ones((forest.nodes, D)))
        assert np.isfinite(ys).all() and len(traces) == 1


def test_brackets():
    tree = lj.tree.from_brackets("(3 (2 It) (4 (4 's) (2 (2 a) (3 gem))))")
    assert tree.children == [[1, 2], [], [3, 4], [], [5, 6], [], []]
    assert tree.labels == ["3", "2", "4", "4", "2", "2", "3"]
    assert tree.words == [None, "It", None, "'s", None, "a", "gem"]
    mixed = lj.tree.from_brackets("(MAX 4 (MIN 9 8) 0)")
    assert mixed.children[:2] == [[2, 1, 3], [4, 5]] and mixed.words[2:] == ["4", "0", "9", "8"]
    assert lj.tree.from_brackets("(1 No)").words == ["No"]


@pytest.mark.parametrize("text, message", {
    "": "an empty tree", "It": "expected '('", "(3": "1 more", "(3)": "expected a word",
    "(3 a) b": "got more at character 6", "((3 a))": "expected a label", "()": "expected a label",
}.items())  # fmt: skip
def test_brackets_that_are_no_tree(text, message):
    with pytest.raises(ValueError, match=r"^text: .*") as error:
        lj.tree.from_brackets(text)
    assert message in str(error.value)


WRONG = {
    "cycle": ([[1], [0]], "trees[1].children: expected a tree, got a cycle"),
    "range": ([[2], []], "trees[1].children: expected nodes from 0 to 1, got 2"),
    "negative": ([[-1], []], "trees[1].children: expected nodes from 0 to 1, got -1"),
    "empty": ([], "trees[1]: expected at least one node, got an empty tree"),
    "parents": ([[1, 2], [2], []], "trees[1].children: expected each node to be the child of one, "
                                   "got node 2 2 times"),
    "roots": ([[], []], "trees[1].children: expected one root, got 2"),
    "floats": ([[1.0], []], "trees[1].children: expected integers"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_tree(name):
    children, message = WRONG[name]
    with pytest.raises((ValueError, TypeError)) as error:
        pack([[[]], children])
    assert str(error.value).startswith(message)


def test_a_bucket_without_room():
    for sizes, message in (
        ({"levels": 3}, "levels: expected at least 5, the levels of trees[1], got 3"),
        ({"nodes": 5}, "nodes: expected at least 6"),
        ({"levels": 0}, "levels: expected a positive integer"),
    ):
        with pytest.raises(ValueError) as error:
            lj.tree.pack([chain(1), chain(5)], **sizes)
        assert str(error.value).startswith(message)
    with pytest.raises(ValueError, match="children: expected at least 2"):
        pack([[[1, 2], [], []]], children=1)
    with pytest.raises(ValueError, match="trees: expected a list"):
        pack([])


@pytest.mark.usefixtures("without_shape_annotations")
def test_wrong_arguments():
    forest, cell = pack([[[1, 2], [], []]]), lj.tree.child_sum_lstm(H)
    params, xs = cell.init(jax.random.key(0), D), jnp.zeros((8, D))
    for run, args, message in (
        (lj.tree.unroll, (lj.lstm(H), params, forest, xs), "cell: expected a cell of trees"),
        (lj.tree.unroll, (cell, params, forest, xs[:3]), "xs: expected [8, D], a row for each"),
        (lj.tree.unroll, (cell, params, forest, xs[:, :2]), "xs: expected input size 3"),
        (lj.tree.unroll, (cell, params, [[]], xs), "forest: expected a Forest"),
        (lj.tree.unroll, (lj.tree.nary_lstm(H, 1), params, forest, xs), "forest: expected at mo"),
        (lj.tree.top_down, (cell, params, forest, xs), "cell: expected a Cell"),
    ):
        with pytest.raises((ValueError, TypeError)) as error:
            run(*args)
        assert str(error.value).startswith(message)
    with pytest.raises(ValueError, match="values: expected arrays of"):
        forest.fill([np.zeros((2, D))])
