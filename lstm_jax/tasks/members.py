"""Whether the members of a task are of the types that its kind states; part of ``tasks.check``."""

import contextlib
import math
import numbers
from collections.abc import Iterator
from typing import Any, get_args

import jax
import numpy as np

from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.tasks.pairs.data import PairBatch
from lstm_jax.tasks.pairs.task import PairTask
from lstm_jax.tasks.task import AnyTask, Batch, Reads, Score, Success, Task

# By the kind of task: its members that are sizes, and the type of its batches.
SIZES: dict[type, tuple[str, str]] = {
    Task: ("input_size", "output_size"),
    PairTask: ("source_size", "target_size"),
}
BATCH: dict[type, type] = {Task: Batch, PairTask: PairBatch}


def refuse(task: AnyTask[Any], member: str, expected: str, got: Any) -> WrongValue:
    """The error that names the task and its member."""
    return WrongValue(f"task {task.name}: {member}: expected {expected}, got {got}")


@contextlib.contextmanager
def calling(task: AnyTask[Any], member: str) -> Iterator[None]:
    """Notes on an error which member of the task raised it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"(raised by {member} of task {task.name}, as tasks.check called it)")
        raise


def check_members(task: Task | PairTask) -> None:
    """Raises ValueError or TypeError for a member of another type, or with a value that makes no
    sense."""
    if not isinstance(task.name, str) or not task.name:
        raise WrongType(f"task: name: expected a text, got {task.name!r}")

    def require(member: str, good: bool, expected: str, got: Any) -> None:
        if not good:
            raise refuse(task, member, expected, got)

    for member in SIZES[type(task)]:
        size = getattr(task, member)
        whole = isinstance(size, numbers.Integral) and not isinstance(size, bool)
        require(member, whole and size > 0, "a positive integer", repr(size))
    for member in ("sample", "loss"):
        require(member, callable(getattr(task, member)), "a function", repr(getattr(task, member)))
    kind = BATCH[type(task)]
    for member in ("validation", "test"):
        batch = getattr(task, member)
        require(member, isinstance(batch, kind), f"a {kind.__name__}", type(batch).__name__)
    if isinstance(task, Task):
        require("reads", task.reads in get_args(Reads), " or ".join(map(repr, get_args(Reads))),
                repr(task.reads))  # fmt: skip
        require("test_at", task.test_at is None or callable(task.test_at), "a function, or None",
                repr(task.test_at))  # fmt: skip
    require("scores", isinstance(task.scores, tuple | list), "a tuple of Score",
            type(task.scores).__name__)  # fmt: skip
    for member, score in list_scores(task):
        require(member, isinstance(score, Score), "a Score", type(score).__name__)
        require(f"{member}.name", isinstance(score.name, str) and bool(score.name), "a text",
                repr(score.name))  # fmt: skip
        require(f"{member}.measure", callable(score.measure), "a function", repr(score.measure))
        require(f"{member}.higher_is_better", isinstance(score.higher_is_better, bool | np.bool_),
                "True or False", repr(score.higher_is_better))  # fmt: skip
        require(f"{member}.chance", _is_number(score.chance), "a number", repr(score.chance))
        require(f"{member}.memoryless", score.memoryless is None or _is_number(score.memoryless),
                "a number, or None", repr(score.memoryless))  # fmt: skip
    names = [score.name for _, score in list_scores(task)]
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
    if isinstance(value, np.ndarray | jax.Array):
        return value.ndim == 0 and bool(np.isfinite(value))
    return isinstance(value, numbers.Real) and math.isfinite(value)


def list_scores(task: AnyTask[Any]) -> list[tuple[str, Score]]:
    """The scores, each with its name in errors."""
    return [("score", task.score), *((f"scores[{n}]", s) for n, s in enumerate(task.scores))]
