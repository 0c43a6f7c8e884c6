"""Checkpoints that are restored exactly, or raise an error.

FOLDER/7/   step 7: ``arrays.npz`` has the leaves by their numbers in ``tree.json``, which gives
            the path, type, dtype and shape of each

A step is written beside the older one, flushed to the disk and renamed. Nothing is ever touched
except such folders and what killed saves left of them. Steps that Orbax wrote, as earlier versions
of lstm_jax did, are restored too, and left in place.
"""

import contextlib
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from lstm_jax._internal import checking, storage
from lstm_jax._internal.errors import WrongValue
from lstm_jax.train import leaves
from lstm_jax.train.leaves import CheckpointError as CheckpointError

T = TypeVar("T")

TREE, ARRAYS, FORMAT = "tree.json", "arrays.npz", "lstm_jax checkpoint 1"


def save(folder: str | Path, step: int, tree: Any) -> Path:
    """Writes ``tree``, flushes it to the disk, and only then removes the older steps.

    Each step is a folder of its own, renamed into place when it is complete: a process killed at
    any moment leaves the previous step or this one. Leaves are arrays of JAX and NumPy, including
    typed keys and arrays of size zero, and numbers of NumPy and Python; ``restore`` gives back
    every bit, type and dtype, except that JAX's weak types become plain ones.

    Raises:
        ValueError: before anything is written, if ``step`` is not newer than the newest, or the
            folder has something else of its name.
        TypeError: before anything is written, for other leaves.
        CheckpointError: if nothing could be written.
    """
    path = write(folder, step, tree)
    remove_others(path)
    return path


