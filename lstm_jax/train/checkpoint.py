"""Checkpoints through Orbax that either are there, exactly, or raise.

Orbax alone refuses an existing step in silence, loses a save that nobody waits for, turns
NamedTuples into dicts and casts dtypes without a word; see the tests.
"""

import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from lstm_jax.errors import WrongType, WrongValue


class CheckpointError(RuntimeError):
    """Nothing was saved, or what was saved is not what is asked for."""


def save(folder: str | Path, step: int, tree: Any) -> Path:
    """Writes ``tree``, waits, looks that it is there, and only then removes older steps.

    Each step is a folder of its own, renamed into place when it is whole: a process killed at
    any moment leaves the step before or this one. Leaves are arrays, typed keys among them.
    Raises ValueError where ``step`` is not newer than the newest, CheckpointError where nothing
    was written.
    """
    folder = Path(folder).resolve()  # Orbax takes a relative path and fails on it later
    if step < 0:
        raise WrongValue(f"step: got {step}; takes a number of steps")
    newest = latest_step(folder)
    if newest is not None and step <= newest:
        raise WrongValue(f"step: got {step}; takes one above {newest}, the newest in {folder}")
    path, leaves = folder / str(step), _named_leaves(tree)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, {name: np.asarray(_data(leaf)) for name, leaf in leaves.items()})
        checkpointer.wait_until_finished()
        missing = leaves.keys() - _saved(checkpointer, path).keys()
    if missing:
        raise CheckpointError(f"{path}: not saved: {', '.join(sorted(missing))}")
    for other in folder.iterdir():
        if other != path and other.is_dir():  # older steps, and what a killed save left
            shutil.rmtree(other)
    return path


def latest_step(folder: str | Path) -> int | None:
    """The newest step that was saved whole in ``folder``; None where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        return None
    return max((int(path.name) for path in folder.iterdir() if path.name.isdigit()), default=None)


def restore(folder: str | Path, like: Any, step: int | None = None) -> Any:
    """The tree saved at ``step`` (None: the newest), with the structure and types of ``like``.

    like: a tree of arrays or of ``jax.ShapeDtypeStruct``. Leaves come back on the default
    device. Raises CheckpointError, naming the leaf, where nothing was saved, or where a name, a
    shape, a dtype or a key's generator differs.
    """
    folder = Path(folder).resolve()
    step = latest_step(folder) if step is None else step
    path = folder / str(step)
    if step is None or not path.is_dir():
        raise CheckpointError(f"{folder}: no checkpoint{'' if step is None else f' {step}'} there")
    leaves = _named_leaves(like)
    takes = {name: jax.eval_shape(_data, leaf) for name, leaf in leaves.items()}
    with ocp.StandardCheckpointer() as checkpointer:
        saved = _saved(checkpointer, path)
        for name in [*takes, *saved]:
            got, wanted = saved.get(name, "no such leaf"), _kind(takes.get(name))
            if got != wanted:
                raise CheckpointError(f"{path}: {name}: got {got}; takes {wanted}")
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        target = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device)
            for name, leaf in takes.items()
        }
        data = checkpointer.restore(path, target)
    restored = [_like(leaf, data[name]) for name, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(like), restored)


def _named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves by path, such as "params.cell.w_x". A key's name says its generator too."""
    leaves = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        if not hasattr(leaf, "dtype"):
            raise WrongType(f"{name}: got {type(leaf).__name__}; takes an array")
        leaves[f"{name}:{leaf.dtype}" if _is_key(leaf) else name] = leaf
    if not leaves:
        raise WrongValue("tree: got no arrays; takes at least one to save or restore")
    return leaves


def _saved(checkpointer: ocp.StandardCheckpointer, path: Path) -> dict[str, str]:
    """What Orbax says that it holds."""
    metadata = checkpointer.metadata(path).item_metadata
    return {name: _kind(leaf) for name, leaf in metadata.tree.items()} if metadata else {}


def _kind(leaf: Any) -> str:
    if leaf is None:
        return "no such leaf"
    return f"{jnp.dtype(leaf.dtype).name}{list(leaf.shape)}"


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _data(leaf: Any) -> Any:
    if _is_key(leaf):
        return jax.random.key_data(leaf)
    return leaf


def _like(leaf: Any, data: jax.Array) -> jax.Array:
    if not _is_key(leaf):
        return data
    generator = jax.random.key_impl(jnp.empty((), leaf.dtype))
    return jax.random.wrap_key_data(data, impl=generator)
