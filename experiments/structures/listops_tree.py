"""The value of a nested list: a net that is given the tree, and one that has to find it.

    python -m experiments listops_tree

Nangia & Bowman 2018, "ListOps: A diagnostic dataset for latent tree learning": expressions of
digits and of lists of them, under minimum, maximum, median and sum modulo 10. With 128 units and
90,000 expressions they report 98.7 % for a TreeLSTM that is given the correct parse, and 71.5 % for
an LSTM that reads the tokens.

Expect the Tree-LSTMs far above the LSTM, and above 95 %.
"""

import dataclasses

import numpy as np

import lstm_jax as lj
from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Column, Entry, Findings, Published, Results, Study, Trial
from experiments.structures import _listops, _training
from lstm_jax import train
from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue

TIME = "2 h"
ACCURACY, EPOCH = "test accuracy in %", "best epoch"
CLASSES = 10
TREES = {"child-sum Tree-LSTM": _listops.list_tree, "binary Tree-LSTM": _listops.binary_tree}


@dataclasses.dataclass(frozen=True)
class Config:
    training: int = 50_000
    """Expressions to train on."""
    held_out: int = 2_000
    """Expressions in each of validation and test."""
    longest: int = 100
    """Most tokens of an expression."""
    max_args: int = 5
    """Most arguments of a list."""
    size: int = 128
    """Hidden size of each net."""
    embedding: int = 64
    """Size of the vectors of tokens."""
    batch_size: int = 128
    """Expressions per step."""
    epochs: int = 30
    """Most epochs of each net."""
    patience: int = 5
    """Epochs without a better validation score after which a net stops."""
    learning_rate: float = 2e-3
    """Of Adam, for each net."""
    seeds: int = 1
    """Trials of each net."""


def studies(config: Config) -> list[Study]:
    if checking.positive_int("training", config.training) < config.batch_size:
        raise WrongValue(
            f"training: expected at least batch_size, {config.batch_size}, got {config.training}"
        )
    seen: set[bytes] = set()
    validation, test, training = (
        _listops.draw(seed, count, config.longest, config.max_args, seen)
        for seed, count in enumerate((config.held_out, config.held_out, config.training))
    )
    common = np.bincount(training.values, minlength=CLASSES).argmax()

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
        most = 2 if cell.ordered else config.max_args

        def pack(trees: list) -> lj.tree.Forest:
            return lj.tree.pack(trees, children=most)

        def run(trial: Trial) -> dict[str, float]:
            seen, held_out, asked = (
                _listops.tree_items(part, TREES[name]) for part in (training, validation, test)
            )
            optimizer = train.optimizer("adam", config.learning_rate, clip=5.0)
            fitted = _training.fit(
                net, optimizer, seen, held_out, pack, trial, batch_size=config.batch_size,
                epochs=config.epochs, patience=config.patience,
            )  # fmt: skip
            trial.save_arrays("history", **fitted.history)
            batches = list(_training.make_batches(asked, config.batch_size, pack))
            accuracy = _training.accuracy_of(net)(fitted.params, batches)
            return {ACCURACY: 100 * accuracy, EPOCH: fitted.best_epoch}

        parameters = _training.parameters_of(net)
        return Entry(name, "net", run, range(config.seeds), parameters)

    def sequence_entry() -> Entry:
        inputs = train.inputs.embedding(_listops.SYMBOLS, config.embedding)
        head = train.heads.classification(CLASSES)
        model = train.network(lj.lstm(config.size), inputs, head, reads="last")

        def run(trial: Trial) -> dict[str, float]:
            data = [
                train.Dataset(_listops.sequences(part), part.values)
                for part in (training, validation, test)
            ]
            fitted = train.fit(
                model, data[0], validation=data[1], loss="cross_entropy", metrics=["accuracy"],
                optimizer=train.optimizer("adam", config.learning_rate, clip=5.0),
                epochs=config.epochs, batch_size=config.batch_size,
                early_stopping=train.EarlyStopping(config.patience, "accuracy"), key=trial.key,
                checkpoint=trial.checkpoint, progress=trial.progress,
            )  # fmt: skip
            trial.save_arrays("history", **fitted.history)
            measured = train.evaluate(model, fitted.params, data[2], metrics="accuracy")
            return {ACCURACY: 100 * measured["accuracy"], EPOCH: fitted.best_epoch}

        parameters = train.count_parameters(model)
        return Entry("LSTM", "net", run, range(config.seeds), parameters)

    return [
        Study(
            "ListOps",
            split=f"{config.training} expressions to train on, {config.held_out} to stop on and "
            f"{config.held_out} to test on, all different, of up to {config.longest} tokens.",
            columns=[
                Column(ACCURACY, higher_is_better=True, digits=1),
                Column(EPOCH, digits=0),
            ],
            entries=[
                Entry("commonest value", "baseline", majority),
                sequence_entry(),
                *map(tree_entry, TREES),
            ],
            data={"training": training, "validation": validation, "test": test},
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
