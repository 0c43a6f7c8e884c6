"""Sequences of a range of lengths, for the tasks that are trained on it and tested beyond it.

A row's symbols are -1 past its length, where their one-hot vector is zero.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.classes import classes_from_uniform, one_hot
from lstm_jax.tasks.task import Batch, Sequences, Task, drawn_task

Choices = Int[np.ndarray, "N"]  # the lengths of a range, each as likely

PARITY = {0: "even", 1: "odd"}


def length_choices(
    min_length: int,
    max_length: int,
    *,
    remainder: int | None = None,
    names: tuple[str, str] = ("min_length", "max_length"),
) -> Choices:
    """All lengths of the range, both ends included. A task draws each as often.

    Args:
        remainder: 0 for only the even lengths, 1 for only the odd ones; None for all.
        names: what errors call the two ends.
    """
    low, high = names
    shortest = checking.positive_int(low, min_length)
    longest = checking.positive_int(high, max_length)
    if longest < shortest:
        raise WrongValue(f"{high}: expected at least {low}, {shortest}, got {longest}")
    choices = np.arange(shortest, longest + 1)
    if remainder is not None:
        choices = choices[choices % 2 == remainder]
        if not choices.size:
            raise WrongValue(
                f"{high}: expected a range with an {PARITY[remainder]} length, from "
                f"{low}, {shortest}, got {longest}"
            )
    return choices


def single_length(length: int, *, remainder: int | None = None) -> Int[np.ndarray, "1"]:
    """``length`` as the only choice."""
    length = checking.positive_int("length", length)
    if remainder is not None and length % 2 != remainder:
        raise WrongValue(f"length: expected an {PARITY[remainder]} length, got {length}")
    return np.array([length])


def range_task(
    name: str,
    draw: Callable[[jax.Array, int, Choices], Batch],
    choices: Choices,
    choices_at: Callable[[int], Choices] = single_length,
    **members: Any,
) -> Task:
    """A ``drawn_task`` on a range of lengths, with a ``test_at`` for lengths beyond it.

    Args:
        name: with the range in it (``format_range``).
        draw: ``(key, batch_size, choices) -> Batch``, at lengths that are drawn from ``choices``.
        choices: the trained lengths.
        choices_at: ``(length) -> choices``, those of ``test_at(length, n)``.
        members: of the task, as ``drawn_task`` takes them.
    """
    return drawn_task(
        name,
        lambda key, batch_size: draw(key, batch_size, choices),
        draw_at=lambda key, n, length: draw(key, n, choices_at(length)),
        **members,
    )


def lengths_from_uniform(
    uniform: Float[Array, "B"], choices: Int[np.ndarray, "N"]
) -> Int[Array, "B"]:
    """Maps each number, drawn in [0, 1), to one of ``choices``."""
    return jnp.asarray(choices, jnp.int32)[classes_from_uniform(uniform, len(choices))]


def step_mask(lengths: Int[Array, "B"], steps: int) -> Bool[Array, "{steps} B"]:
    """True at the steps of each row."""
    return jnp.arange(steps)[:, None] < lengths


def mask_symbols(symbols: Int[Array, "T B"], lengths: Int[Array, "B"]) -> Int[Array, "T B"]:
    """``symbols`` within each row's length, -1 past it."""
    return jnp.where(step_mask(lengths, symbols.shape[0]), symbols, -1)


def one_hot_sequences(
    symbols: Int[Array, "T B"], lengths: Int[Array, "B"], count: int
) -> Sequences:
    """The symbols one-hot ``[T, B, count]``, zeros past a row's length."""
    return Sequences(one_hot(mask_symbols(symbols, lengths), count), lengths)


def share_of_length(length: int, choices: Int[np.ndarray, "N"]) -> float:
    """The probability with which ``length`` is drawn."""
    return float(np.mean(choices == length))


def format_range(choices: Sequence[int] | Int[np.ndarray, "N"]) -> str:
    """The range, as a task's name has it."""
    return f"{choices[0]} to {choices[-1]}"
