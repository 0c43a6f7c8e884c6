"""Trained models in a folder: a description and the weights, loaded back in one line.

``cell, params = train.load_cell(folder)``, and ``lj.unroll(cell, params, xs)`` runs.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import calls, cell_checks, checking, storage
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.cells import make, parse, registry
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params
from lstm_jax.train import checkpoint, leaves
from lstm_jax.train.checkpoint import CheckpointError
from lstm_jax.train.model import Model, recurrent
from lstm_jax.version import __version__

FILE, WEIGHTS = "model.json", "weights"


class Description(NamedTuple):
    """What ``recurrent`` makes a model from.

    cell: its name in ``lj.cells.registry``, alone or with options, such as "lstm(peephole=True)".
    size: the hidden size. input_size, output_size, reads: as ``recurrent`` takes them.
    options: further options of the cell: numbers, strings, lists and the like.
    """

    cell: str
    size: int
    input_size: int
    output_size: int
    reads: str = "last"
    options: Mapping[str, Any] = {}

    def as_json(self) -> dict[str, Any]:
        """As in model.json: options in the text of ``cell`` are moved to ``options``.

        Raises ValueError for a cell that is not registered and for a size below 1, and TypeError
        for an option given twice and for options that JSON cannot hold.
        """
        name, written = parse(self.cell)
        options = calls.merge_options(name, written, self.options)
        try:
            options = json.loads(json.dumps(options))
        except (TypeError, ValueError) as error:
            raise WrongType(
                f"options: expected values that JSON can hold ({error}), got {options}"
            ) from None
        sizes = ("size", "input_size", "output_size")  # NumPy's integers become int
        ints = {size: checking.positive_int(size, getattr(self, size)) for size in sizes}
        return {**self._asdict(), **ints, "cell": name, "options": options}

    def make_cell(self) -> Cell:
        return make(self.cell, self.size, **self.options)

    def make_model(self) -> Model:
        return recurrent(self.make_cell(), self.input_size, self.output_size, reads=self.reads)


def save_model(folder: str | Path, description: Description, params: Params) -> None:
    """Writes ``model.json`` and the weights into ``folder``, in place of a model that is there.

    If the disk is full, or the process is killed at any moment, the folder has the previous model
    or the new one.

    Args:
        params: of the model, as its ``init`` gives them; all leaves may have a leading axis of
            runs. ``load_model`` gives them back as arrays of JAX.

    Raises:
        ValueError or TypeError: for a cell that is not registered, for options that JSON cannot
            hold, and for params that are not of this model.
        CheckpointError: if nothing could be written.
    """
    folder = Path(folder)
    described = description.as_json()
    runs = _runs(params, _shapes(Description(**described)))
    weights = folder / WEIGHTS
    newest = checkpoint.latest_step(weights)
    step = 0 if newest is None else newest + 1
    line = {**described, "runs": runs, WEIGHTS: step, "version": __version__}

    path = checkpoint.write(weights, step, params)
    try:
        with storage.replacing(folder / FILE, "w") as file:  # from here on it is the new model
            file.write(json.dumps(line, indent=2) + "\n")
    except OSError as error:
        raise CheckpointError(f"{folder / FILE}: not saved: {error}") from error
    checkpoint.remove_others(path)


def load_model(folder: str | Path, run: int | None = 0) -> tuple[Model, Params]:
    """The model saved in ``folder``, and its params.

    Args:
        run: which of the runs that were saved side by side; None for all, with their leading axis.

    Raises:
        CheckpointError: if no model was saved, or the weights are not as described.
        ValueError: for a run that is not there, and for a cell that is not registered.
    """
    description, params = _load(Path(folder), run)
    return description.make_model(), params


def load_cell(folder: str | Path, run: int | None = 0) -> tuple[Cell, Params]:
    """The cell of the model saved in ``folder``, and its params, without the readout.

    Arguments and errors are those of ``load_model``.
    """
    description, params = _load(Path(folder), run)
    return description.make_cell(), params["cell"]


def _load(folder: Path, run: int | None) -> tuple[Description, Params]:
    file = folder / FILE
    if not file.is_file():
        raise CheckpointError(f"{folder}: no {FILE} there; train.save_model writes one")
    try:
        line = json.loads(file.read_text())
        runs = None if line["runs"] is None else checking.positive_int("runs", line["runs"])
        description = Description(**{name: line[name] for name in Description._fields})
        step = _step(folder, line)
        if not isinstance(description.cell, str):
            raise WrongType(f"cell: expected a name, got {description.cell!r}")
        if not isinstance(description.options, dict):
            raise WrongType(f"options: expected a dict, got {description.options!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: no description of a model: {error!r}") from None
    name = description.cell
    if name not in registry:
        raise WrongValue(
            f"{file}: the cell {name!r} is not registered here; register it first: "
            f"lj.cells.registry[{name!r}] = its factory"
        )
    try:
        shapes = _shapes(description)
    except ArgumentError as error:
        raise CheckpointError(f"{file}: {error}") from None
    if run is not None and run not in range(runs or 1):
        raise WrongValue(f"run: expected 0 to {(runs or 1) - 1}, a run in {folder}, got {run}")
    if runs is not None:
        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((runs, *leaf.shape), leaf.dtype), shapes
        )
    params = jax.tree.map(jnp.asarray, checkpoint.restore(folder / WEIGHTS, shapes, step))
    if runs is not None and run is not None:
        params = jax.tree.map(lambda leaf: leaf[run], params)
    return description, params


def _step(folder: Path, line: dict[str, Any]) -> int | None:
    """The step of the weights that belong to model.json: another save may have been killed."""
    if WEIGHTS in line:
        return checking.seed(WEIGHTS, line[WEIGHTS])
    return max(checkpoint.steps(folder / WEIGHTS, orbax=True), default=None)  # of older versions


def _shapes(description: Description) -> Params:
    return jax.eval_shape(description.make_model().init, jax.random.key(0))


def _runs(params: Params, shapes: Params) -> int | None:
    """How many runs ``params`` holds side by side; None if it has no axis of runs."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        leaves.record("params" + jax.tree_util.keystr(path), leaf)
    first, like = jax.tree.leaves(params), jax.tree.leaves(shapes)
    runs = None
    if first and np.ndim(first[0]) == like[0].ndim + 1:
        runs = first[0].shape[0]
        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((runs, *leaf.shape), leaf.dtype), shapes
        )
    cell_checks.same_shapes("params", params, shapes, "the model's init")
    for got, expected in zip(first, jax.tree.leaves(shapes), strict=True):
        dtype = getattr(got, "dtype", type(got).__name__)
        if dtype != expected.dtype:
            raise WrongValue(f"params: expected {expected.dtype}, as init gives, got dtype {dtype}")
    return runs
