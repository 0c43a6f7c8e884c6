"""The hidden size that fits a budget of parameters, or of numbers in the state."""

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import jax

from lstm_jax._internal import checking
from lstm_jax._internal.errors import ArgumentError, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.train.model import count_parameters, recurrent

# Successive sizes that a cell may refuse, such as all that are no multiple of its heads, before it
# counts as a cell without further sizes.
REFUSALS = 4096
# If this many sizes, and these as well, are all refused in the same words, it is not the size that
# is refused. These have many divisors, are powers of two, or are round.
SAME_WORDS = 16
TYPICAL = (64, 100, 256, 720, 1000, 1024, 2520, 4096, 5040, 10000)
NEAR = 0.1  # the share of a budget by which the smallest accepted size may exceed it


def size_for(make: Callable[[int], Cell], budget: int, input_size: int, output_size: int) -> int:
    """The hidden size of a cell with a readout that comes nearest to ``budget`` parameters.

    Args:
        make: the factory as a function of the hidden size, such as ``lj.lstm``.

    Raises:
        ValueError: as ``size_near``.
    """
    return size_near(lambda size: recurrent(make(size), input_size, output_size), budget)


def size_near(
    make: Callable[[int], Any], budget: int, count: Callable[[Any], int] = count_parameters
) -> int:
    """The size at which ``count(make(size))`` is nearest to ``budget``; of two, the smaller.

    Sizes that ``make`` refuses with an error about an argument, such as one that its heads do not
    divide, are skipped. By default ``count`` is the number of a model's parameters.

    Raises:
        ValueError: for a budget below the count at the smallest size (by more than a tenth if
            that is not size 1), or one that is not reached because the count stops growing or
            because there is no larger size; ``make``'s own error if it refuses sizes of every
            kind in the same words.
    """
    budget = checking.positive_int("budget", budget)
    refusals: dict[int, ValueError] = {}

    @functools.cache
    def count_at(size: int) -> int | None:
        """The count, or None for a size that is refused."""
        try:
            return count(make(size))
        except ValueError as error:
            if not is_refusal(error):
                raise
            refusals[size] = error
            return None

    def first(sizes: Iterable[int]) -> tuple[int, int] | None:
        """The first of the sizes that the model accepts, and its parameter count."""
        pairs = ((size, count_at(size)) for size in sizes)
        return next(((size, found) for size, found in pairs if found is not None), None)

    def refused_alike(sizes: Iterable[int]) -> bool:
        """Whether every one of the sizes is refused, all in the same words."""
        return first(sizes) is None and len({str(error) for error in refusals.values()}) == 1

    if refused_alike(range(1, SAME_WORDS + 1)) and refused_alike(TYPICAL):
        raise refusals[1]
    smallest = first(range(1, REFUSALS + 1))
    if smallest is None:
        last = refusals[REFUSALS]
        raise WrongValue(
            f"budget: expected a model that accepts a size from 1 to {REFUSALS}, got {budget} for "
            f"one that refuses all: {last}"
        ) from last
    low, at_low = smallest
    if low > 1 and budget < at_low <= (1 + NEAR) * budget:
        return low
    if budget < at_low:
        which = "" if low == 1 else ", the smallest that is accepted"
        raise WrongValue(f"budget: expected at least {at_low}, the count at size {low}{which}, got "
f"{budget}")  # fmt: skip
    high, at_high = low, at_low
    while at_high < budget:
        low, at_low = high, at_high
        beyond = 4 * low
        larger = first(range(beyond, beyond + REFUSALS))
        ends = larger is None
        larger = larger or first(range(beyond - 1, low, -1))
        if larger is None or (ends and larger[1] < budget):
            low, at_low = larger or (low, at_low)
            raise WrongValue(
                f"budget: expected at most {at_low}, the count at size {low}, the largest that is "
                f"accepted, got {budget}"
            )
        high, at_high = larger
        if at_high <= at_low:
            raise WrongValue(
                f"budget: expected at most {at_low}, the count at size {low}, which does "
                f"not grow ({at_high} at size {high}), got {budget}"
            )
    # at_low <= budget <= at_high: counts grow with the size, about as its square, so that the
    # first guess is near; halving in turn ends the search whatever they do.
    guess = True
    while high - low > 1:
        share, below, above = 0.5, math.sqrt(at_low), math.sqrt(at_high)
        if guess and below < above:
            share = (math.sqrt(budget) - below) / (above - below)
        middle = min(max(low + round(share * (high - low)), low + 1), high - 1)
        between = first(itertools.chain(range(middle, high), range(middle - 1, low, -1)))
        if between is None:
            break
        if between[1] <= budget:
            low, at_low = between
        else:
            high, at_high = between
        guess = not guess
    return low if budget - at_low <= abs(at_high - budget) else high


def is_refusal(error: ValueError) -> bool:
    """Whether the error refuses an argument, and is no fault of the cell's own."""
    if isinstance(error, ArgumentError):
        return True
    # Cells from outside need not know our error types, but may name the argument as we do.
    return re.match(r"[a-z_]\w*: |size\b", str(error), re.IGNORECASE) is not None


def state_size(cell: Cell) -> int:
    """The number of numbers in the state of one row, which the cell carries from step to step."""
    params = jax.eval_shape(lambda key: cell.init(key, 1), jax.random.key(0))
    state = jax.eval_shape(lambda params: cell.initial_state(params), params)
    return sum(leaf.size for leaf in jax.tree.leaves(state))
