"""Trees and graphs: what the experiments draw and read, by hand, and each of them, tiny."""

import json

import jax
import numpy as np
import pytest

import lstm_jax as lj
from experiments import __main__ as command
from experiments.harness.run.study import Trial
from experiments.structures import (
    _listops,
    _phrases,
    _training,
    graph_paths,
    listops_tree,
    treebank,
)
from lstm_jax import train
from lstm_jax.tasks import text
from lstm_jax.tasks.formal import listops
from tests.conformance import close

TOKENS = [listops.TOKENS.index(token) for token in ("[MAX", "4", "[SM", "9", "8", "]", "0", "]")]


def test_lists_as_trees():
    tree, ids, closed = _listops.list_tree(np.array(TOKENS))
    assert closed == {5: 2, 7: 0}
    assert tree.children == [[1, 2, 5], [], [3, 4], [], [], []]
    assert ids == [TOKENS[i] + 1 for i in (0, 1, 2, 3, 4, 6)]


def test_lists_as_binary_trees():
    tree, ids, closed = _listops.binary_tree(np.array(TOKENS))

    def written(node):
        below = tree.children[node]
        return [written(child) for child in below] if below else listops.TOKENS[ids[node] - 1]

    inner = [[["[SM", "9"], "8"], "]"]
    assert written(closed[5]) == inner and closed[7] == len(ids) - 1
    assert written(closed[7]) == [[[["[MAX", "4"], inner], "0"], "]"]


def expressions_of(*rows):
    tokens = np.full((len(rows), 10), listops.PAD, np.uint8)
    for row, given in zip(tokens, rows, strict=True):
        row[: len(given)] = given
    lengths = np.array([len(given) for given in rows], np.int32)
    return listops.Expressions(tokens, lengths, listops.evaluate(tokens))


def test_all_lists_but_those_held_out():
    inner = TOKENS[2:6]
    expressions = expressions_of(TOKENS, inner)
    lists = _listops.all_lists(expressions, set())
    assert lists == [[(2, 5, 7), (0, 7, 7)], [(0, 3, 7)]]
    (item, _) = _listops.tree_items(expressions, lists, _listops.list_tree)
    assert item.weights.tolist() == [1, 0, 1, 0, 0, 0]
    assert item.targets.tolist() == [7, 0, 7, 0, 0, 0]
    held_out = {np.array(inner, np.uint8).tobytes()}
    assert _listops.all_lists(expressions, held_out) == [[(0, 7, 7)], []]
    assert _listops.wholes(expressions) == [[(0, 7, 7)], [(0, 3, 7)]]
    assert len(_listops.sequences(expressions, lists)) == 2  # one of the three comes twice


def test_only_the_root_has_a_value():
    expressions = _listops.draw(0, 3, 20, 3, set())
    for parse in (_listops.list_tree, _listops.binary_tree):
        items = _listops.tree_items(expressions, _listops.wholes(expressions), parse)
        for item, value in zip(items, expressions.values, strict=True):
            (root,) = np.flatnonzero(item.weights)
            assert item.targets[root] == value
            below = {child for of in item.structure.children for child in of}
            assert root not in below and len(below) == len(item.ids) - 1


def test_phrases_of_a_sentence():
    sentence = _phrases.read_sentence("(3 (2 It) (4 (4 's) (2 (2 A) (3 gem))))")
    assert sentence.words == ["it", "'s", "a", "gem"]
    assert sentence.spans.tolist() == [[0, 4], [0, 1], [1, 4], [1, 2], [2, 4], [2, 3], [3, 4]]
    words = _phrases.vocabulary_of([sentence], 1)
    rows, labels = _phrases.phrases([sentence, sentence], words)
    assert [words.tokens[i] for i in rows[4]] == ["a", "gem"] and labels.tolist()[:2] == [3, 2]
    assert len(rows) == 7
    (item,) = _phrases.tree_items([sentence], words, every_node=False)
    assert item.weights.tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert [words.tokens[i] for i in item.ids[[1, 3, 5, 6]]] == sentence.words
    assert not item.ids[[0, 2, 4]].any()


