"""Whether a task keeps its contract: found out once, by shapes and a few batches, before anything
is trained.

What is wrong in a task shows late otherwise, deep inside a training program, or not at all: a loss
that broadcasts, a batch that was drawn once when the program was traced.
"""

import contextlib
import functools
import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.errors import ArgumentError, WrongType, WrongValue
from lstm_jax.tasks import tracing
from lstm_jax.tasks.task import Batch, DrawnSample, Reads, Score, Sequences, Success, Task

ROWS = 8  # of the batches that are compared, where no compiled size is at hand
KEYS = 8  # a task of two sequences gives the same eight rows now and then, but not eight times


def check(task: Task) -> None:
    """Raises where ``task`` does not keep the contract that ``Task`` writes down.

    Looks at the members' types; at the shapes and dtypes of what ``sample``, ``test_at``, ``loss``,
    the scores' ``measure`` and ``success.error`` return; at ``validation`` and ``test`` beside
    ``sample``; and at batches: other keys give other ``xs``, and nothing is drawn from a state that
    is hidden, such as NumPy's, which a compiled program would draw once and for all. The members
    that are computed of outputs are looked at where ``output_size`` is above 0. Takes about half a
    second, a good part of it for compiling ``sample``.

    Raises:
        ValueError or TypeError (an ``ArgumentError``), naming the task and the member, what was
        expected and what was given. What the task's own functions raise passes as it is, with a
        note on which member raised it.
    """
    if not isinstance(task, Task):
        raise WrongType(f"task: expected a Task, got {type(task).__name__}")
    _check_members(task)
    _check_sample(task)
    _check_batches(task)
    for split in ("validation", "test"):
        _check_like_sample(task, split, jax.tree.map(_shape_of, getattr(task, split)))
    if task.test_at is not None:
        _check_test_at(task, task.test_at)
    if task.output_size:
        _check_measures(task)


def _refuse(task: Task, member: str, expected: str, got: Any) -> WrongValue:
    return WrongValue(f"task {task.name}: {member}: expected {expected}, got {got}")


