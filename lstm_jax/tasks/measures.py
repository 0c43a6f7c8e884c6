"""Whether what a task computes from outputs has the shapes that its kind asks for; part of
``tasks.check``."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal.errors import ArgumentError
from lstm_jax.tasks import tracing
from lstm_jax.tasks.members import calling, list_scores, refuse
from lstm_jax.tasks.pairs.data import PairBatch
from lstm_jax.tasks.pairs.task import PairTask
from lstm_jax.tasks.shapes import check_like_sample, sample_shapes, step_count
from lstm_jax.tasks.task import AnyTask, Batch, Task


def check_test_at(task: Task, two: Batch, three: Batch) -> None:
    """``test_at``, at the first length that the task accepts of some near the trained one.

    Args:
        two, three: the shapes of training batches of so many rows.
    """
    if task.test_at is None:
        return
    steps = step_count(two.xs)
    for length in (steps, steps + 1, 2 * steps, 2 * steps + 1, max(1, steps // 2)):
        try:
            with calling(task, "test_at"):
                shapes = jax.eval_shape(functools.partial(task.test_at, length, 3))
        except (ArgumentError, ValueError):  # the task has no sequences of this length
            continue
        check_like_sample(task, f"test_at({length}, 3)", shapes, two, three, any_length=True)
        return


def check_measures(task: Task, two: Batch) -> None:
    """``loss``, ``measure`` and ``error``, on a batch whose number of rows is no other axis' size.

    Args:
        two: the shapes of a training batch of two rows.
    """
    steps = step_count(two.xs)
    sizes = {steps, task.output_size}
    sizes |= {size for leaf in jax.tree.leaves(two) for size in leaf.shape}
    rows = next(n for n in (7, 11, 13, 17, 19, 23, 29, 31, 37) if n not in sizes)
    batch = sample_shapes(task, rows)
    shape = (rows, task.output_size)
    outputs = jax.ShapeDtypeStruct(shape if task.reads == "last" else (steps, *shape), jnp.float32)
    measures: list[tuple[str, Callable[..., Any], tuple[int, ...]]] = [("loss", task.loss, ())]
    measures += [(f"{name}.measure", score.measure, ()) for name, score in list_scores(task)]
    if task.success is not None:
        measures.append(("success.error", task.success.error, (rows,)))
    for member, measure, expected in measures:
        _check_measure(task, member, measure, expected, outputs, batch)
        if pair := tracing.broadcast_over_rows(measure, outputs, batch, rows):
            raise refuse(task, member, "each row's outputs beside its own targets",
                         f"arrays of shapes {pair} that JAX broadcasts to every row beside every "
                         f"other, of {rows} rows and outputs {outputs.shape}")  # fmt: skip
    _check_gradient(task, outputs, batch)


def check_loss_of_pairs(task: PairTask, batch: PairBatch) -> None:
    """``loss``, of outputs ``[T, B, target_size]``.

    Args:
        batch: the shapes of a training batch.
    """
    outputs = jax.ShapeDtypeStruct((*batch.target.shape, task.target_size), jnp.float32)
    _check_measure(task, "loss", task.loss, (), outputs, batch)
    _check_gradient(task, outputs, batch)


def _check_measure(
    task: AnyTask[Any],
    member: str,
    measure: Callable[..., Any],
    expected: tuple[int, ...],
    outputs: Any,
    batch: Any,
) -> None:
    """``measure(outputs, batch)`` has the shape ``expected``."""
    with calling(task, member):
        got = jax.eval_shape(measure, outputs, batch)
    if getattr(got, "shape", None) != expected:
        has = f"shape {got.shape}" if hasattr(got, "shape") else type(got).__name__
        what = f"one number per row, shape {expected}" if expected else "one number, shape ()"
        raise refuse(task, member, f"{what}, of outputs {outputs.shape}", has)


def _check_gradient(task: AnyTask[Any], outputs: Any, batch: Any) -> None:
    """The loss is a floating number that can be differentiated."""
    loss = jax.eval_shape(task.loss, outputs, batch)
    if not jnp.issubdtype(loss.dtype, jnp.floating):
        raise refuse(task, "loss", "a floating number, which has a gradient", loss.dtype.name)
    with calling(task, "loss"):
        jax.eval_shape(jax.grad(task.loss), outputs, batch)
