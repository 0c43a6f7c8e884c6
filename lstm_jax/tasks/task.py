"""What a task is: where its data come from, what is minimised, and what is reported."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from lstm_jax._internal import checking
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.tasks.settings import default_settings, under_default_settings

Reads = Literal["last", "every"]

HELD_OUT = 1000  # sequences in each of validation and test


class Sequences(NamedTuple):
    """What a model is shown if rows differ in length.

    values: anything may stand past a row's length.
    lengths: at least 1.
    """

    values: Float[Array, "T B D"]
    lengths: Int[Array, "B"]


class Batch(NamedTuple):
    """Sequences that are learnt or scored together.

    xs: what a model is shown: ``[T, B, D]``, or ``Sequences`` if rows differ in length.
    targets: what the task asks for, such as numbers ``[B]``, classes ``[B]`` or classes
        ``[T, B]``, of which -1 asks for nothing.
    """

    xs: Any
    targets: Any


@runtime_checkable
class AnyBatch(Protocol):
    """What batches of every kind have: ``xs``, what a model is shown."""

    @property
    def xs(self) -> Any: ...


B = TypeVar("B", bound=AnyBatch)


class Score(NamedTuple):
    """The number that is reported, apart from the loss that is minimised.

    name: with its unit, such as "MSE" or "accuracy".
    measure: ``(answers, batch) -> []``, a mean over the batch, which is a ``Batch`` of a ``Task``
        or a ``PairBatch`` of a ``PairTask``.
    chance: the score of the best constant answer, which looks at nothing.
    memoryless: the score of the best answer that looks only at the current step; at the last step,
        if answers come there. None if a task has no such answer.
    """

    name: str
    measure: Callable[[jax.Array, Any], jax.Array]
    higher_is_better: bool
    chance: float
    memoryless: float | None = None

    @property
    def direction(self) -> str:
        return "higher is better" if self.higher_is_better else "lower is better"

    def or_worst(self, scores: Sequence[Any]) -> np.ndarray:
        """``scores`` as an array of any shape, with the worst possible score, plus or minus
        infinity, for None and NaN: of a run that diverged."""
        worst = -np.inf if self.higher_is_better else np.inf
        values = np.array(scores, float)
        return np.where(np.isfinite(values), values, worst)


class Success(NamedTuple):
    """When a task counts as solved: every row's error is below ``limit``, and their mean below
    ``mean_limit``.

    error: ``(answers, batch) -> [B]``, such as the largest absolute error of a row's outputs.
    limit, mean_limit: infinity if the criterion has no such part.
    rows: the number of sequences.
    on: "held-out" data, or the "training" stream, each sequence before it is learnt from, where
        the last ``rows`` of them count.
    source: where the criterion comes from.
    window_counts: on training, whether those last ``rows`` belong to the sequences to success;
        False if the source counts only the training before them.
    """

    error: Callable[[jax.Array, Any], jax.Array]
    limit: float
    mean_limit: float
    rows: int
    source: str
    on: Literal["held-out", "training"] = "held-out"
    window_counts: bool = True

    @default_promotion
    def met(self, answers: jax.Array, batch: AnyBatch) -> Bool[Array, ""]:
        """Whether the criterion holds on ``batch``, whatever its number of rows; False for NaN."""
        errors = self.error(answers, batch)
        return jnp.all(errors < self.limit) & (jnp.mean(errors) < self.mean_limit)


@runtime_checkable
class AnyTask(Protocol[B]):
    """What tasks of every kind share, whatever their batches are: all that training looks at.

    A ``Task`` has a ``Batch`` of sequences beside targets, for a cell with a readout; a
    ``PairTask`` has a ``PairBatch``, for an encoder-decoder.

    name: what tables and folders call it, its options included, such as "adding(100)".
    sample: ``(key, batch_size) -> batch``, training data drawn on the device; pure, and
        jittable with a static batch size. The same key gives the same batch.
    validation, test: held-out data, the same in every run. Training never sees them, and
        choices (learning rates, when to stop) are made on validation alone.
    loss: ``(outputs, batch) -> []``, differentiable.
    score: the score that decides, such as on a learning rate.
    success: when the task counts as solved; None if it has no such criterion.
    scores: further scores, which are reported beside ``score``. Their names are all different.
    answers_axis: the axis of the rows in a model's answers, along which answers to a few rows at
        a time are put together; None if each model has its own.
    """

    @property
    def name(self) -> str: ...

    @property
    def sample(self) -> Callable[[Key[Array, ""], int], B]: ...

    @property
    def validation(self) -> B: ...

    @property
    def test(self) -> B: ...

    @property
    def loss(self) -> Callable[[jax.Array, B], jax.Array]: ...

    @property
    def score(self) -> Score: ...

    @property
    def success(self) -> Success | None: ...

    @property
    def scores(self) -> tuple[Score, ...]: ...

    @property
    def answers_axis(self) -> int | None: ...


class Task(NamedTuple):
    """A benchmark task for a cell with a readout: pure functions and held-out data.

    input_size, output_size, reads: what a cell with a linear readout is made for, with outputs
        ``[B, O]`` at the "last" step (of each row) or ``[T, B, O]`` at "every" step.
    test_at: ``(length, n) -> Batch``, n held-out sequences of exactly this length (of about it
        if a task says so), perhaps longer than the trained ones, the same in every run; the task
        says what is long, such as a lag. None if there is only one length.
    name, sample, validation, test, loss, score, success, scores: as in ``AnyTask``.

    ``tasks.check(task)`` finds out whether a task keeps to this.
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
    success: Success | None = None
    test_at: Callable[[int, int], Batch] | None = None
    scores: tuple[Score, ...] = ()

    @property
    def answers_axis(self) -> int:
        """Answers are ``[B, ...]`` at the last step, ``[T, B, ...]`` at every step."""
        return 0 if self.reads == "last" else 1


