"""Attribution by derivatives: gradient times input, and integrated gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.numerics import wide
from lstm_jax.core.typing import Inputs, Lengths, Params, Resets, State
from lstm_jax.insight.attribution.questions import (
    Output,
    Question,
    answer_question,
    place_baseline,
)
from lstm_jax.insight.attribution.results import Attribution
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.masks import where


@default_promotion
def gradient_times_input(
    cell: Cell,
    params: Params,
    xs: Inputs,
    output: Output,
    state: State | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
) -> Attribution:
    """The derivative of an output by each input, times that input (Shrikumar et al. 2016).

        shares = lj.insight.gradient_times_input(cell, params, xs, output=3)
        shares.of_steps  # [T, *batch]

    It is the effect of a small change in proportion to the input, exact for a linear function. The
    gradient vanishes where the output saturates, and an input of zero has no share whatever it
    did. The values need not add up to anything. It takes one forward and one backward pass.

    Args:
        cell: The cell, or a layer such as ``lj.bidirectional``.
        params: As for ``lj.unroll``, like the arguments other than ``output``.
        xs: The inputs, ``[T, *batch, D]``. Steps in the padding, and steps that a reset separates
            from the output, have a share of exactly 0.
        output: What is explained: a unit of the cell's output at the last step that each row reads
            (the first step in reverse), or a function from all outputs ``ys [T, *batch, H]``, zero
            in the padding, to one number per row ``[*batch]``, such as
            ``lambda ys: (ys[-1] @ w + b)[..., 0]``.
        state: The state before the first step.
        lengths: The number of steps that count in each row, ``[*batch]``.
        resets: Where rows start anew, ``[T, *batch]``.
        reverse: Whether each row runs from its last step that counts to its first.

    Returns:
        The ``Attribution``.

    Raises:
        ValueError, TypeError: For a wrong argument, such as a unit that the cell does not have.
    """
    call = check_call(cell, params, xs, state, lengths, resets, None, reverse)
    return answer_question(_gradient_times_input, call, output)


def _gradient_times_input(question: Question) -> Attribution:
    answer, gradient = question.gradient(question.call.xs)
    return Attribution(question.mask(wide(gradient) * question.call.xs), answer)


@default_promotion
def integrated_gradients(
    cell: Cell,
    params: Params,
    xs: Inputs,
    output: Output,
    state: State | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    baseline: Any = None,
    steps: int = 64,
) -> Attribution:
    """The mean derivative on the line from a baseline to the input, times their difference.

        shares = lj.insight.integrated_gradients(cell, params, xs, output=3, baseline=xs.mean(0))
        shares.relative_gap  # [*batch]

    Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", eq. 1. The values add
    up to the output minus that of the baseline, up to the error of the integral, which ``gap``
    and ``relative_gap`` give per row. The integral is taken by Gauss-Legendre's rule, which at 64
    points is far more exact than equal steps if the output is smooth. It takes ``steps`` forward
    and backward passes, one after the other, and the memory of one.

    The baseline is the input to which nothing is attributed, so it should be one that carries no
    information. Zeros are that for one-hot symbols and for standardised series. On the adding
    problem, whose values are uniform on [0, 1), zero is instead the smallest value. There the
    average value and no mark, ``[0.5, 0]``, is a better choice: an unmarked step then has nearly no
    share, and of a marked one the mark and the value each have theirs. These can have opposite
    signs, so that ``size_of_steps`` finds marked steps that ``of_steps`` does not.

    Args:
        cell: As for ``gradient_times_input``, like the arguments that follow.
        params: The params of the cell.
        xs: The inputs, ``[T, *batch, D]``.
        output: What is explained, a unit or a function of all outputs.
        state: The state before the first step, the same for the baseline.
        lengths: The number of steps that count in each row, the same for the baseline.
        resets: Where rows start anew, the same for the baseline.
        reverse: Whether each row runs from its last step that counts to its first.
        baseline: The input to start from, a number or an array that broadcasts to
            ``[T, *batch, D]``; by default zeros.
        steps: The number of points of the integral.

    Returns:
        The ``Attribution``, with the sum that its values should have.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    points = checking.positive_int("steps", steps)
    call = check_call(cell, params, xs, state, lengths, resets, None, reverse)
    start = place_baseline(baseline, call.xs)
    return answer_question(_integrated_gradients, call, output, start, points=points)


def _integrated_gradients(question: Question, start: jax.Array, *, points: int) -> Attribution:
    inputs = question.call.xs
    # A step without a share stays what it is, so that it is no part of the difference either.
    start = where(question.counts, start, inputs)
    difference = inputs - start
    places, weights = np.polynomial.legendre.leggauss(points)
    kind = wide(inputs).dtype

    def add_point(total: jax.Array, point: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        place, weight = point
        _, gradient = question.gradient(start + place.astype(inputs.dtype) * difference)
        return total + weight * gradient, None

    line = jnp.asarray((places + 1) / 2, kind), jnp.asarray(weights / 2, kind)
    mean, _ = jax.lax.scan(add_point, jnp.zeros(inputs.shape, kind), line)
    answer = question.answer(inputs)
    expected = wide(answer) - wide(question.answer(start))
    return Attribution(question.mask(mean * difference), answer, expected)
