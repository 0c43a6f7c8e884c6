"""How a beam search ranks: by log-probabilities, corrected for length and for coverage."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.decode.stepping import Plan


class Penalties(NamedTuple):
    """The penalties of Wu et al. 2016, section 7, eq. 14.

    length: alpha.
    coverage: beta.
    places: the places of the memory that count ``[B, S]``; None without a coverage penalty.
    """

    length: float
    coverage: float
    places: jax.Array | None

    def score(self, sums: jax.Array, length: Any, covered: jax.Array | None) -> jax.Array:
        """The scores of hypotheses ``[B, n]``.

        Args:
            covered: the sums of their attention weights over steps ``[B, n, S]``.
        """
        scores = sums / self._factor(length, sums.dtype)
        if covered is None or self.places is None:
            return scores
        logs = jnp.log(jnp.clip(covered, jnp.finfo(covered.dtype).tiny, 1.0))
        logs = jnp.where(self.places[:, None], logs, 0.0)
        return scores + self.coverage * logs.sum(axis=-1).astype(scores.dtype)

    def bound(self, sums: jax.Array, length: jax.Array, max_steps: int) -> jax.Array:
        """The best score that any of ``sums [B, n]``, ``length`` tokens long, can still reach.

        It does if it loses nothing more, all places get covered, and it ends at the length that
        suits it best, which is the next or the last.
        """
        best = sums.max(axis=-1)
        lengths = (length + 1, max_steps)
        return jnp.maximum(*(best / self._factor(n, sums.dtype) for n in lengths))

    def _factor(self, length: Any, dtype: Any) -> jax.Array:
        return ((5.0 + jnp.asarray(length, dtype)) / 6.0) ** self.length


def penalties(plan: Plan, length: Any, coverage: Any, weights: Any, memory_mask: Any) -> Penalties:
    """Checks the arguments: ``weights`` gives ``[B, S]`` for ``seen``, the mask is ``[S, B]``."""
    length = checking.real("length_penalty", length)
    if checking.real("coverage_penalty", coverage) < 0:
        raise WrongValue(f"coverage_penalty: expected 0 or more, got {coverage}")
    places = _places(plan, weights, memory_mask) if coverage else None
    return Penalties(length, float(coverage), places)


def _places(plan: Plan, weights: Any, memory_mask: Any) -> jax.Array:
    found = plan.seen if weights is None else jax.eval_shape(weights, plan.seen)
    shape = getattr(found, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != plan.batch:
        raise WrongValue(
            f"weights: expected a function that gives [B, S] with B = {plan.batch}, got {found}"
        )
    if memory_mask is None:
        return jnp.ones(shape, bool)
    mask = checking.array("memory_mask", memory_mask)
    if mask.dtype != jnp.bool_ or mask.shape != shape[::-1]:
        raise WrongValue(
            f"memory_mask: expected bool of [S, B], {shape[::-1]}, got "
            f"{mask.dtype.name} of shape {mask.shape}"
        )
    return mask.T
