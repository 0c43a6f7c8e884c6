"""Layer-wise relevance propagation through recurrent cells."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.forms import Composite, Gated, PartCall
from lstm_jax.core.numerics import wide
from lstm_jax.core.typing import Inputs, Lengths, Params, Resets, State
from lstm_jax.insight.attribution.gated import back_of_gated
from lstm_jax.insight.attribution.programs import Operation, Value, record
from lstm_jax.insight.attribution.questions import Output, Question, answer_question
from lstm_jax.insight.attribution.results import Attribution
from lstm_jax.insight.attribution.rules import Options, Share, propagate
from lstm_jax.insight.following import follow
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.masks import zero_where_not
from lstm_jax.unrolling.methods.traversal import Traversal
from lstm_jax.unrolling.parts import start_traversal

PRODUCT_RULES = ("all", "prop", "abs", "half")


@default_promotion
def relevance(
    cell: Cell,
    params: Params,
    xs: Inputs,
    output: Output,
    state: State | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    rule: str = "all",
    epsilon: float = 1e-3,
    bias_factor: float = 0.0,
) -> Attribution:
    """Layer-wise relevance propagation: the output is shared out, layer by layer, to the inputs.

        shares = lj.insight.relevance(cell, params, xs, output=3)
        shares.residual  # [*batch], what biases and the stabiliser took

    Bach et al. 2015; for the LSTM Arras et al. 2017, "Explaining recurrent neural network
    predictions in sentiment analysis", and Arras et al. 2019, "Explaining and interpreting LSTMs",
    whose rules are derived here for any cell of the gated form from its equations:

    - the summands of a sum, such as the inputs and recurrent sources of a pre-activation, share its
      relevance in proportion to their values, divided by the sum plus or minus ``epsilon``;
    - of a product of a gate and a signal, the signal takes all, or what ``rule`` says. Gates are
      the gates by name, sigmoids, and one minus these. The divisors of layer normalisation (Ali et
      al. 2022) and of the sLSTM are treated as gates whose signal takes all;
    - a nonlinear function of one value hands its relevance on.

    With ``bias_factor=1`` all of the output arrives at the inputs and the state before the first
    step (``of_state``), and ``residual`` is 0 up to rounding: a check. With 0, what the biases and
    the stabiliser take is lost, and ``residual`` is minus that. It takes about as much as a forward
    and a backward pass by "scan".

    Args:
        cell: A cell of the gated form, such as ``lj.lstm``, ``lj.gru`` and ``lj.rnn``, or a chain,
            a bidirectional layer or another composite of such cells.
        params: As for ``lj.unroll``, like the arguments other than ``output`` and the options.
        xs: The inputs, ``[T, *batch, D]``.
        output: As for ``gradient_times_input``. A function of all outputs is to be made of linear
            layers, sums, gates and nonlinear functions of one value; take scores, not
            probabilities.
        state: The state before the first step.
        lengths: The number of steps that count in each row, ``[*batch]``.
        resets: Where rows start anew, ``[T, *batch]``.
        reverse: Whether each row runs from its last step that counts to its first.
        rule: How the gate g and the signal s of a product share its relevance: "all" to the signal;
            "prop", in the ratio of their values g and s; "abs", in that of their sizes; "half" to
            each. Where a gate has a share, relevance of both signs can grow from step to step until
            it overflows; over more than a few steps take "all", as the papers recommend.
        epsilon: The stabiliser of divisions, above 0.
        bias_factor: The share, from 0 to 1, of what biases and the stabiliser take that is spread
            evenly over the inputs of the layer.

    Returns:
        The ``Attribution``.

    Raises:
        ValueError, TypeError: For a wrong argument, for a cell that has not the gated form, and for
            equations for which there is no rule.
    """
    checking.choice("rule", rule, PRODUCT_RULES)
    if checking.real("epsilon", epsilon) <= 0:
        raise WrongValue(f"epsilon: expected a number above 0, got {epsilon}")
    if not 0 <= checking.real("bias_factor", bias_factor) <= 1:
        raise WrongValue(f"bias_factor: expected a number from 0 to 1, got {bias_factor}")
    call = check_call(cell, params, xs, state, lengths, resets, None, reverse)
    options = Options(rule, float(epsilon), float(bias_factor))
    return answer_question(_relevance, call, output, options=options)


def _relevance(question: Question, *, options: Options) -> Attribution:
    part = _follow_part(start_traversal(question.call), options)
    ys = Value(wide(part.outputs), True)
    operations, (answer,) = record(lambda ys: [question.read(ys)], [ys])
    found = propagate(operations, [(answer, Share(answer.array))], options)
    of_xs, of_state = part.back(found(ys).total(ys.array))
    return Attribution(question.mask(of_xs), answer.array, answer.array, of_state)


class _Part(NamedTuple):
    """A cell that was run over a sequence.

    Attributes:
        outputs: ``[T, *batch, H]``.
        back: From the relevance of the outputs to that of the inputs, ``[T, *batch, D]``, and of
            the states in which rows start, ``[*batch]``.
    """

    outputs: jax.Array
    back: Callable[[jax.Array], tuple[jax.Array, jax.Array]]


def _follow_part(traversal: Traversal, options: Options) -> _Part:
    form = traversal.cell.form
    if isinstance(form, Composite):
        return _follow_composite(traversal, form, options)
    trace = follow(traversal)
    if isinstance(form, Gated):
        return _Part(trace.outputs, back_of_gated(traversal, trace, form, options))

    def refuse(_: jax.Array) -> tuple[jax.Array, jax.Array]:
        raise WrongValue(
            "cell: expected cells of the gated form, such as lj.lstm and lj.gru, got "
            f"{traversal.cell.name}; the other methods of attribution take it"
        )

    return _Part(trace.outputs, refuse)


# A part of a composite, in the recorded program of how the composite puts its parts together.
PART = jex.Primitive("part")
PART.def_abstract_eval(lambda xs, *, index, like: like)


def _follow_composite(traversal: Traversal, form: Composite, options: Options) -> _Part:
    calls: list[Callable[[jax.Array], _Part]] = []
    followed: dict[int, _Part] = {}

    def record_part(part: PartCall) -> tuple[State, jax.Array]:
        def call(xs: jax.Array) -> _Part:
            return _follow_part(traversal.of_part(part._replace(xs=xs)), options)

        calls.append(call)
        like = jax.eval_shape(lambda xs: call(xs).outputs, part.xs)
        like = jax.core.ShapedArray(like.shape, like.dtype)
        return part.state, PART.bind(part.xs, index=len(calls) - 1, like=like)

    def over_time(xs: jax.Array) -> list[Any]:
        _, params, _, state, initial, masks, _ = traversal
        _, ys = form.run_parts(record_part, params, xs, state, initial)
        return [zero_where_not(masks.valid, ys)]

    def run_part(xs: jax.Array, *, index: int, **_: Any) -> jax.Array:
        followed[index] = calls[index](xs)
        return followed[index].outputs

    xs = Value(traversal.xs, True)
    operations, (ys,) = record(over_time, [xs], {PART.name: run_part})

    def back(of_ys: jax.Array) -> tuple[jax.Array, jax.Array]:
        of_states = []

        def of_part(operation: Operation, shares: list[Any], options: Options) -> list[Any]:
            given = shares[0].total(operation.outputs[0].array)
            of_xs, of_state = followed[operation.params["index"]].back(given)
            of_states.append(of_state)
            return [Share(of_xs)]

        found = propagate(operations, [(ys, Share(of_ys))], options, {PART.name: of_part})
        batch = jnp.zeros(traversal.xs.shape[1:-1], of_ys.dtype)
        return found(xs).total(wide(xs.array)), sum(of_states, batch)

    return _Part(ys.array, back)
