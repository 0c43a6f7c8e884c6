"""A sequence-to-sequence task: pairs to train on, what is minimised, and what is reported."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array, Key

from lstm_jax.tasks.pairs.data import PairBatch
from lstm_jax.tasks.task import Score, Success


class PairTask(NamedTuple):
    """A benchmark task for an encoder-decoder: pure functions and held-out pairs.

    source_size, target_size: the numbers of tokens in the two vocabularies, the specials
        included. A model's outputs are ``[T, B, target_size]``, one row for each target token.
    sample: ``(key, batch_size) -> PairBatch``. S and T of ``validation`` and ``test`` may be
        others than those of ``sample``.
    loss: ``(outputs, batch) -> []``, differentiable.
    score, scores: of the answers of whatever model the task is for, such as the tokens that it
        decodes.
    name, validation, test, success: as in ``AnyTask``.

    ``tasks.check(task)`` finds out whether a task keeps to this.
    """

    name: str
    source_size: int
    target_size: int
    sample: Callable[[Key[Array, ""], int], PairBatch]
    validation: PairBatch
    test: PairBatch
    loss: Callable[[jax.Array, PairBatch], jax.Array]
    score: Score
    success: Success | None = None
    scores: tuple[Score, ...] = ()

    @property
    def answers_axis(self) -> None:
        """What an answer is, and which of its axes is the batch's, is up to the model."""
        return None
