"""Training batches from a finite set of rows."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Int, Key

from lstm_jax._internal import checking
from lstm_jax.tasks.settings import under_default_settings
from lstm_jax.tasks.task import B


def sample_rows(
    count: int, take: Callable[[Int[Array, "B"]], B]
) -> Callable[[Key[Array, ""], int], B]:
    """The ``sample`` of a task whose training data are ``count`` rows, drawn with replacement.

    Args:
        take: ``(rows [B]) -> batch``, the rows at these places.
    """

    @under_default_settings
    def sample(key: Key[Array, ""], batch_size: int) -> B:
        key = checking.random_key("key", key)
        batch_size = checking.positive_int("batch_size", batch_size)
        return take(jax.random.randint(key, (batch_size,), 0, count))

    return sample
