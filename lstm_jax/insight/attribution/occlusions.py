"""Attribution by leaving inputs out."""

from typing import Any

import jax
import jax.numpy as jnp

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


@default_promotion
def occlusion(
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
    each: str = "step",
    chunk: int = 16,
) -> Attribution:
    """How much an output changes if a step, or one input of a step, is replaced by a baseline.

        shares = lj.insight.occlusion(cell, params, xs, output=3)
        shares.of_steps  # [T, *batch]

    Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2: the
    output minus the output without the step. It needs no derivative. Two steps that say the same
    each have little share, since the other one is still there. It takes T unrolls, or T D for each
    input, of which ``chunk`` run together.

    Args:
        cell: As for ``gradient_times_input``, like the arguments that follow.
        params: The params of the cell.
        xs: The inputs, ``[T, *batch, D]``.
        output: What is explained, a unit or a function of all outputs.
        state: The state before the first step.
        lengths: The number of steps that count in each row.
        resets: Where rows start anew.
        reverse: Whether each row runs from its last step that counts to its first.
        baseline: What an input is replaced by, a number or an array that broadcasts to
            ``[T, *batch, D]``; by default zeros. See ``integrated_gradients`` for its choice.
        each: "step" to replace all inputs of a step together (the values are then
            ``[T, *batch, 1]``), or "input" to replace them one by one.
        chunk: The number of unrolls that run together; more take more memory.

    Returns:
        The ``Attribution``, whose values need not add up to anything.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    checking.choice("each", each, ("step", "input"))
    chunk = checking.positive_int("chunk", chunk)
    call = check_call(cell, params, xs, state, lengths, resets, None, reverse)
    start = place_baseline(baseline, call.xs)
    return answer_question(_occlusion, call, output, start, each=each, chunk=chunk)


def _occlusion(question: Question, start: jax.Array, *, each: str, chunk: int) -> Attribution:
    inputs = question.call.xs
    steps, width = inputs.shape[0], inputs.shape[-1]
    columns = width if each == "input" else 1
    count = steps * columns
    # Filled up to whole chunks with runs that replace nothing: a shorter one is compiled anew.
    chunk = min(chunk, count + 1)
    places = jnp.arange(-(-(count + 1) // chunk) * chunk)

    def answer_without(place: jax.Array) -> jax.Array:
        step, column = place // columns, place % columns
        hidden = jnp.arange(steps)[:, None] == step
        if each == "input":
            hidden = hidden & (jnp.arange(width) == column)
        hidden = jnp.expand_dims(hidden, range(1, inputs.ndim - 1))
        return wide(question.answer(jnp.where(hidden, start, inputs)))

    answers = jax.lax.map(answer_without, places, batch_size=chunk)
    changes = answers[count] - answers[:count]  # the place after the last replaces nothing
    changes = jnp.moveaxis(changes.reshape(steps, columns, *changes.shape[1:]), 1, -1)
    return Attribution(question.mask(changes), answers[count])
