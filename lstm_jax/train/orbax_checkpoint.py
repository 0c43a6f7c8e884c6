"""Checkpoints by Orbax: of a job of several processes, which write one together; and those that
lstm_jax wrote before it had a format of its own."""

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jax.sharding import Sharding

from lstm_jax._internal.errors import WrongType

REMAINS = ".orbax-checkpoint-tmp"  # after the step in the names of Orbax's unfinished folders


def save(path: Path, tree: Any) -> None:
    """Writes ``tree``, whose leaves are arrays, as the step ``path``, which must not exist, in a
    folder that all processes share. Each of them has to call this."""
    leaves = {name: _data(leaf) for name, leaf in _named_leaves(tree).items()}
    with ocp.StandardCheckpointer() as checkpointer:
        # Orbax refuses arrays of size zero, of which there is nothing to keep.
        checkpointer.save(path, {name: leaf for name, leaf in leaves.items() if leaf.size})


def remove(path: Path) -> None:
    """Removes a step. If this is killed, what is left is found by ``remove_remains``."""
    aside = path.with_name(path.name + REMAINS + "-removed")
    with contextlib.suppress(OSError):
        shutil.rmtree(path.rename(aside))


def remove_remains(folder: Path) -> None:
    """Removes what killed processes left of the steps that they were writing or removing."""
    for entry in folder.iterdir():
        if re.fullmatch(rf"\d+{re.escape(REMAINS)}.*", entry.name) and entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)


def restore(path: Path, like: Any, sharding: Sharding | None = None) -> Any:
    """The tree of the step ``path``, as ``checkpoint.restore`` gives it; all leaves are arrays.

    Args:
        sharding: of all leaves; None for the default device.
    """
    from lstm_jax.train.leaves import CheckpointError

    leaves = _named_leaves(like)
    wanted = {name: jax.eval_shape(_data, leaf) for name, leaf in leaves.items() if leaf.size}
    with ocp.StandardCheckpointer() as checkpointer:
        saved = _saved(checkpointer, path)
        for name in [*wanted, *saved]:
            got, expected = saved.get(name, "no such leaf"), _kind(wanted.get(name))
            if got != expected:
                raise CheckpointError(f"{path}: {name}: expected {expected}, got {got}")
        sharding = sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
        target = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
            for name, leaf in wanted.items()
        }
        data = checkpointer.restore(path, target)
    restored = [_like(leaf, data[name]) if leaf.size else leaf for name, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(like), restored)


def _named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves by path, such as "params.cell.w_x". A key's name includes its generator."""
    leaves = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        if not hasattr(leaf, "dtype"):
            raise WrongType(f"{name}: expected an array, got {type(leaf).__name__}")
        leaves[f"{name}:{leaf.dtype}" if _is_key(leaf) else name] = leaf
    return leaves


def _saved(checkpointer: ocp.StandardCheckpointer, path: Path) -> dict[str, str]:
    """The leaves that Orbax reports, by path, as texts."""
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