def test_nodes_that_are_reached():
    (item,) = graph_paths.draw(0, 1, 12, 1.5)
    edges = item.structure.edges
    assert edges.shape == (18, 2) and (edges[:, 0] != edges[:, 1]).all()
    ways = np.eye(12, dtype=int)
    np.add.at(ways, (edges[:, 0], edges[:, 1]), 1)
    (marked,) = np.flatnonzero(item.ids == 2)
    found = np.linalg.matrix_power(ways, 12)[marked] > 0
    np.testing.assert_array_equal(item.targets, found)


SENTENCES = [f"({c} (2 the) ({c} (2 film) ({c} {word})))"
             for c, word in enumerate(("awful", "dull", "long", "fine", "great"))]  # fmt: skip
TINY = {
    "listops_tree": ["--training", "40", "--held-out", "8", "--longest", "12", "--max-args", "2",
                     "--size", "4", "--embedding", "3", "--batch-size", "8", "--epochs", "2"],
    "treebank": ["--size", "4", "--embedding", "3", "--min-count", "1", "--batch-size", "5",
                 "--epochs", "2"],
    "graph_paths": ["--nodes", "4", "6", "--training", "16", "--held-out", "4", "--size", "3",
                    "--batch-size", "8", "--epochs", "2"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_the_experiment_runs(name, tmp_path, monkeypatch):
    made = text.SentimentTreebank(SENTENCES * 4, SENTENCES, SENTENCES)
    monkeypatch.setattr(text, "sentiment_treebank", lambda: made)
    assert command.main([name, *TINY[name], "--out", str(tmp_path / "run")]) == 0
    (study,) = json.loads((tmp_path / "run" / "results.json").read_text())["studies"]
    module = {"listops_tree": listops_tree, "treebank": treebank, "graph_paths": graph_paths}[name]
    column = getattr(module, "ACCURACY", None) or graph_paths.accuracy_at(4)
    for row in study["entries"]:
        assert 0 <= row["scores"][column]["center"] <= 100, row["entry"]


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """Killed in the middle of an epoch and at the beginning of one, with dropout."""
    drawn = [_listops.draw(seed, count, 12, 2, set()) for seed, count in ((0, 28), (1, 8))]
    items, held_out = (
        _listops.tree_items(part, _listops.wholes(part), _listops.list_tree) for part in drawn
    )
    cell = lj.tree.child_sum_lstm(4)

    def run_cell(params, forest, xs):
        return lj.tree.unroll(cell, params, forest, xs)[1]

    net = _training.node_net(cell, run_cell, symbols=_listops.SYMBOLS, embedding=3, classes=10,
                             dropout=0.5)  # fmt: skip

    def pack(trees):
        return lj.tree.pack(trees, nodes=128, levels=8, children=2)

    def fit(folder, last=None):
        shown = []

        def show(fraction, text):
            shown.append(fraction)
            if len(shown) == last:
                raise KeyboardInterrupt

        folder.mkdir(exist_ok=True)
        trial = Trial(7, folder, jax.random.key(7), show)
        fitted = _training.fit(
            net, train.optimizer("adam", 0.01), items, held_out, pack, trial,
            batch_size=8, epochs=3, patience=3,
        )  # fmt: skip
        return fitted, shown

    monkeypatch.setattr(_training, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    whole, shown = fit(tmp_path / "whole")
    assert len(shown) == 9 and len(whole.history["loss"]) == 3
    for last in (3, 2):  # of which the last is not yet saved: after 2 and 3 batches
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "killed", last)
    resumed, left = fit(tmp_path / "killed")
    assert len(left) == 9 - 3
    close(jax.device_get(resumed), jax.device_get(whole), 0.0)
    again, none = fit(tmp_path / "killed")  # after its end, before its result was written
    assert not none
    close(jax.device_get(again), jax.device_get(whole), 0.0)


def test_settings_that_make_no_sense():
    for module, options, message in (
        (listops_tree, {"training": 10}, "training: expected at least batch_size"),
        (graph_paths, {"nodes": (1,)}, "nodes: expected sizes of 2 or more"),
        (graph_paths, {"nodes": (4, 4)}, "nodes: expected different sizes"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            module.studies(module.Config(**options))
