"""``lj.save`` and ``lj.load``: the weights of a cell or a model, and what builds it anew."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import cell_checks
from lstm_jax._internal.dtypes import is_wide_float
from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.initializers import shapes_only
from lstm_jax.core.recipes import FactoryMade
from lstm_jax.core.typing import Params
from lstm_jax.files import card as cards
from lstm_jax.files import contents, description
from lstm_jax.files.contents import Contents, FileError
from lstm_jax.files.leaves import leaf_names
from lstm_jax.version import __version__

BROKEN = (ArgumentError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Information(NamedTuple):
    """What a file says of its model.

    Attributes:
        name: The call that made the model, such as "lstm(128, peephole=True)".
        input_size: The size D of a cell's inputs; None for a model.
        parameters: The number of weights.
        notes: The notes that were saved with it.
        lstm_jax: The version of lstm_jax that wrote the file.
        jax: The version of JAX that was in use.
        description: The model as JSON, with all options.
    """

    name: str
    input_size: int | None
    parameters: int
    notes: dict[str, Any]
    lstm_jax: str
    jax: str
    description: dict[str, Any]


def save(
    path: str | Path,
    model: Any,
    *,
    notes: Mapping[str, Any] | None = None,
    card: cards.Card | None = None,
) -> None:
    """Writes a trained model into one safetensors file, from which ``lj.load`` builds it anew.

        lj.save("model.safetensors", (cell, params))

    The file holds the weights, each under its path in ``params`` (such as "0.w_x"), and in its
    metadata the name and all options of the cell with its wrappers, or of a model with its inputs,
    cell and head. Nothing is pickled. A checksum covers all of it. If the disk is full, or the
    process is killed at any moment, ``path`` is the previous file or the new one.

    Install safetensors by ``pip install 'lstm_jax[safetensors]'``.

    Args:
        path: The file, by convention with the suffix ".safetensors".
        model: ``(cell, params)``; ``(model, params)`` with a model of ``lj.train`` or
            ``lj.seq2seq``; or a module of ``lj.nnx``, which is saved as its cell and params.
        notes: What else a user of the model needs, as JSON can hold it, such as the tokens of a
            vocabulary; ``read_information`` gives it back.
        card: What a reader should know. The model card is written beside the file, as Markdown
            with the suffix ".md". On a hub, name it README.md.

    Raises:
        ValueError, TypeError: For params of another model, and for a model that a description
            cannot hold; the error says what to do.
        FileError: If nothing could be written.
        ImportError: Without safetensors.
    """
    path = _as_path(path)
    made, params = _as_pair(model)
    _require_arrays(params)
    described, arrays = description.describe(made)
    try:
        rebuilt = description.build(json.loads(json.dumps(described)), arrays)
    except description.UnknownFactory as error:
        raise WrongValue(f"model: expected registered factories, got {error}") from None
    if rebuilt.recipe != made.recipe:
        raise WrongValue(
            f"model: expected options that equal calls of a factory repeat, got {made.recipe.name}"
        )
    input_size = cell_checks.input_size_of(made, params) if isinstance(made, Cell) else None
    expected = _shapes(made, input_size)
    cell_checks.same_shapes("params", params, expected, f"{made.recipe.name}.init")
    names = leaf_names("params", expected)
    leaves = dict(zip(names, map(np.asarray, jax.tree.leaves(params)), strict=True))
    texts = {
        "model": json.dumps(described),
        "name": made.recipe.name,
        "input_size": json.dumps(input_size),
        "notes": _notes_as_json(notes),
        "lstm_jax": __version__,
        "jax": jax.__version__,
    }
    if card is not None:
        cards.require_card("card", card)
        cards.card_path(path)
    contents.write(path, Contents(leaves | arrays, texts))
    if card is not None:
        cards.write(path, card, read_information(path))


def load(path: str | Path) -> tuple[Any, Params]:
    """Reads a file that ``lj.save`` wrote.

        cell, params = lj.load("model.safetensors")

    Args:
        path: The file.

    Returns:
        What was saved: ``(cell, params)`` or ``(model, params)``, with the params as arrays of JAX.

    Raises:
        FileError: For a file that is missing, damaged, from a later version, or not written by
            ``lj.save``, and for weights of 64 bits where JAX has 32; the error names the file.
        ValueError: For a cell from outside that is not registered here.
        ImportError: Without safetensors.
    """
    path = _as_path(path)
    arrays, texts = contents.read(path)
    try:
        made = description.build(json.loads(texts["model"]), arrays)
        shapes = _shapes(made, json.loads(texts["input_size"]))
        names = leaf_names("params", shapes)
    except description.UnknownFactory as error:
        raise WrongValue(
            f"{path}: expected factories that are registered here, got {str(error)!r}; register "
            f"it before loading: lj.cells.registry[{str(error)!r}] = its factory"
        ) from None
    except BROKEN as error:
        raise FileError(f"{path}: no description that this version can build: {error}") from error
    weights = {name: a for name, a in arrays.items() if not name.startswith(description.ARRAYS)}
    got = {name: array.shape for name, array in weights.items()}
    expected = dict(zip(names, (s.shape for s in jax.tree.leaves(shapes)), strict=True))
    if got != expected:
        wrong = sorted(n for n in got.keys() | expected.keys() if got.get(n) != expected.get(n))
        raise FileError(
            f"{path}: expected weights {wrong[0]} of shape {expected.get(wrong[0])}, as "
            f"{texts['name']} has them, got {got.get(wrong[0])}"
        )
    leaves = [_as_leaf(path, name, weights[name]) for name in names]
    return made, jax.tree.unflatten(jax.tree.structure(shapes), leaves)


def read_information(path: str | Path) -> Information:
    """Reads what a file says of its model, without building it.

        lj.files.read_information("model.safetensors").name  # "lstm(128, peephole=True)"

    Args:
        path: A file that ``lj.save`` wrote.

    Raises:
        FileError: As for ``lj.load``.
        ImportError: Without safetensors.
    """
    path = _as_path(path)
    arrays, texts = contents.read(path)
    count = sum(a.size for name, a in arrays.items() if not name.startswith(description.ARRAYS))
    try:
        return Information(
            name=texts["name"],
            input_size=json.loads(texts["input_size"]),
            parameters=int(count),
            notes=json.loads(texts["notes"]),
            lstm_jax=texts["lstm_jax"],
            jax=texts["jax"],
            description=json.loads(texts["model"]),
        )
    except BROKEN as error:
        raise FileError(f"{path}: no description of a model: {error!r}") from None


def _as_path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise WrongType(f"path: expected a path, got {path!r}")
    return Path(path)


def _require_arrays(params: Params) -> None:
    for place, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = f"params{jax.tree_util.keystr(place)}"
        if isinstance(leaf, jax.core.Tracer):
            raise WrongType(
                f"{name}: expected an array with values, got a tracer; save outside jit"
            )
        if getattr(leaf, "dtype", None) == np.float64 and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
            raise WrongValue(
                f"{name}: expected float32 or narrower, got float64, which lj.load would refuse "
                "here; cast it first, or enable jax_enable_x64"
            )


def _as_pair(model: Any) -> tuple[Any, Params]:
    if isinstance(getattr(model, "cell", None), Cell) and hasattr(model, "params"):
        from lstm_jax.nnx import get_params  # a module is there, so Flax is

        return model.cell, get_params(model)
    # A cell is a tuple too.
    if type(model) is not tuple or len(model) != 2 or not isinstance(model[0], FactoryMade):
        got = getattr(model, "name", type(model).__name__)
        raise WrongType(
            f"model: expected (cell, params), (model, params) or a module of lj.nnx, "
            f"got {got}" + (" without its params" if isinstance(model, FactoryMade) else "")
        )
    if not hasattr(model[0], "init"):
        raise WrongType(f"model: expected a cell or a model, got {type(model[0]).__name__}")
    return model


def _shapes(made: Any, input_size: int | None) -> Params:
    """The shapes of the params."""
    sizes = () if input_size is None else (input_size,)
    with shapes_only():
        return jax.eval_shape(lambda key: made.init(key, *sizes), jax.random.key(0))


def _as_leaf(path: Path, name: str, array: np.ndarray) -> jax.Array:
    if not is_wide_float(array.dtype):
        raise FileError(f"{path}: expected floats in {name}, got {array.dtype.name}")
    leaf = jnp.asarray(array)
    if leaf.dtype != array.dtype:
        raise FileError(
            f"{path}: expected a JAX of 64 bits for {name}, which has {array.dtype.name}, got one "
            "of 32 bits; jax.config.update('jax_enable_x64', True) changes it"
        )
    return leaf


def _notes_as_json(notes: Mapping[str, Any] | None) -> str:
    if notes is not None and not isinstance(notes, Mapping):
        raise WrongType(f"notes: expected a dict, got {type(notes).__name__}")
    try:
        text = json.dumps({} if notes is None else dict(notes), allow_nan=False)
        same = json.loads(text) == ({} if notes is None else dict(notes))
    except (TypeError, ValueError) as error:
        raise WrongType(f"notes: expected values that JSON can hold, got {error}") from None
    if not same:
        raise WrongType("notes: expected values that JSON gives back, got tuples or other keys")
    return text
