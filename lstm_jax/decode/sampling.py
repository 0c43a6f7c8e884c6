"""One sequence per row: the most probable token at each step, or a drawn one."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from lstm_jax._internal import checking, varying
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import AnyArray
from lstm_jax.decode.stepping import Decoded, Step, decode_by, log_probabilities, make_plan


@default_promotion
def greedy(
    step: Step,
    state: Any,
    *,
    start: int | Integer[AnyArray, "B"],
    end: int | None,
    max_steps: int,
    pad: int | None = None,
) -> Decoded:
    """The most probable token at each step; of equal ones the first.

    Args:
        step: ``(state, tokens [B]) -> (state, logits [B, V], seen)``, see ``lj.decode``.
        state: a pytree of arrays with the batch as first axis.
        start: the token that the first step reads; one for all rows, or one per row.
        end: the token that ends a row; None for rows of ``max_steps`` tokens.
        max_steps: T, static; the loop stops as soon as all rows have ended.
        pad: the token after the end; None for the end token.

    Raises:
        ValueError or TypeError: naming the argument, at trace time.
    """
    plan = make_plan(step, state, start, end, pad, max_steps)
    return decode_by(lambda t, logits: jnp.argmax(logits, axis=-1), step, plan)


@default_promotion
def sample(
    step: Step,
    state: Any,
    key: PRNGKeyArray,
    *,
    start: int | Integer[AnyArray, "B"],
    end: int | None,
    max_steps: int,
    temperature: float | Float[AnyArray, ""] = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    pad: int | None = None,
) -> Decoded:
    """Tokens drawn from the model, row by row and step by step.

    ``scores`` are those of the model itself, before temperature and filters.

    Args:
        key: row b draws the token of step t with ``fold_in(fold_in(key, b), t)``, so that its
            noise depends neither on other rows nor on how many there are.
        temperature: above 0; the logits are divided by it. Below 1 likely tokens become likelier,
            and near 0 the most probable token is always drawn. It may be traced, and is then
            assumed to be 0 or more, 0 being that limit.
        top_k: draw only among the k most probable tokens (``keep_top_k``).
        top_p: then only among the nucleus of what is left (``keep_nucleus``).
        step, state, start, end, max_steps, pad: as in ``greedy``.

    Raises:
        ValueError or TypeError: naming the argument, at trace time.
    """
    plan = make_plan(step, state, start, end, pad, max_steps)
    key = checking.random_key("key", key)
    plan = plan._replace(axes=plan.axes | varying.axes_of(key))
    temperature = _temperature(temperature)
    if top_k is not None:
        _count("top_k", top_k, plan.logits.shape[-1])
    if top_p is not None:
        _share("top_p", top_p)
    rows = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(plan.batch))

    def choose(t: jax.Array, logits: jax.Array) -> jax.Array:
        logits = _divide(logits.astype(plan.score_dtype), temperature)
        if top_k is not None:
            logits = keep_top_k(logits, top_k)
        if top_p is not None:
            logits = keep_nucleus(logits, top_p)
        keys = jax.vmap(jax.random.fold_in, (0, None))(rows, t)
        return jax.vmap(jax.random.categorical)(keys, logits)

    return decode_by(choose, step, plan)


@default_promotion
def keep_top_k(logits: Float[AnyArray, "*rows V"], k: int) -> Float[Array, "*rows V"]:
    """``logits`` with -inf for all but the ``k`` greatest; of equal ones the first are kept.

    Fan et al. 2018, "Hierarchical neural story generation", section 5.

    Raises:
        ValueError: for a k outside 1 to V.
    """
    logits = checking.float_array("logits", logits, "[*rows, V]", 1)
    best, index = jax.lax.top_k(logits, _count("k", k, logits.shape[-1]))
    nothing = jnp.full_like(logits, -jnp.inf)
    return jnp.put_along_axis(nothing, index, best, axis=-1, inplace=False)


@default_promotion
def keep_nucleus(logits: Float[AnyArray, "*rows V"], p: float) -> Float[Array, "*rows V"]:
    """``logits`` with -inf outside the nucleus: the fewest tokens, most probable first, whose
    probabilities sum to ``p`` or more (Holtzman et al. 2020, section 3.1, "top-p").

    The most probable token is always kept.

    Raises:
        ValueError: for a p outside (0, 1].
    """
    logits = checking.float_array("logits", logits, "[*rows, V]", 1)
    if _share("p", p) == 1:
        return logits
    best, index = jax.lax.top_k(logits, logits.shape[-1])
    probabilities = jnp.exp(log_probabilities(best))
    after = jnp.cumsum(probabilities, axis=-1)
    before = jnp.concatenate([jnp.zeros_like(after[..., :1]), after[..., :-1]], axis=-1)
    kept = (before < p).at[..., 0].set(True)  # even if it is NaN
    return jnp.put_along_axis(
        logits, index, jnp.where(kept, best, -jnp.inf), axis=-1, inplace=False
    )


def _temperature(value: Any) -> Any:
    """A known temperature as a float above 0, a traced one from 0 up."""
    if isinstance(value, jax.core.Tracer):
        if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
            got = f"{value.dtype} of shape {value.shape}"
            raise WrongValue(f"temperature: expected one floating number, got {got}")
        return jnp.maximum(value, 0.0)
    if checking.real("temperature", value) <= 0:
        raise WrongValue(f"temperature: expected a number above 0, got {value}")
    return float(value)


def _divide(logits: jax.Array, temperature: Any) -> jax.Array:
    """``logits``, less the greatest of them, over ``temperature``: the greatest becomes 0, and only
    tokens of no probability overflow. NaN stays NaN, and a row of -inf stays -inf."""
    if isinstance(temperature, float):
        temperature = min(temperature, float(jnp.finfo(logits.dtype).max))
    high = jnp.max(logits, axis=-1, keepdims=True)
    below = logits - high
    # Not 0 / 0 if the temperature rounds to zero, nor inf / inf if it rounds to infinity.
    divided = jnp.where(below == -jnp.inf, below, below / jnp.asarray(temperature, logits.dtype))
    return jnp.where(
        (logits == high) & (high > -jnp.inf), 0.0, jnp.where(high == -jnp.inf, logits, divided)
    )


def _count(argument: str, value: Any, vocabulary: int) -> int:
    if checking.positive_int(argument, value) > vocabulary:
        raise WrongValue(f"{argument}: expected 1 to the vocabulary's {vocabulary}, got {value}")
    return int(value)


def _share(argument: str, value: Any) -> float:
    if not 0 < checking.real(argument, value) <= 1:
        raise WrongValue(f"{argument}: expected a share above 0, up to 1, got {value}")
    return float(value)
