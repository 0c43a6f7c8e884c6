"""The log-probability of a given sequence."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from lstm_jax._internal import checking, varying
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray
from lstm_jax.decode.stepping import Step, log_probabilities, make_plan, pick


@default_promotion
def score(
    step: Step,
    state: Any,
    tokens: Integer[AnyArray, "T B"],
    *,
    start: int | Integer[AnyArray, "B"],
    lengths: Integer[AnyArray, "B"] | None = None,
) -> Float[Array, "T B"]:
    """The log-probability, in nats, of each token after those before it (teacher forcing).

    Zero past a row's length, so that the sum over axis 0 is that of the sequence, as a
    decoder's ``scores`` are. Differentiable.

    Args:
        step, state, start: as in ``greedy``.
        tokens: past the length they may be anything; others outside the vocabulary give -inf.
        lengths: outside [0, T] they are an error if they are known, and clipped if they are traced.

    Raises:
        ValueError or TypeError: naming the argument, at trace time.
    """
    plan = make_plan(step, state, start, end=None)
    tokens = checking.array("tokens", tokens)
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise WrongValue(f"tokens: expected integers, got dtype {tokens.dtype.name}")
    if tokens.ndim != 2 or tokens.shape[1] != plan.batch:
        raise WrongValue(f"tokens: expected [T, B] with B = {plan.batch}, got shape {tokens.shape}")
    counts = jnp.ones(tokens.shape, bool)
    if lengths is not None:
        bound = checking.lengths(lengths, tokens.shape[0], (plan.batch,))
        counts = jnp.arange(tokens.shape[0])[:, None] < bound
    # An unknown token in the padding would read as NaN, and zero times NaN is NaN.
    tokens = jnp.where(counts, tokens, 0).astype(jnp.int32)

    def teacher_force(carry: tuple[Any, ...], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        state, last = carry
        token, counted = inputs
        state, logits, _ = step(state, last)
        logits = jnp.where(counted[:, None], logits, 0)
        return (state, token), jnp.where(counted, pick(log_probabilities(logits), token), 0)

    gains: jax.Array
    axes = plan.axes | varying.axes_of(tokens)
    first = varying.cast(axes, (plan.state, plan.start))
    _, gains = jax.lax.scan(teacher_force, first, (tokens, counts))
    return gains
