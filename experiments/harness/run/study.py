"""A study: entries that are compared on one real data set, and the trials of each entry.

Where ``setting`` compares cells on a task whose data are drawn without end, a study compares
anything that answers on finite data: trivial baselines, linear models, trained nets, and numbers
from the literature, all in one table.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from experiments.harness.run import saved_nets
from experiments.harness.run.jobs import slug
from lstm_jax._internal import checking, storage
from lstm_jax._internal.errors import WrongType, WrongValue

KINDS = ("baseline", "linear", "net")
SECONDS = "seconds"


class Trial(NamedTuple):
    """One trial of an entry, as its function gets it.

        fitted = train.fit(
            model, data, ..., key=trial.key, checkpoint=trial.checkpoint, progress=trial.progress
        )

    seed: of this trial; with ``over="folds"``, the number of the fold.
    folder: exists, and is the trial's own. What is in it from a killed start is still there.
    key: ``jax.random.key(seed)``.
    show: ``(fraction, text) -> None`` shows how far the trial is, from 0 to 1, and what it is
        doing, such as "epoch 3 of 13".
    """

    seed: int
    folder: Path
    key: jax.Array
    show: Callable[[float, str], None]

    @property
    def checkpoint(self) -> Path:
        """The folder of training's own checkpoints, for ``train.fit``."""
        return self.folder / "checkpoint"

    def progress(self, event: Any) -> None:
        """Shows where ``train.fit`` or ``train.cross_validate`` stands, as its ``progress``."""
        in_fold = (event.epoch * event.batches + event.batch) / max(event.epochs * event.batches, 1)
        fraction = (max(event.fold - 1, 0) + in_fold) / max(event.folds, 1)
        fold = f"fold {event.fold} of {event.folds}, " if event.folds else ""
        epoch = min(event.epoch + 1, event.epochs)
        measured = [f"loss {event.loss:.4g}"]
        for name, values in event.history.items():
            if name.startswith("validation_"):
                measured.append(f"{name.replace('_', ' ')} {values[-1]:.4g}")
        self.show(fraction, f"{fold}epoch {epoch} of {event.epochs}: {', '.join(measured)}")

    def part(self, name: str, number: int, count: int) -> "Trial":
        """One of several trainings within the trial, with a folder and a key of its own.

        Args:
            name: Of the part, such as "300 examples", and of its folder.
            number: From 0 to ``count`` - 1.
            count: How many parts there are, of about equal cost.
        """
        folder = self.folder / slug(name)
        folder.mkdir(exist_ok=True)

        def show(fraction: float, text: str) -> None:
            self.show((number + fraction) / count, f"{name}, {text}" if text else name)

        return Trial(self.seed, folder, jax.random.fold_in(self.key, number), show)

    def save_arrays(self, name: str, **arrays: Any) -> None:
        """Writes ``NAME.npz``, such as predictions and curves that a figure needs.

        ``Results.arrays`` reads it.
        """
        values: dict[str, Any] = {key: np.asarray(value) for key, value in arrays.items()}
        with storage.replacing(self.folder / f"{name}.npz") as file:
            np.savez(file, **values)

    def save_net(self, params: Any, **description: Any) -> None:
        """Writes a trained net with whatever rebuilds it, as JSON; ``saved_nets`` reads it."""
        saved_nets.save(self.folder, params, description)


class Entry(NamedTuple):
    """One row of the table.

    name: in the table.
    kind: "baseline" for a trivial one, "linear", or "net". Simple models that are not linear, such
        as boosting or n-grams, are baselines.
    run: ``(trial) -> scores``, by the names of the study's columns, of which it may leave out
        some. It depends on nothing but the configuration, the data and the trial. It may also give
        "seconds", if the time that it took is not what is to be shown. If it is killed, it is
        called again, with the same folder. If it raises ``train.NonFiniteLoss``, the trial counts
        as diverged.
    seeds: one trial each; one seed for what is deterministic.
    parameters: the number of trained numbers; None where that means nothing.
    """

    name: str
    kind: Literal["baseline", "linear", "net"]
    run: Callable[[Trial], Mapping[str, float]]
    seeds: Sequence[int] = (0,)
    parameters: int | None = None


class Published(NamedTuple):
    """A row with numbers from the literature.

    name: of the model.
    source: such as "Zaremba 2014".
    scores: by column.
    checked: False for a number that was not read in its source, which is shown as "reported".
    parameters: as in ``Entry``.
    """

    name: str
    source: str
    scores: Mapping[str, float]
    checked: bool = True
    parameters: int | None = None


class Column(NamedTuple):
    """A column of the table.

    name: with data and unit, such as "test RMSE in °C"; the key of the score.
    higher_is_better: None for a number that is neither good nor bad, such as the best epoch.
    digits: after the point.
    """

    name: str
    higher_is_better: bool | None = None
    digits: int = 3