@contextlib.contextmanager
def _calling(task: Task, member: str) -> Iterator[None]:
    """Notes on an error which member of the task raised it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"(raised by {member} of task {task.name}, as tasks.check called it)")
        raise


def _check_members(task: Task) -> None:
    if not isinstance(task.name, str) or not task.name:
        raise WrongType(f"task: name: expected a text, got {task.name!r}")

    def require(member: str, good: bool, expected: str, got: Any) -> None:
        if not good:
            raise _refuse(task, member, expected, got)

    for member in ("input_size", "output_size"):
        size = getattr(task, member)
        whole = isinstance(size, numbers.Integral) and not isinstance(size, bool)
        require(member, whole and size >= 0, "a whole number from 0 up", repr(size))
    require("reads", task.reads in get_args(Reads), " or ".join(map(repr, get_args(Reads))),
            repr(task.reads))  # fmt: skip
    for member in ("sample", "loss"):
        require(member, callable(getattr(task, member)), "a function", repr(getattr(task, member)))
    for member in ("validation", "test"):
        batch = getattr(task, member)
        require(member, isinstance(batch, Batch), "a Batch", type(batch).__name__)
    require("test_at", task.test_at is None or callable(task.test_at), "a function, or None",
            repr(task.test_at))  # fmt: skip
    require("scores", isinstance(task.scores, tuple | list), "a tuple of Score",
            type(task.scores).__name__)  # fmt: skip
    for member, score in _scores(task):
        require(member, isinstance(score, Score), "a Score", type(score).__name__)
        require(f"{member}.name", isinstance(score.name, str) and bool(score.name), "a text",
                repr(score.name))  # fmt: skip
        require(f"{member}.measure", callable(score.measure), "a function", repr(score.measure))
        require(f"{member}.higher_is_better", isinstance(score.higher_is_better, bool | np.bool_),
                "True or False", repr(score.higher_is_better))  # fmt: skip
        require(f"{member}.chance", _is_number(score.chance), "a number", repr(score.chance))
        require(f"{member}.memoryless", score.memoryless is None or _is_number(score.memoryless),
                "a number, or None", repr(score.memoryless))  # fmt: skip
    names = [score.name for _, score in _scores(task)]
    require("scores", len(set(names)) == len(names), "names that are all different",
            ", ".join(names))  # fmt: skip
    if (success := task.success) is None:
        return
    require("success", isinstance(success, Success), "a Success, or None", type(success).__name__)
    require("success.error", callable(success.error), "a function", repr(success.error))
    for member in ("limit", "mean_limit"):
        limit = getattr(success, member)
        good = isinstance(limit, numbers.Real) and not math.isnan(limit)
        require(f"success.{member}", good, "a number, or infinity", repr(limit))
    good = isinstance(success.rows, numbers.Integral) and success.rows > 0
    require("success.rows", good, "a positive integer", repr(success.rows))
    good = success.on in ("held-out", "training")
    require("success.on", good, "'held-out' or 'training'", repr(success.on))


def _is_number(value: Any) -> bool:
    real = isinstance(value, numbers.Real | np.ndarray | jax.Array) and np.ndim(value) == 0
    return real and bool(np.isfinite(value))


def _scores(task: Task) -> list[tuple[str, Score]]:
    """The scores, and how an error names them."""
    return [("score", task.score), *((f"scores[{n}]", s) for n, s in enumerate(task.scores))]


def _key(seed: int = 0) -> jax.Array:
    return jax.random.key(seed, impl="threefry2x32")


def _drawn(task: Task, rows: int) -> Batch:
    """The shapes and dtypes of a training batch."""
    with _calling(task, "sample"):
        batch = jax.eval_shape(lambda key: task.sample(key, rows), _key())
    if not isinstance(batch, Batch):
        raise _refuse(task, "sample", "a Batch", type(batch).__name__)
    return batch


def _check_sample(task: Task) -> None:
    """What ``sample`` returns has the batch as one axis of each array, and suits a cell."""
    two, three = _drawn(task, 2), _drawn(task, 3)
    if task.input_size:
        _check_xs(task, "sample", two.xs, 2)
    if jax.tree.structure(two) != jax.tree.structure(three):
        raise _refuse(task, "sample", "the same structure at every batch size",
                      f"{jax.tree.structure(two)} and {jax.tree.structure(three)}")  # fmt: skip
    for (path, few), many in zip(
        jax.tree_util.tree_leaves_with_path(two), jax.tree.leaves(three), strict=True
    ):
        if _batch_axis(few.shape, many.shape) is None:
            member = f"sample: {jax.tree_util.keystr(path, simple=True, separator='.')}"
            raise _refuse(task, member, "one axis that grows with the batch size",
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
        raise _refuse(task, where, "an array [T, B, D], or Sequences", type(values).__name__)
    steps = values.shape[0] if values.shape else 0
    takes = f"[T, B, D] with B = {rows} rows and D = input_size = {task.input_size}"
    if values.ndim != 3 or values.shape[1:] != (rows, task.input_size) or steps == 0:
        swapped = values.ndim == 3 and values.shape[::2] == (rows, task.input_size)
        hint = "; time is axis 0, the batch is axis 1" if swapped and steps != 0 else ""
        raise _refuse(task, where, takes, f"shape {values.shape}{hint}")
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise _refuse(task, where, "a floating dtype (embed or one-hot encode integers first)",
                      values.dtype.name)  # fmt: skip
    if isinstance(xs, Sequences):
        shape, dtype = jnp.shape(xs.lengths), jnp.result_type(xs.lengths)
        if shape != (rows,) or not jnp.issubdtype(dtype, jnp.integer):
            raise _refuse(task, f"{member}: xs.lengths", f"integers of shape ({rows},)",
                          f"{dtype.name} of shape {shape}")  # fmt: skip


def _check_batches(task: Task) -> None:
    """Other keys give other ``xs``, and tracing twice gives the same program twice."""
    compiled = isinstance(task.sample, DrawnSample)
    draw: Callable = task.sample.draw if isinstance(task.sample, DrawnSample) else task.sample
    with _calling(task, "sample"):
        programs = [tracing.trace(lambda key: draw(key, ROWS), _key()) for _ in range(2)]
    if not tracing.same(*programs):
        raise _refuse(task, "sample", "a pure function of the key, the same whenever it is traced",
                      "another program the second time: it draws from a state of its own, such as "
                      "NumPy's, and training would see the one draw at every step")  # fmt: skip
    rows = _rows(task.validation.xs, task) if compiled and task.input_size else ROWS
    sample = task.sample if compiled else jax.jit(task.sample, static_argnums=1)
    with _calling(task, "sample"):
        first, *others = (sample(_key(seed), rows) for seed in range(2))
        more = (sample(_key(seed), rows).xs for seed in range(2, KEYS))
        same = _equal(first.xs, others[0].xs) and all(_equal(first.xs, xs) for xs in more)
    if same:
        raise _refuse(task, "sample", "other xs from another key", f"the same ones from {KEYS} "
                      "keys: it does not draw with jax.random from its key, or it draws with "
                      "NumPy, once, when the program is traced")  # fmt: skip


def _equal(first: Any, second: Any) -> bool:
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


def _rows(xs: Any, task: Task) -> int:
    values = xs.values if isinstance(xs, Sequences) else xs
    return values.shape[1] if getattr(values, "ndim", 0) > 1 else ROWS


def _shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf))


def _check_like_sample(task: Task, member: str, batch: Any, *, any_length: bool = False) -> None:
    """``batch`` has the structure, dtypes and axes of what ``sample`` gives, the batch aside.

    any_length: T may be another too; past a row's end in ``Sequences`` it always may.
    """
    two, three = _drawn(task, 2), _drawn(task, 3)
    if not isinstance(batch, Batch):
        raise _refuse(task, member, "a Batch", type(batch).__name__)
    if jax.tree.structure(batch) != jax.tree.structure(two):
        raise _refuse(task, member, f"{jax.tree.structure(two)}, as sample gives it",
                      jax.tree.structure(batch))  # fmt: skip
    free = any_length or not task.input_size or isinstance(two.xs, Sequences)
    counts = set()
    for (path, leaf), few, many in zip(
        jax.tree_util.tree_leaves_with_path(batch), *map(jax.tree.leaves, (two, three)), strict=True
    ):
        name = f"{member}: {jax.tree_util.keystr(path, simple=True, separator='.')}"
        if leaf.dtype != few.dtype:
            raise _refuse(task, name, f"{few.dtype.name}, as sample gives it", leaf.dtype.name)
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
            raise _refuse(task, name, f"[{shape}], as sample gives it", f"shape {leaf.shape}")
        if batch_axis is not None:
            counts.add(leaf.shape[batch_axis])
    if len(counts) != 1 or 0 in counts:
        raise _refuse(task, member, "the same number of rows in all arrays, at least one",
                      " and ".join(map(str, sorted(counts))))  # fmt: skip


def _steps(task: Task) -> int:
    xs = _drawn(task, 2).xs
    values = xs.values if isinstance(xs, Sequences) else xs
    return values.shape[0] if getattr(values, "ndim", 0) else 1


def _check_test_at(task: Task, test_at: Callable[[int, int], Batch]) -> None:
    """At the first length that the task takes, of some near the one it is trained at."""
    steps = _steps(task)
    for length in (steps, steps + 1, 2 * steps, 2 * steps + 1, max(1, steps // 2)):
        try:
            with _calling(task, "test_at"):
                shapes = jax.eval_shape(functools.partial(test_at, length, 3))
        except (ArgumentError, ValueError):  # no length of this task's
            continue
        _check_like_sample(task, f"test_at({length}, 3)", shapes, any_length=True)
        return


def _check_measures(task: Task) -> None:
    """What is computed of outputs, and of a batch whose number of rows is no other axis' size."""
    steps = _steps(task)
    sizes = {steps, task.output_size}
    sizes |= {size for leaf in jax.tree.leaves(_drawn(task, 2)) for size in leaf.shape}
    rows = next(n for n in (7, 11, 13, 17, 19, 23, 29, 31, 37) if n not in sizes)
    batch = _drawn(task, rows)
    shape = (rows, task.output_size)
    outputs = jax.ShapeDtypeStruct(shape if task.reads == "last" else (steps, *shape), jnp.float32)
    measures = [("loss", task.loss, ())]
    measures += [(f"{name}.measure", score.measure, ()) for name, score in _scores(task)]
    if task.success is not None:
        measures.append(("success.error", task.success.error, (rows,)))
    for member, measure, takes in measures:
        with _calling(task, member):
            got = jax.eval_shape(measure, outputs, batch)
        if getattr(got, "shape", None) != takes:
            has = f"shape {got.shape}" if hasattr(got, "shape") else type(got).__name__
            what = "one number, shape ()" if not takes else f"one number a row, shape {takes}"
            raise _refuse(task, member, f"{what}, of outputs {outputs.shape}", has)
        if pair := tracing.broadcast_over_rows(measure, outputs, batch, rows):
            raise _refuse(task, member, "each row's outputs beside its own targets",
                          f"arrays of shapes {pair} that JAX broadcasts to every row beside every "
                          f"other, of {rows} rows and outputs {outputs.shape}")  # fmt: skip
    loss = jax.eval_shape(task.loss, outputs, batch)
    if not jnp.issubdtype(loss.dtype, jnp.floating):
        raise _refuse(task, "loss", "a floating number, which has a gradient", loss.dtype.name)
    with _calling(task, "loss"):
        jax.eval_shape(jax.grad(task.loss), outputs, batch)
