"""Whether a task keeps its contract: found out once, by shapes and a few batches, before anything
is trained.

Otherwise a fault in a task shows late, deep inside a training program, or not at all: a loss
that broadcasts, or a batch that was drawn once when the program was traced.
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.tasks import tracing
from lstm_jax.tasks.measures import check_loss_of_pairs, check_measures, check_test_at
from lstm_jax.tasks.members import calling, check_members, refuse
from lstm_jax.tasks.pairs.task import PairTask
from lstm_jax.tasks.shapes import (
    check_ids,
    check_like_sample,
    check_pairs,
    check_sample,
    check_xs,
    sample_key,
    sample_shapes,
    shape_of,
)
from lstm_jax.tasks.task import AnyTask, DrawnSample, Task

ROWS = 8  # of the batches that are compared, unless a program of another size is compiled already
KEYS = 8  # a task of two sequences gives the same eight rows now and then, but not eight times


def check(task: AnyTask[Any]) -> None:
    """Raises an error if ``task`` does not keep the contract that ``Task`` or ``PairTask`` states.

    Looks at the members' types; at the shapes and dtypes of what ``sample``, ``test_at``, ``loss``,
    the scores' ``measure`` and ``success.error`` return; at ``validation`` and ``test`` beside
    ``sample``; and at batches: other keys give other ``xs``, and nothing is drawn from a hidden
    state, such as NumPy's, which a compiled program would draw only once. Of a ``PairTask``, whose
    answers each model has in its own form, only the loss is called. Takes about a second.

    Raises:
        ValueError or TypeError: (an ``ArgumentError``) naming the task and the member, what was
            expected and what was given. What the task's own functions raise passes as it is, with
            a note on which member raised it.
    """
    if not isinstance(task, Task | PairTask):
        raise WrongType(f"task: expected a Task or a PairTask, got {type(task).__name__}")
    check_members(task)
    two, three = sample_shapes(task, 2), sample_shapes(task, 3)
    if isinstance(task, Task):
        check_xs(task, "sample", two.xs, 2)
    else:
        check_pairs(task, "sample", two, 2)
    check_sample(task, two, three)
    _check_batches(task)
    # Past a row's end nothing is read, so batches of pairs may be padded to any length.
    any_length = isinstance(task, PairTask)
    for split in ("validation", "test"):
        shapes = jax.tree.map(shape_of, getattr(task, split))
        check_like_sample(task, split, shapes, two, three, any_length=any_length)
    if isinstance(task, Task):
        check_test_at(task, two, three)
        check_measures(task, two)
    else:
        check_ids(task)
        check_loss_of_pairs(task, three)


def check_draws(task: AnyTask[Any]) -> None:
    """Raises ValueError if ``sample`` draws from a state of its own, or not from its key at all.

    The programs of ``sample`` show it, so nothing is compiled; each ``sample`` is looked at once.
    ``train.take_steps`` calls this; ``check`` compares batches too.
    """
    sample = task.sample
    with calling(task, "sample"):
        known = isinstance(sample, Hashable)
        pure, follows = (_draws if known else _draws.__wrapped__)(sample)
    if not pure:
        raise refuse(task, "sample", "a pure function of the key, the same whenever it is traced",
                     "another program the second time: it draws from a state of its own, such as "
                     "NumPy's, and training would see the one draw at every step")  # fmt: skip
    if not follows:
        raise _same_batch(task, "any key")


@functools.lru_cache(maxsize=256)
def _draws(sample: Callable[[jax.Array, int], Any]) -> tuple[bool, bool]:
    """Whether tracing twice gives one program, and whether it uses the key."""
    first, second = (tracing.trace(lambda key: sample(key, ROWS), sample_key()) for _ in range(2))
    return tracing.same(first, second), tracing.uses_its_arguments(first)


def _same_batch(task: AnyTask[Any], keys: str) -> WrongValue:
    return refuse(task, "sample", "other xs from another key", f"the same ones from {keys}: it "
                  "does not draw with jax.random from its key, or it draws with NumPy, once, when "
                  "the program is traced")  # fmt: skip


def _check_batches(task: AnyTask[Any]) -> None:
    """Other keys give other ``xs``, and tracing twice gives the same program twice."""
    check_draws(task)
    compiled = isinstance(task.sample, DrawnSample)  # for the rows of the held-out data
    rows = _row_count(task.validation.xs) if compiled else ROWS
    with calling(task, "sample"):
        first = task.sample(sample_key(), rows).xs
        others = (task.sample(sample_key(seed), rows).xs for seed in range(1, KEYS))
        same = all(_equal(first, xs) for xs in others)
    if same:
        raise _same_batch(task, f"{KEYS} keys")


def _row_count(xs: Any) -> int:
    """The size of the axis after time."""
    return next((leaf.shape[1] for leaf in jax.tree.leaves(xs) if np.ndim(leaf) > 1), ROWS)


def _equal(first: Any, second: Any) -> bool:
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