class Findings(NamedTuple):
    """What the results show besides the table.

    texts: paragraphs of Markdown.
    tables: ``(title, columns, rows)`` of each, all of them text.
    figures: of Matplotlib, by what they show in a few words.
    """

    texts: Sequence[str] = ()
    tables: Sequence[tuple[str, list[str], list[list[str]]]] = ()
    figures: Mapping[str, Any] = {}


class Study(NamedTuple):
    """One table of an experiment.

    name: of the data set, such as "Penn Treebank".
    split: which data are trained on, validated and tested, in a sentence: how nothing of the test
        data can have leaked.
    columns: the first one decides which net ``generate`` takes.
    entries: run in this order.
    data: what the numbers depend on, by name: files (``Path``), arrays, text, or pytrees of them.
        Their checksums stand in made_from.json, and a run is not continued with other data.
    published: rows with numbers from the literature.
    over: "seeds": trials differ in their seed, and the table shows the median over them, with a
        95 % interval. "folds": they are the folds of a cross-validation, and the table shows the
        mean and the standard deviation.
    findings: ``(results) -> Findings``; None for nothing. To be able to change figures of a
        finished run, keep this function in a file whose name ends in ``_figures.py``.
    """

    name: str
    split: str
    columns: Sequence[Column]
    entries: Sequence[Entry]
    data: Mapping[str, Any]
    published: Sequence[Published] = ()
    over: Literal["seeds", "folds"] = "seeds"
    findings: "Callable[[Results], Findings] | None" = None

    @property
    def folder(self) -> str:
        """The name of the study's folder in the run folder."""
        return slug(self.name)

    def entry(self, name: str) -> Entry:
        """The entry of this name."""
        names = [entry.name for entry in self.entries]
        return self.entries[names.index(checking.choice("entry", name, names))]


class Results(NamedTuple):
    """The results of a study.

    study: the study.
    folder: its folder, with ``ENTRY/seed_N/`` for each trial.
    trials: the content of result.json, by entry and seed.
    """

    study: Study
    folder: Path
    trials: Mapping[tuple[str, int], Mapping[str, Any]]

    def scores(self, entry: str, column: str) -> np.ndarray:
        """A score of all trials of an entry ``[seeds]``; NaN for those that have none."""
        checking.choice("column", column, [known.name for known in self.study.columns])
        seeds = self.study.entry(entry).seeds
        values = [self.trials[entry, seed]["scores"].get(column) for seed in seeds]
        return np.array(values, float)

    def trial_folder(self, entry: str, seed: int | None = None) -> Path:
        """The folder of a trial; by default that of the first seed."""
        seed = self.study.entry(entry).seeds[0] if seed is None else seed
        return self.folder / trial_path(entry, seed)

    def arrays(self, entry: str, name: str, seed: int | None = None) -> dict[str, np.ndarray]:
        """What ``Trial.save_arrays`` wrote under this name; by default that of the first seed.

        Raises FileNotFoundError if there is nothing of that name, as for a trial that diverged.
        """
        with np.load(self.trial_folder(entry, seed) / f"{name}.npz", allow_pickle=False) as file:
            return dict(file)


def trial_path(entry: str, seed: int) -> str:
    """The path of a trial's folder in its study's."""
    return f"{slug(entry)}/seed_{seed}"


def check(study: Study) -> None:
    """Raises ValueError or TypeError for a study that cannot be run or shown."""
    if not isinstance(study, Study):
        raise WrongType(f"studies: expected Study objects, got {type(study).__name__}")
    if not study.entries or not study.columns:
        raise WrongValue(f"{study.name}: expected at least one entry and one column, got none")
    checking.choice("over", study.over, ("seeds", "folds"))
    columns = [column.name for column in study.columns]
    require_distinct(f"{study.name}: columns", columns)
    require_distinct(f"{study.name}: entries", [slug(entry.name) for entry in study.entries])
    for entry in study.entries:
        checking.choice(f"kind of {entry.name}", entry.kind, KINDS)
        for seed in entry.seeds:
            checking.seed(f"seeds of {entry.name}", seed)
        require_distinct(f"seeds of {entry.name}", list(entry.seeds))
    for row in study.published:
        for name in row.scores:
            checking.choice(f"scores of {row.name}", name, columns)


def require_distinct(what: str, values: list[Any]) -> None:
    """Raises ValueError for no values, and for two that are the same."""
    if not values:
        raise WrongValue(f"{what}: expected at least one, got none")
    for value in values:
        if values.count(value) > 1:
            raise WrongValue(f"{what}: expected each once, got {value!r} twice")
