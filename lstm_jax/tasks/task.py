"""What a task is: where its data come from, what is minimised, and what is reported."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

Reads = Literal["last", "every"]


class Batch(NamedTuple):
    """Sequences that are learnt or scored together.

    xs: what a model is shown, such as ``[T, B, D]``.
    targets: what the task asks for, such as numbers ``[B]`` or classes ``[B]``.
    """

    xs: Any
    targets: Any


class Score(NamedTuple):
    """The number that is reported, apart from the loss that is minimised.

    name: with its unit, such as "MSE" or "accuracy".
    measure: ``(answers, batch) -> []``, a mean over the batch.
    chance: the score of the best constant answer, which needs no memory at all.
    """

    name: str
    measure: Callable[[jax.Array, Batch], jax.Array]
    higher_is_better: bool
    chance: float

    @property
    def direction(self) -> str:
        return "higher is better" if self.higher_is_better else "lower is better"

    def or_worst(self, scores: Sequence[Any]) -> np.ndarray:
        """``scores`` as an array of any shape, with the worst possible score, plus or minus
        infinity, for None and NaN: of a run that diverged."""
        worst = -np.inf if self.higher_is_better else np.inf
        values = np.array(scores, float)
        return np.where(np.isfinite(values), values, worst)


class Task(NamedTuple):
    """A benchmark task: pure functions and held-out data.

    name: what tables and folders call it, its options included, such as "adding(100)".
    sample: ``(key, batch_size) -> Batch``, training data drawn on the device; pure, and
        jittable with a static batch size. The same key gives the same batch.
    validation, test: held-out data, the same in every run. Training never sees them, and
        choices (learning rates, when to stop) are made on validation alone.
    loss: ``(outputs, batch) -> []``, differentiable.
    input_size, output_size, reads: what a cell with a linear readout is made for, with outputs
        ``[B, O]`` at the "last" step or ``[T, B, O]`` at "every" step; sizes are 0 where the task
        is for models of another kind.
    """

    name: str
    input_size: int
    output_size: int
    sample: Callable[[Key[Array, ""], int], Batch]
    validation: Batch
    test: Batch
    loss: Callable[[jax.Array, Batch], jax.Array]
    score: Score
    reads: Reads = "last"


def held_out_key(split: Literal["validation", "test"]) -> Key[Array, ""]:
    """The fixed key from which a synthetic task draws a held-out split.

    ``jax.random.key(seed)`` of a 32-bit seed has a zero in its first word; this one has not, so
    no training seed can be equal to it. The generator is pinned: the data are part of the task.
    """
    word = {"validation": 0, "test": 1}[split]
    return jax.random.wrap_key_data(jnp.array([1997, word], jnp.uint32), impl="threefry2x32")
