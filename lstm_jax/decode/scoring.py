"""What a model gives a sequence that is already there."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from lstm_jax._internal import checking, varying
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray
from lstm_jax.decode.stepping import Step, log_probabilities, pick, planned


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
    decoder's ``scores`` are; lengths outside [0, T] are an error where they are known, clipped
    where they are traced. Differentiable. step, state and start: those of ``greedy``.
    Tokens past the length may be anything; others outside the vocabulary give -inf.
    Raises ValueError or TypeError, naming the argument.
    """
    plan = planned(step, state, start, end=None)
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

    def forced(carry: tuple, inputs: tuple) -> tuple:
        state, last = carry
        token, counted = inputs
        state, logits, _ = step(state, last)
        logits = jnp.where(counted[:, None], logits, 0)
        return (state, token), jnp.where(counted, pick(log_probabilities(logits), token), 0)

    gains: jax.Array
    axes = plan.axes | varying.axes_of(tokens)
    first = varying.cast(axes, (plan.state, plan.start))
    _, gains = jax.lax.scan(forced, first, (tokens, counts))
    return gains
