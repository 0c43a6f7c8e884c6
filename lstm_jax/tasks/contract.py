"""Whether a task keeps its contract: found out once, by shapes and a few batches, before anything
is trained.

What is wrong in a task shows late otherwise, deep inside a training program, or not at all: a loss
that broadcasts, a batch that was drawn once when the program was traced.
"""

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.tasks import tracing
from lstm_jax.tasks.members import check_members, refuse, scores
from lstm_jax.tasks.task import Batch, DrawnSample, Sequences, Task

ROWS = 8  # of the batches that are compared, where no compiled size is at hand
KEYS = 8  # a task of two sequences gives the same eight rows now and then, but not eight times


def check(task: Task) -> None:
    """Raises where ``task`` does not keep the contract that ``Task`` writes down.

    Looks at the members' types; at the shapes and dtypes of what ``sample``, ``test_at``, ``loss``,
    the scores' ``measure`` and ``success.error`` return; at ``validation`` and ``test`` beside
    ``sample``; and at batches: other keys give other ``xs``, and nothing is drawn from a state that
    is hidden, such as NumPy's, which a compiled program would draw once and for all. The members
    that are computed of outputs are looked at where ``output_size`` is above 0. Takes about a
    second.

    Raises:
        ValueError or TypeError (an ``ArgumentError``), naming the task and the member, what was
        expected and what was given. What the task's own functions raise passes as it is, with a
        note on which member raised it.
    """
    if not isinstance(task, Task):
        raise WrongType(f"task: expected a Task, got {type(task).__name__}")
    check_members(task)
    drawn = _drawn(task, 2), _drawn(task, 3)
    _check_sample(task, *drawn)
    _check_batches(task)
    for split in ("validation", "test"):
        _check_like_sample(task, split, jax.tree.map(_shape_of, getattr(task, split)), *drawn)
    if task.test_at is not None:
        _check_test_at(task, task.test_at, *drawn)
    if task.output_size:
        _check_measures(task, drawn[0])


