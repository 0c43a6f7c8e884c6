"""The two-sequence problem: a sign at the start, then nothing but noise on the same line."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.logistic import largest_error, squared_error
from lstm_jax.tasks.task import Batch, Score, Sequences, Success, Task, drawn_task

VARIANCE = 0.2  # of the noise
ROWS = 256  # of the test set that the paper's criterion is checked on


def two_sequence(n: int = 3, length: int = 100) -> Task:
    """Experiment 3a of Hochreiter & Schmidhuber 1997, section 5.3, after Bengio, Simard & Frasconi
    1994.

    ::

        step       1    2    3     4     5  ...  last
        x          1    1    1   0.3  -0.6  ...  -0.2       class 1
        target                                     1
        x         -1   -1   -1  -0.1   0.9  ...   0.5       class 2
        target                                     0

    Inputs ``Sequences`` of ``[T + T // 10, B, 1]``: the class's 1 or -1, then Gaussian noise of
    mean 0 and variance 0.2. Targets ``[B]``: 1.0 or 0.0, each half of the time, at the last step.

    Loss: half the squared error of the logistic output. Score: accuracy, an output above 0.5
    meaning class 1; the last element tells nothing, so chance is the best memoryless answer too.
    Success (the paper's ST2): of 256 held-out sequences none is off by 0.2 or more, and their mean
    absolute error is below 0.01. Validation has these 256. ``test_at(length, n)``: n sequences of
    exactly this length.

    Args:
        n: N, the number of elements that tell the class.
        length: T, longer than n; sequences are T to ``T + T // 10`` long, uniformly.
    """
    informative = checking.positive_int("n", n)
    length = checking.positive_int("length", length)

    def require_longer(length: int) -> int:
        if length <= informative:
            raise WrongValue(f"length: expected more than n = {informative}, got {length}")
        return length

    def draw(key: jax.Array, batch_size: int, shortest: int, longest: int) -> Batch:
        key_noise, key_class = jax.random.split(key)
        noise = jnp.sqrt(VARIANCE) * jax.random.normal(key_noise, (longest, batch_size))
        uniform = jax.random.uniform(key_class, (2, batch_size))
        targets = jnp.floor(2 * uniform[0])
        lengths = shortest + jnp.floor((longest - shortest + 1) * uniform[1]).astype(jnp.int32)
        step = jnp.arange(longest)[:, None]
        values = jnp.where(step < informative, 2 * targets - 1, noise)
        return Batch(Sequences(values[..., None], lengths), targets)

    return drawn_task(
        f"two_sequence(n={informative}, T={require_longer(length)})",
        lambda key, batch_size: draw(key, batch_size, length, length + length // 10),
        input_size=1,
        output_size=1,
        loss=squared_error,
        score=Score("accuracy", accuracy, higher_is_better=True, chance=0.5, memoryless=0.5),
        success=Success(
            largest_error,
            limit=0.2,
            mean_limit=0.01,
            rows=ROWS,
            source="Hochreiter & Schmidhuber 1997, experiment 3a",
        ),
        draw_at=lambda key, rows, length: draw(key, rows, require_longer(length), length),
        held_out=ROWS,
    )


def right(outputs: Float[Array, "B 1"], batch: Batch) -> Bool[Array, "B"]:
    return (outputs[:, 0] > 0) == (batch.targets > 0.5)


def accuracy(outputs: Float[Array, "B 1"], batch: Batch) -> Float[Array, ""]:
    return jnp.mean(right(outputs, batch), dtype=jnp.float32)
