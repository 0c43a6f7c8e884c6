"""Which nodes of a directed graph can be reached from one of them? Larger graphs at test.

    python -m experiments graph_paths

Random graphs with one node marked; each node has to say whether a path leads to it from there. As
many rounds of messages as a graph has nodes are enough. Nets are trained on small graphs, and
tested on larger ones with rounds in proportion, so that what is learnt in one round has to be what
a search does in a step.

Expect, in two minutes on a GPU: nets at 100 % on graphs as in training. At 128 nodes, eight times
as many, 100 % with attention over the neighbours and 95 to 99 % without.
"""

import dataclasses
from typing import Any

import numpy as np

import lstm_jax as lj
from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Column, Entry, Findings, Results, Study, Trial
from experiments.structures import _training
from experiments.structures._training import Item
from lstm_jax import train
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue

TIME = "5 min"
EPOCH = "best epoch"
SYMBOLS = 3  # none, any node, the marked node
FIRST_TEST = 2  # the seed of the first test, after those of training and validation


@dataclasses.dataclass(frozen=True)
class Config:
    nodes: tuple[int, ...] = (16, 32, 64, 128)
    """Nodes of a graph: in training, and at each size of the test."""
    degree: float = 1.5
    """Edges per node."""
    training: int = 10_000
    """Graphs to train on."""
    held_out: int = 500
    """Graphs in validation, and in each test."""
    size: int = 32
    """Hidden size of each net."""
    batch_size: int = 64
    """Graphs per step."""
    epochs: int = 10
    """Most epochs of each net."""
    patience: int = 3
    """Epochs without a better validation score after which a net stops."""
    learning_rate: float = 2e-3
    """Of Adam, for each net."""
    seeds: int = 1
    """Trials of each net."""


def accuracy_at(nodes: int) -> str:
    """The name of a column."""
    return f"accuracy at {nodes} nodes in %"


def cells_of(size: int) -> dict[str, Any]:
    """The nets: their cells, all of which have a state of their own."""
    return {
        "gated graph net (Li et al. 2016)": lj.graph.gru(size, own=True),
        "gated graph net, attention": lj.graph.gru(size, own=True, neighbours="attention"),
        "graph LSTM, mean (Liang et al. 2016)": lj.graph.lstm(size, own=True, neighbours="mean"),
        "graph LSTM, sum": lj.graph.lstm(size, own=True),
    }


def studies(config: Config) -> list[Study]:
    for nodes in config.nodes:
        if checking.positive_int("nodes", nodes) < 2:
            raise WrongValue(f"nodes: expected sizes of 2 or more, got {nodes}")
    if not config.nodes or len(set(config.nodes)) < len(config.nodes):
        raise WrongValue(f"nodes: expected different sizes, got {config.nodes}")
    smallest = config.nodes[0]
    training = draw(0, config.training, smallest, config.degree)
    validation = draw(1, config.held_out, smallest, config.degree)
    tests = {
        nodes: draw(FIRST_TEST + i, config.held_out, nodes, config.degree)
        for i, nodes in enumerate(config.nodes)
    }
    share = np.mean(np.concatenate([item.targets for item in training]))

    def score(answer: Any) -> dict[str, float]:
        scores = {}
        for nodes, items in tests.items():
            right = [answer(item) == item.targets for item in items]
            scores[accuracy_at(nodes)] = 100 * float(np.mean(np.concatenate(right)))
        return scores

    def majority(trial: Trial) -> dict[str, float]:
        return score(lambda item: np.full(len(item.ids), int(share > 0.5)))

    def one_step(trial: Trial) -> dict[str, float]:
        return score(lambda item: reached(item, 1))

    def net_entry(name: str, cell: Any) -> Entry:
        def net_at(nodes: int) -> _training.Net:
            def run_cell(params, graphs, xs):
                return lj.graph.propagate(cell, params, graphs, xs, rounds=nodes)[1]

            return _training.node_net(cell, run_cell, symbols=SYMBOLS, embedding=8, classes=2)

        def run(trial: Trial) -> dict[str, float]:
            fitted = _training.fit(
                net_at(smallest), train.optimizer("adam", config.learning_rate, clip=1.0),
                training, validation, pack, trial, batch_size=config.batch_size,
                epochs=config.epochs, patience=config.patience,
            )  # fmt: skip
            trial.save_arrays("history", **fitted.history)
            scores: dict[str, float] = {EPOCH: fitted.best_epoch}
            for nodes, items in tests.items():
                batches = list(_training.make_batches(items, config.batch_size, pack))
                accuracy = _training.accuracy_of(net_at(nodes))(fitted.params, batches)
                scores[accuracy_at(nodes)] = 100 * accuracy
            return scores

        parameters = _training.parameters_of(net_at(smallest))
        return Entry(name, "net", run, range(config.seeds), parameters)

    return [
        Study(
            "reachability",
            split=f"Random graphs with {config.degree} edges per node: {config.training} of "
            f"{smallest} nodes to train on, {config.held_out} to stop on, and {config.held_out} of "
            "each size to test on. As many rounds as nodes.",
            columns=[
                *(Column(accuracy_at(n), higher_is_better=True, digits=1) for n in config.nodes),
                Column(EPOCH, digits=0),
            ],
            entries=[
                Entry("commonest class", "baseline", majority),
                Entry("one step from the marked node", "baseline", one_step),
                *(net_entry(name, cell) for name, cell in cells_of(config.size).items()),
            ],
            data={"drawn": f"nodes {config.nodes}, degree {config.degree}, seeds from 0"},
            findings=find,
        )
    ]


def draw(seed: int, count: int, nodes: int, degree: float) -> list[Item]:
    """Random graphs without loops, each with a marked node, and which nodes it reaches."""
    rng = np.random.RandomState((2016, seed, nodes))
    items = []
    edges = min(round(degree * nodes), nodes * (nodes - 1))
    for _ in range(count):
        chosen = rng.choice(nodes * (nodes - 1), size=edges, replace=False)
        sources, others = chosen // (nodes - 1), chosen % (nodes - 1)
        pairs = np.stack([sources, others + (others >= sources)], axis=1)
        ids = np.ones(nodes, np.int32)
        ids[rng.randint(nodes)] = 2
        item = Item(lj.graph.Graph(nodes, pairs), ids, ids, np.ones(nodes, np.float32))
        items.append(item._replace(targets=reached(item, nodes)))
    return items


def reached(item: Item, steps: int) -> np.ndarray:
    """1 for the nodes that the marked one reaches in some steps, itself included."""
    seen = item.ids == 2
    for _ in range(steps):
        sources, targets = item.structure.edges.T
        more = seen.copy()
        more[targets[seen[sources]]] = True
        if np.array_equal(more, seen):
            break
        seen = more
    return seen.astype(np.int32)


def pack(graphs: list[lj.graph.Graph]) -> lj.graph.Graphs:
    """A batch for rounds of messages."""
    return lj.graph.pack(graphs, acyclic=False)


def find(results: Results) -> Findings:
    """The curves."""
    curves = {"loss": "training loss", "validation_accuracy": "validation accuracy"}
    return Findings(figures={"curves by epoch": draw_epochs(results, curves)})
