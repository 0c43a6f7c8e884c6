"""The value of a nested list: a net that is given the tree, and one that has to find it.

    python -m experiments listops_tree

Nangia & Bowman 2018, "ListOps: A diagnostic dataset for latent tree learning": expressions of
digits and of lists of them, under minimum, maximum, median and sum modulo 10, drawn anew from
their grammar. With 128 units they report 98.7 % for a TreeLSTM that is given the correct parse, and
71.5 % for an LSTM that reads the tokens, both trained on the values of whole expressions.

Nets here learn from the values of the lists within expressions, too, which takes fewer epochs: the
Tree-LSTMs at the nodes, and the LSTM from each list as a sequence of its own. Lists that are held
out do not count where they are part of others. ``--lists whole`` is the task as published.

Expect, after about an hour on two cores (estimated; nine minutes on a GPU): 99.6 % for the binary
Tree-LSTM, 90.0 % for the child-sum Tree-LSTM and 65.5 % for the LSTM.
"""

import dataclasses

import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Column, Entry, Findings, Published, Results, Study, Trial
from experiments.structures import _listops, _training
from lstm_jax import train
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.graph.levels import next_power
from lstm_jax.tasks.formal import listops

TIME = "1 h"
ACCURACY, EPOCH = "test accuracy in %", "best epoch"
CLASSES = 10
TREES = {"child-sum Tree-LSTM": _listops.list_tree, "binary Tree-LSTM": _listops.binary_tree}


@dataclasses.dataclass(frozen=True)
class Config:
    training: int = 50_000
    """Expressions to train on."""
    held_out: int = 2_000
    """Expressions in each of validation and test."""
    lists: str = "all"
    """Whose values are learnt: "all" lists within an expression, or the "whole" alone."""
    longest: int = 100
    """Most tokens of an expression."""
    max_args: int = 5
    """Most arguments of a list."""
    size: int = 128
    """Hidden size of each net."""
    embedding: int = 64
    """Size of the vectors of tokens."""
    batch_size: int = 256
    """Expressions per step; the LSTM takes as many lists as they have on average."""
    epochs: int = 20
    """Epochs of each net, of which the best by validation accuracy is tested."""
    learning_rate: float = 3e-3
    """Of Adam, for each net; it falls to 0 along a cosine."""
    seeds: int = 1
    """Trials of each net."""


def studies(config: Config) -> list[Study]:
    if checking.positive_int("training", config.training) < config.batch_size:
        raise WrongValue(
            f"training: expected at least batch_size, {config.batch_size}, got {config.training}"
        )
    checking.choice("lists", config.lists, ("all", "whole"))
    seen: set[bytes] = set()
    validation, test = (
        _listops.draw(seed, config.held_out, config.longest, config.max_args, seen)
        for seed in (0, 1)
    )
    held_out = set(seen)
    training = _listops.draw(2, config.training, config.longest, config.max_args, seen)
    common = np.bincount(training.values, minlength=CLASSES).argmax()
    data = {"training": training, "validation": validation, "test": test}

    def lists_of(part: listops.Expressions) -> list[list[_listops.Part]]:
        if part is training and config.lists == "all":
            return _listops.all_lists(part, held_out)
        return _listops.wholes(part)

    def optimizer(batches: int) -> optax.GradientTransformation:
        return train.optimizer(
            "adam", config.learning_rate, clip=5.0, schedule="cosine",
            steps=config.epochs * batches,
        )  # fmt: skip

    def majority(trial: Trial) -> dict[str, float]:
        return {ACCURACY: 100 * float(np.mean(test.values == common))}

    def tree_entry(name: str) -> Entry:
        cell = lj.tree.nary_lstm(config.size, 2)
        if name.startswith("child-sum"):
            cell = lj.tree.child_sum_lstm(config.size)

        def run_cell(params, forest, xs):
            return lj.tree.unroll(cell, params, forest, xs)[1]

        net = _training.node_net(cell, run_cell, symbols=_listops.SYMBOLS,
                                 embedding=config.embedding, classes=CLASSES)  # fmt: skip
        most, levels = (2, config.longest) if cell.ordered else (config.max_args, _listops.DEEPEST)

        def pack(trees: list) -> lj.tree.Forest:
            # All batches have as many levels, so that they share a program, or two.
            return lj.tree.pack(trees, children=most, levels=next_power(levels))

        def run(trial: Trial) -> dict[str, float]:
            items = {
                part: _listops.tree_items(of, lists_of(of), TREES[name])
                for part, of in data.items()
            }
            fitted = _training.fit(
                net, optimizer(config.training // config.batch_size), items["training"],
                items["validation"], pack, trial, batch_size=config.batch_size,
                epochs=config.epochs, patience=config.epochs,
            )  # fmt: skip
            trial.save_arrays("history", **fitted.history)
            batches = list(_training.make_batches(items["test"], config.batch_size, pack))
            accuracy = _training.accuracy_of(net)(fitted.params, batches)
            return {ACCURACY: 100 * accuracy, EPOCH: fitted.best_epoch}

        parameters = _training.parameters_of(net)
        return Entry(name, "net", run, range(config.seeds), parameters)

    def sequence_entry() -> Entry:
        inputs = train.inputs.embedding(_listops.SYMBOLS, config.embedding)
        head = train.heads.classification(CLASSES)
        model = train.network(lj.lstm(config.size), inputs, head, reads="last")

        def run(trial: Trial) -> dict[str, float]:
            rows = {part: _listops.sequences(of, lists_of(of)) for part, of in data.items()}
            batches = config.training // config.batch_size
            fitted = train.fit(
                model, rows["training"], validation=rows["validation"], loss="cross_entropy",
                metrics=["accuracy"], optimizer=optimizer(batches), epochs=config.epochs,
                batch_size=len(rows["training"]) // batches,
                early_stopping=train.EarlyStopping(config.epochs, "accuracy"), key=trial.key,
                checkpoint=trial.checkpoint, progress=trial.progress,
            )  # fmt: skip
            trial.save_arrays("history", **fitted.history)
            measured = train.evaluate(model, fitted.params, rows["test"], metrics="accuracy")
            return {ACCURACY: 100 * measured["accuracy"], EPOCH: fitted.best_epoch}

        parameters = train.count_parameters(model)
        return Entry("LSTM", "net", run, range(config.seeds), parameters)

    learnt = "the lists within them, too" if config.lists == "all" else "the whole of each"
    return [
        Study(
            "ListOps",
            split=f"{config.training} expressions to train on, with the values of {learnt}, "
            f"{config.held_out} to stop on and {config.held_out} to test on, all different, of up "
            f"to {config.longest} tokens. What is held out is learnt as no part of others either.",
            columns=[
                Column(ACCURACY, higher_is_better=True, digits=1),
                Column(EPOCH, digits=0),
            ],
            entries=[
                Entry("commonest value", "baseline", majority),
                sequence_entry(),
                *map(tree_entry, TREES),
            ],
            data=data,
            published=[
                Published("TreeLSTM, 128 units", "Nangia 2018", {ACCURACY: 98.7}, checked=False),
                Published("LSTM, 128 units", "Nangia 2018", {ACCURACY: 71.5}, checked=False),
            ],
            findings=find,
        )
    ]


def find(results: Results) -> Findings:
    """The curves."""
    curves = {"loss": "training loss", "validation_accuracy": "validation accuracy"}
    return Findings(figures={"curves by epoch": draw_epochs(results, curves)})
