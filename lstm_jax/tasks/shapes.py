"""Whether a task's batches have the shapes and dtypes that its kind asks for; part of
``tasks.check``."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.members import BATCH, calling, refuse
from lstm_jax.tasks.pairs.data import PairBatch
from lstm_jax.tasks.pairs.task import PairTask
from lstm_jax.tasks.task import AnyTask, Sequences, Task

PAIR_AXES = {"source": "S", "source_lengths": "", "target": "T", "target_lengths": ""}


def sample_key(seed: int = 0) -> jax.Array:
    return jax.random.key(seed, impl="threefry2x32")


def sample_shapes(task: AnyTask[Any], rows: int) -> Any:
    """The shapes and dtypes of a training batch of so many rows."""
    with calling(task, "sample"):
        batch = jax.eval_shape(lambda key: task.sample(key, rows), sample_key())
    kind = BATCH[type(task)]
    if not isinstance(batch, kind):
        raise refuse(task, "sample", f"a {kind.__name__}", type(batch).__name__)
    return batch


def shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
    dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    return jax.ShapeDtypeStruct(np.shape(leaf), dtype)  # whether it is weak does not count


def step_count(xs: Any) -> int:
    """T of ``[T, B, D]`` or ``Sequences``."""
    values = xs.values if isinstance(xs, Sequences) else xs
    return values.shape[0] if getattr(values, "ndim", 0) else 1


def check_xs(task: Task, member: str, xs: Any, rows: int) -> None:
    """``xs`` suits a cell: ``[T, B, D]`` or ``Sequences``, of floats."""
    values = xs.values if isinstance(xs, Sequences) else xs
    where = f"{member}: xs.values" if isinstance(xs, Sequences) else f"{member}: xs"
    if not hasattr(values, "shape"):
        raise refuse(task, where, "an array [T, B, D], or Sequences", type(values).__name__)
    steps = values.shape[0] if values.shape else 0
    expected = f"[T, B, D] with B = {rows} rows and D = input_size = {task.input_size}"
    if values.ndim != 3 or values.shape[1:] != (rows, task.input_size) or steps == 0:
        swapped = values.ndim == 3 and values.shape[::2] == (rows, task.input_size)
        hint = "; time is axis 0, the batch is axis 1" if swapped and steps != 0 else ""
        raise refuse(task, where, expected, f"shape {values.shape}{hint}")
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise refuse(task, where, "a floating dtype (embed or one-hot encode integers first)",
                     values.dtype.name)  # fmt: skip
    if isinstance(xs, Sequences):
        shape, dtype = jnp.shape(xs.lengths), jnp.result_type(xs.lengths)
        if shape != (rows,) or not jnp.issubdtype(dtype, jnp.integer):
            raise refuse(task, f"{member}: xs.lengths", f"integers of shape ({rows},)",
                         f"{dtype.name} of shape {shape}")  # fmt: skip


def check_pairs(task: PairTask, member: str, batch: PairBatch, rows: int) -> None:
    """``batch`` suits an encoder-decoder: ids ``[S, B]`` and ``[T, B]``, lengths ``[B]``."""
    for (name, steps), leaf in zip(PAIR_AXES.items(), batch, strict=True):
        shape, dtype = jnp.shape(leaf), jnp.result_type(leaf)
        good = len(shape) == len(steps) + 1 and shape[-1] == rows and shape[0] > 0
        if not good or not jnp.issubdtype(dtype, jnp.integer):
            axes = f"[{steps}, B]" if steps else "[B]"
            raise refuse(task, f"{member}: {name}", f"integers {axes} with B = {rows} rows",
                         f"{dtype.name} of shape {shape}")  # fmt: skip


def check_ids(task: PairTask) -> None:
    """The held-out ids are tokens of the vocabularies: an embedding would clip others silently."""
    for split in ("validation", "test"):
        batch = getattr(task, split)
        for name, size in (("source", task.source_size), ("target", task.target_size)):
            ids = np.asarray(getattr(batch, name))
            if ids.min() < 0 or ids.max() >= size:
                raise refuse(task, f"{split}: {name}", f"ids from 0 to {size - 1}, as {name}_size "
                             "says", f"ids from {ids.min()} to {ids.max()}")  # fmt: skip


def check_sample(task: AnyTask[Any], two: Any, three: Any) -> None:
    """What ``sample`` returns has the batch as one axis of each array."""
    structures = [str(jax.tree.structure(batch)) for batch in (two, three)]
    if structures[0] != structures[1]:
        raise refuse(task, "sample", "the same structure at every batch size",
                     " and ".join(structures))  # fmt: skip
    for (path, few), many in zip(
        jax.tree_util.tree_leaves_with_path(two), jax.tree.leaves(three), strict=True
    ):
        if _batch_axis(few.shape, many.shape) is None:
            member = f"sample: {jax.tree_util.keystr(path, simple=True, separator='.')}"
            raise refuse(task, member, "one axis that grows with the batch size",
                         f"shape {few.shape} of 2 rows and {many.shape} of 3")  # fmt: skip


def _batch_axis(two: tuple[int, ...], three: tuple[int, ...]) -> int | None:
    """The axis that is 2 in the one and 3 in the other, all others being the same."""
    if len(two) != len(three):
        return None
    differs = [axis for axis in range(len(two)) if two[axis] != three[axis]]
    good = len(differs) == 1 and (two[differs[0]], three[differs[0]]) == (2, 3)
    return differs[0] if good else None


def check_like_sample(
    task: AnyTask[Any], member: str, batch: Any, two: Any, three: Any, *, any_length: bool = False
) -> None:
    """``batch`` has the structure, dtypes and axes of what ``sample`` gives, except for B.

    Args:
        two, three: the shapes of batches of so many rows.
        any_length: T may be another too; in ``Sequences``, whose rows have their own ends, it
            always may.
    """
    kind = BATCH[type(task)]
    if not isinstance(batch, kind):
        raise refuse(task, member, f"a {kind.__name__}", type(batch).__name__)
    got, expected = (str(jax.tree.structure(tree)) for tree in (batch, two))
    if got != expected:
        raise refuse(task, member, f"{expected}, as sample gives it", got)
    free = any_length or isinstance(two.xs, Sequences)
    counts = set()
    for (path, leaf), few, many in zip(
        jax.tree_util.tree_leaves_with_path(batch), *map(jax.tree.leaves, (two, three)), strict=True
    ):
        name = f"{member}: {jax.tree_util.keystr(path, simple=True, separator='.')}"
        if leaf.dtype != few.dtype:
            raise refuse(task, name, f"{few.dtype.name}, as sample gives it", leaf.dtype.name)
        batch_axis = _batch_axis(few.shape, many.shape)
        axes = ["B" if axis == batch_axis else size for axis, size in enumerate(few.shape)]
        if free and batch_axis != 0:
            axes[0] = "T"
        good = len(leaf.shape) == len(axes) and all(
            isinstance(size, str) or size == has for size, has in zip(axes, leaf.shape, strict=True)
        )
        if not good:
            shape = ", ".join(map(str, axes))
            raise refuse(task, name, f"[{shape}], as sample gives it", f"shape {leaf.shape}")
        if batch_axis is not None:
            counts.add(leaf.shape[batch_axis])
    if len(counts) != 1 or 0 in counts:
        raise refuse(task, member, "the same number of rows in all arrays, at least one",
                     " and ".join(map(str, sorted(counts))))  # fmt: skip