class DrawnSample:
    """``sample`` of a task whose sequences are drawn: ``(key, batch_size) -> Batch``, compiled."""

    def __init__(self, draw: Callable[[jax.Array, int], Batch]):
        # One program compiles faster than each of its operations, and runs faster.
        self._compiled = jax.jit(under_default_settings(draw), static_argnums=1)

    def __call__(self, key: Key[Array, ""], batch_size: int) -> Batch:
        key = checking.random_key("key", key)
        batch_size = checking.positive_int("batch_size", batch_size)
        with default_settings():
            return self._compiled(key, batch_size)


def drawn_task(
    name: str,
    draw: Callable[[jax.Array, int], Batch],
    *,
    input_size: int,
    output_size: int,
    loss: Callable[[jax.Array, Batch], jax.Array],
    score: Score,
    reads: Reads = "last",
    success: Success | None = None,
    draw_at: Callable[[jax.Array, int, int], Batch] | None = None,
    scores: tuple[Score, ...] = (),
    held_out: int = HELD_OUT,
) -> Task:
    """A task whose sequences are all drawn in the same way: training, validation and test.

    Args:
        draw: ``(key, batch_size) -> Batch``, pure, written with jax.numpy and jax.random. It runs
            under JAX's default settings, whatever the caller's are (``settings``): a draw of
            floats is float32.
        draw_at: ``(key, batch_size, length) -> Batch``, the same at one length; ``test_at`` draws
            by it.
        held_out: sequences in each of validation and test.
        name, input_size, output_size, loss, score, reads, success, scores: as in ``Task``.
    """
    sample = DrawnSample(draw)
    compiled_at = None
    if draw_at is not None:
        compiled_at = jax.jit(under_default_settings(draw_at), static_argnums=(1, 2))

    def test_at(length: int, n: int) -> Batch:
        length, n = checking.positive_int("length", length), checking.positive_int("n", n)
        assert compiled_at is not None
        with default_settings():
            return compiled_at(jax.random.fold_in(held_out_key("test"), length), n, length)

    return Task(
        name=name,
        input_size=input_size,
        output_size=output_size,
        sample=sample,
        validation=sample(held_out_key("validation"), held_out),
        test=sample(held_out_key("test"), held_out),
        loss=loss,
        score=score,
        reads=reads,
        success=success,
        test_at=None if draw_at is None else test_at,
        scores=scores,
    )


def held_out_key(split: Literal["validation", "test"]) -> Key[Array, ""]:
    """The fixed key from which a synthetic task draws a held-out split.

    ``jax.random.key(seed)`` of a 32-bit seed has a zero in its first word; this one does not, so
    no training seed can be equal to it. The generator is pinned: the data are part of the task.
    """
    word = {"validation": 0, "test": 1}[split]
    return jax.random.wrap_key_data(jnp.array([1997, word], jnp.uint32), impl="threefry2x32")