@contextlib.contextmanager
def _calling(task: Task, member: str) -> Iterator[None]:
    """Notes on an error which member of the task raised it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"(raised by {member} of task {task.name}, as tasks.check called it)")
        raise


def _key(seed: int = 0) -> jax.Array:
    return jax.random.key(seed, impl="threefry2x32")


def _drawn(task: Task, rows: int) -> Batch:
    """The shapes and dtypes of a training batch."""
    with _calling(task, "sample"):
        batch = jax.eval_shape(lambda key: task.sample(key, rows), _key())
    if not isinstance(batch, Batch):
        raise refuse(task, "sample", "a Batch", type(batch).__name__)
    return batch


def _check_sample(task: Task, two: Batch, three: Batch) -> None:
    """What ``sample`` returns has the batch as one axis of each array, and suits a cell."""
    if task.input_size:
        _check_xs(task, "sample", two.xs, 2)
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


def _check_xs(task: Task, member: str, xs: Any, rows: int) -> None:
    values = xs.values if isinstance(xs, Sequences) else xs
    where = f"{member}: xs.values" if isinstance(xs, Sequences) else f"{member}: xs"
    if not hasattr(values, "shape"):
        raise refuse(task, where, "an array [T, B, D], or Sequences", type(values).__name__)
    steps = values.shape[0] if values.shape else 0
    takes = f"[T, B, D] with B = {rows} rows and D = input_size = {task.input_size}"
    if values.ndim != 3 or values.shape[1:] != (rows, task.input_size) or steps == 0:
        swapped = values.ndim == 3 and values.shape[::2] == (rows, task.input_size)
        hint = "; time is axis 0, the batch is axis 1" if swapped and steps != 0 else ""
        raise refuse(task, where, takes, f"shape {values.shape}{hint}")
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise refuse(task, where, "a floating dtype (embed or one-hot encode integers first)",
                      values.dtype.name)  # fmt: skip
    if isinstance(xs, Sequences):
        shape, dtype = jnp.shape(xs.lengths), jnp.result_type(xs.lengths)
        if shape != (rows,) or not jnp.issubdtype(dtype, jnp.integer):
            raise refuse(task, f"{member}: xs.lengths", f"integers of shape ({rows},)",
                          f"{dtype.name} of shape {shape}")  # fmt: skip


def check_draws(task: Task) -> None:
    """Raises ValueError where ``sample`` draws from a state of its own, or not from its key at all.

    Tells it from the programs of ``sample``, so that nothing is compiled; of one ``sample`` once.
    ``train.take_steps`` calls it; ``check`` compares batches too.
    """
    sample = task.sample
    with _calling(task, "sample"):
        known = isinstance(sample, Hashable)
        pure, follows = (_draws if known else _draws.__wrapped__)(sample)
    if not pure:
        raise refuse(task, "sample", "a pure function of the key, the same whenever it is traced",
                     "another program the second time: it draws from a state of its own, such as "
                     "NumPy's, and training would see the one draw at every step")  # fmt: skip
    if not follows:
        raise _same_batch(task, "any key")


@functools.lru_cache(maxsize=256)
def _draws(sample: Callable[[jax.Array, int], Batch]) -> tuple[bool, bool]:
    """Whether tracing twice gives one program, and whether it uses the key."""
    first, second = (tracing.trace(lambda key: sample(key, ROWS), _key()) for _ in range(2))
    return tracing.same(first, second), tracing.uses_its_arguments(first)


def _same_batch(task: Task, keys: str) -> WrongValue:
    return refuse(task, "sample", "other xs from another key", f"the same ones from {keys}: it "
                  "does not draw with jax.random from its key, or it draws with NumPy, once, when "
                  "the program is traced")  # fmt: skip


def _check_batches(task: Task) -> None:
    """Other keys give other ``xs``, and tracing twice gives the same program twice."""
    check_draws(task)
    compiled = isinstance(task.sample, DrawnSample)
    rows = _rows(task.validation.xs, task) if compiled and task.input_size else ROWS
    with _calling(task, "sample"):
        first = task.sample(_key(), rows).xs
        others = (task.sample(_key(seed), rows).xs for seed in range(1, KEYS))
        same = all(_equal(first, xs) for xs in others)
    if same:
        raise _same_batch(task, f"{KEYS} keys")


def _equal(first: Any, second: Any) -> bool:
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


def _rows(xs: Any, task: Task) -> int:
    values = xs.values if isinstance(xs, Sequences) else xs
    return values.shape[1] if getattr(values, "ndim", 0) > 1 else ROWS


def _shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
    dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    return jax.ShapeDtypeStruct(np.shape(leaf), dtype)  # whether it is weak does not count


def _check_like_sample(
    task: Task, member: str, batch: Any, two: Batch, three: Batch, *, any_length: bool = False
) -> None:
    """``batch`` has the structure, dtypes and axes of what ``sample`` gives, the batch aside.

    two, three: the shapes of batches of so many rows. any_length: T may be another too; past a
    row's end in ``Sequences`` it always may.
    """
    if not isinstance(batch, Batch):
        raise refuse(task, member, "a Batch", type(batch).__name__)
    got, expected = (str(jax.tree.structure(tree)) for tree in (batch, two))
    if got != expected:
        raise refuse(task, member, f"{expected}, as sample gives it", got)
    free = any_length or not task.input_size or isinstance(two.xs, Sequences)
    counts = set()
    for (path, leaf), few, many in zip(
        jax.tree_util.tree_leaves_with_path(batch), *map(jax.tree.leaves, (two, three)), strict=True
    ):
        name = f"{member}: {jax.tree_util.keystr(path, simple=True, separator='.')}"
        if leaf.dtype != few.dtype:
            raise refuse(task, name, f"{few.dtype.name}, as sample gives it", leaf.dtype.name)
        batch_axis = _batch_axis(few.shape, many.shape)
        takes = ["B" if axis == batch_axis else size for axis, size in enumerate(few.shape)]
        if free and batch_axis != 0:
            takes[0] = "T"
        good = len(leaf.shape) == len(takes) and all(
            isinstance(size, str) or size == has
            for size, has in zip(takes, leaf.shape, strict=True)
        )
        if not good:
            shape = ", ".join(map(str, takes))
            raise refuse(task, name, f"[{shape}], as sample gives it", f"shape {leaf.shape}")
        if batch_axis is not None:
            counts.add(leaf.shape[batch_axis])
    if len(counts) != 1 or 0 in counts:
        raise refuse(task, member, "the same number of rows in all arrays, at least one",
                      " and ".join(map(str, sorted(counts))))  # fmt: skip


def _steps(xs: Any) -> int:
    values = xs.values if isinstance(xs, Sequences) else xs
    return values.shape[0] if getattr(values, "ndim", 0) else 1


def _check_test_at(
    task: Task, test_at: Callable[[int, int], Batch], two: Batch, three: Batch
) -> None:
    """At the first length that the task takes, of some near the one it is trained at."""
    steps = _steps(two.xs)
    for length in (steps, steps + 1, 2 * steps, 2 * steps + 1, max(1, steps // 2)):
        try:
            with _calling(task, "test_at"):
                shapes = jax.eval_shape(functools.partial(test_at, length, 3))
        except (ArgumentError, ValueError):  # no length of this task's
            continue
        _check_like_sample(task, f"test_at({length}, 3)", shapes, two, three, any_length=True)
        return


def _check_measures(task: Task, two: Batch) -> None:
    """What is computed of outputs, and of a batch whose number of rows is no other axis' size."""
    steps = _steps(two.xs)
    sizes = {steps, task.output_size}
    sizes |= {size for leaf in jax.tree.leaves(two) for size in leaf.shape}
    rows = next(n for n in (7, 11, 13, 17, 19, 23, 29, 31, 37) if n not in sizes)
    batch = _drawn(task, rows)
    shape = (rows, task.output_size)
    outputs = jax.ShapeDtypeStruct(shape if task.reads == "last" else (steps, *shape), jnp.float32)
    measures: list[tuple[str, Callable, tuple[int, ...]]] = [("loss", task.loss, ())]
    measures += [(f"{name}.measure", score.measure, ()) for name, score in scores(task)]
    if task.success is not None:
        measures.append(("success.error", task.success.error, (rows,)))
    for member, measure, takes in measures:
        with _calling(task, member):
            got = jax.eval_shape(measure, outputs, batch)
        if getattr(got, "shape", None) != takes:
            has = f"shape {got.shape}" if hasattr(got, "shape") else type(got).__name__
            what = "one number, shape ()" if not takes else f"one number a row, shape {takes}"
            raise refuse(task, member, f"{what}, of outputs {outputs.shape}", has)
        if pair := tracing.broadcast_over_rows(measure, outputs, batch, rows):
            raise refuse(task, member, "each row's outputs beside its own targets",
                          f"arrays of shapes {pair} that JAX broadcasts to every row beside every "
                          f"other, of {rows} rows and outputs {outputs.shape}")  # fmt: skip
    loss = jax.eval_shape(task.loss, outputs, batch)
    if not jnp.issubdtype(loss.dtype, jnp.floating):
        raise refuse(task, "loss", "a floating number, which has a gradient", loss.dtype.name)
    with _calling(task, "loss"):
        jax.eval_shape(jax.grad(task.loss), outputs, batch)