def write(folder: str | Path, step: int, tree: Any) -> Path:
    """As ``save``, but removes nothing."""
    folder = Path(folder).resolve()
    step = checking.seed("step", step)
    newest = latest_step(folder)
    if newest is not None and step <= newest:
        raise WrongValue(
            f"step: expected a step above {newest}, the newest in {folder}, got {step}"
        )
    path = folder / str(step)
    if os.path.lexists(path):
        raise WrongValue(
            f"step: expected a free name, got {path}, which exists and is no checkpoint"
        )
    named, texts = leaves.by_name(tree), leaves.readable_names(tree)
    records = {name: leaves.record(texts[name], leaf) for name, leaf in named.items()}
    lines = [
        {"name": name, "shown": texts[name], **kept._asdict()} for name, kept in records.items()
    ]
    arrays: dict[str, Any] = {
        str(i): leaves.to_numpy(leaf) for i, leaf in enumerate(named.values())
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(path, json.dumps({"format": FORMAT, "leaves": lines}, indent=1), arrays)
    except OSError as error:
        raise CheckpointError(f"{path}: not saved: {error}") from error
    return path


def remove_others(path: Path) -> None:
    """Removes the other steps beside ``path`` and what killed saves left, unless somebody else put
    anything into them. What cannot be removed stays until the next time."""
    for entry in path.parent.iterdir():
        with contextlib.suppress(OSError):
            if entry != path and _is_step(entry.name) and _is_ours(entry):
                entry = entry.rename(storage.part_of(entry))  # a half-removed one is never a step
                _remove(entry)
            elif _is_remains(entry):
                _remove(entry)


def latest_step(folder: str | Path) -> int | None:
    """The newest complete step in ``folder``; None if there is none."""
    return max(steps(folder), default=None)


def steps(folder: str | Path, *, orbax: bool | None = None) -> list[int]:
    """The complete steps in ``folder``.

    Args:
        orbax: True for only those that Orbax wrote, False for only the others; None for all.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    found = [entry for entry in folder.iterdir() if _is_step(entry.name)]
    ours = [int(entry.name) for entry in found if (entry / TREE).is_file()]
    theirs = [int(entry.name) for entry in found if (entry / "_CHECKPOINT_METADATA").is_file()]
    return ours + theirs if orbax is None else theirs if orbax else ours


def restore(folder: str | Path, like: T, step: int | None = None) -> T:
    """The tree saved at ``step`` (None: the newest), with the structure and types of ``like``.

    JAX's arrays come back on the default device.

    Args:
        like: a tree of leaves as they were saved, or of ``jax.ShapeDtypeStruct``, for which each
            leaf is of the type that was saved.

    Raises:
        CheckpointError: if nothing was saved; naming the leaf, if a name, a shape, a dtype or a
            key's generator differs.
    """
    folder = Path(folder).resolve()
    step = latest_step(folder) if step is None else checking.seed("step", step)
    if step is None or step not in steps(folder):
        raise CheckpointError(f"{folder}: no checkpoint{'' if step is None else f' {step}'} there")
    path = folder / str(step)
    if not (path / TREE).is_file():
        from lstm_jax.train import orbax_checkpoint

        return orbax_checkpoint.restore(path, like)
    saved, texts = _read_records(path)
    named = leaves.by_name(like)
    texts |= leaves.readable_names(like)
    wanted = {
        name: leaves.expected_record(texts[name], leaf, saved.get(name))
        for name, leaf in named.items()
    }
    wrong = leaves.first_difference(saved, wanted)
    if wrong is not None:
        name, text = wrong
        raise CheckpointError(f"{path}: {texts[name]}: {text}")
    numbers = {name: str(i) for i, name in enumerate(saved)}
    try:
        with np.load(path / ARRAYS, allow_pickle=False) as arrays:
            values = [
                leaves.from_numpy(leaf, wanted[name], arrays[numbers[name]])
                for name, leaf in named.items()
            ]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path / ARRAYS} cannot be read: {error}") from error
    return jax.tree.unflatten(jax.tree.structure(like), values)


def _write_whole(path: Path, text: str, arrays: dict[str, Any]) -> None:
    aside = storage.part_of(path)
    aside.mkdir()
    try:
        with (aside / TREE).open("x", encoding="utf-8") as file:
            storage.claim(file)
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
            with (aside / ARRAYS).open("xb") as data:
                np.savez(data, **arrays)
                data.flush()
                os.fsync(data.fileno())
            storage.sync(aside)
            aside.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove(aside)
        raise
    storage.sync(path.parent)


def _read_records(path: Path) -> tuple[dict[str, leaves.Record], dict[str, str]]:
    """The records of the leaves in tree.json, and their names as errors show them."""
    try:
        kept = json.loads((path / TREE).read_text(encoding="utf-8"))
        if kept["format"] != FORMAT:
            raise ValueError(f"it is of the format {kept['format']!r}")
        records = {
            line["name"]: leaves.Record(line["type"], line["dtype"], tuple(line["shape"]))
            for line in kept["leaves"]
        }
        return records, {line["name"]: line["shown"] for line in kept["leaves"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path / TREE} cannot be read: {error!r}") from error


def _is_step(name: str) -> bool:
    return re.fullmatch(r"0|[1-9][0-9]*", name) is not None


def _is_ours(path: Path) -> bool:
    """Whether ``save`` wrote the folder, and it holds nothing else."""
    if not _holds_only_ours(path) or not (path / TREE).is_file():
        return False
    try:
        _read_records(path)
    except CheckpointError:
        return False
    return True


def _is_remains(path: Path) -> bool:
    """Whether the folder is what a killed process left of a step, and no process is writing it."""
    step = path.name.split(".")[0]
    if not (_is_step(step) and storage.is_part(path, step) and _holds_only_ours(path)):
        return False
    tree = path / TREE
    return not (tree.exists() and storage.is_claimed(tree))


def _holds_only_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return False
    entries = list(path.iterdir())
    return all(
        entry.name in (TREE, ARRAYS) and entry.is_file() and not entry.is_symlink()
        for entry in entries
    )


def _remove(path: Path) -> None:
    """Removes a folder of ``_write_whole``; if this is killed, what is left is recognised again."""
    for name in (ARRAYS, TREE):
        (path / name).unlink(missing_ok=True)
    path.rmdir()
