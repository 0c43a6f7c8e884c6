"""What does ``train.fit`` cost beside a bare loop over the same jitted steps?

    python -m benchmarks.studies.fit
    python -m benchmarks.studies.fit reviews

Prints medians of paired rounds, each an epoch: the bare loop, whose batches lie ready in memory;
``fit``, without a progress bar and with one; and their ratios. "reviews" has the shapes of movie
reviews (50 rows of 20 tokens, an embedding of 100 and an LSTM of 100), "ragged" has rows of 10 to
50 tokens in four buckets, and "ptb" those of the small model of Zaremba et al. 2014 (2 layers of
200, 20 streams, windows of 20, a vocabulary of 10,000).
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.table import Table

import lstm_jax as lj
from benchmarks.harness.timing import alternate, median, paired_ratio
from lstm_jax import train
from lstm_jax.train.data.buckets import epoch_batches, make_buckets

ROUNDS, SECONDS = 15, 60.0
KEY = jax.random.key(0)


class Case(NamedTuple):
    """What is trained, and the batches of an epoch."""

    model: train.Model
    optimizer: optax.GradientTransformation
    data: Any
    batch_size: int
    batches: list[Any]


def rows(longest: int, shortest: int, count: int = 10_000) -> Case:
    """Texts with one of two classes."""
    vocabulary, batch_size = 15_000, 50
    rng = np.random.default_rng(0)
    texts = [
        rng.integers(0, vocabulary, length) for length in rng.integers(shortest, longest + 1, count)
    ]
    data = train.Dataset(texts, rng.integers(0, 2, count))
    model = train.network(
        lj.lstm(100), train.inputs.embedding(vocabulary, 100), train.heads.classification(2)
    )
    buckets = make_buckets(data.lengths, 4, batch_size)
    batches = [
        data.read(item.rows, item.real, buckets[item.bucket].longest)
        for item in epoch_batches(buckets, batch_size, (0, 0), 0)
    ]
    return Case(model, optax.adam(1e-3), data, batch_size, batches)


def ptb(windows: int = 60) -> Case:
    """A language model whose state is carried."""
    vocabulary, streams, window = 10_000, 20, 20
    text = np.random.default_rng(0).integers(0, vocabulary, streams * window * windows)
    data = train.Streams(text, window=window)
    model = train.network(
        lj.chain(lj.lstm(200), lj.lstm(200)),
        train.inputs.embedding(vocabulary, 200),
        train.heads.classification(vocabulary),
        reads="every",
    )
    arranged = data.arrange(streams)
    batches = [arranged.read(number) for number in range(len(arranged))]
    optimizer = optax.chain(optax.clip_by_global_norm(5.0), optax.sgd(1.0))
    return Case(model, optimizer, data, streams, batches)


CASES: dict[str, Callable[[], Case]] = {
    "reviews": lambda: rows(20, 20),
    "ragged": lambda: rows(50, 10),
    "ptb": ptb,
}


def bare_loop(case: Case) -> Callable[[], Any]:
    """An epoch as a few lines of a user's script."""

    def loss_of(params: Any, carry: Any, batch: Any) -> Any:
        if carry is None:
            outputs = case.model.apply(params, batch.xs)
        else:
            assert case.model.stream is not None
            carry, outputs = case.model.stream(params, carry, batch.xs)
        values = optax.softmax_cross_entropy_with_integer_labels(outputs, batch.targets)
        return jnp.where(batch.counts, values, 0).sum() / batch.counts.sum(), carry

    def step(params: Any, state: Any, carry: Any, batch: Any) -> Any:
        (loss, carry), gradient = jax.value_and_grad(loss_of, has_aux=True)(params, carry, batch)
        updates, state = case.optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, carry, loss

    jitted = jax.jit(step, donate_argnums=(0, 1, 2))

    def epoch() -> Any:
        params = case.model.init(KEY)
        state = case.optimizer.init(params)
        carry = None
        if case.model.initial_state is not None:
            carry = case.model.initial_state(params, case.batch_size)
        losses = []
        for batch in case.batches:
            params, state, carry, loss = jitted(params, state, carry, batch)
            losses.append(loss)
        return jax.block_until_ready((params, np.mean(jax.device_get(losses))))

    return epoch


def measure(name: str) -> list[str]:
    """One row of the table."""
    case = CASES[name]()

    def fit(progress: bool) -> Any:
        return train.fit(
            case.model, case.data, loss="cross_entropy", optimizer=case.optimizer, epochs=1,
            batch_size=case.batch_size, key=KEY, progress=progress,
        )  # fmt: skip

    calls = {
        "bare": bare_loop(case),
        "fit": lambda: fit(False),
        "bar": lambda: fit(True),
    }
    for call in calls.values():
        call()  # compiles
    times = alternate(calls, ROUNDS, SECONDS)
    steps = len(case.batches)
    return [
        name,
        str(steps),
        *(f"{median(times[which]) / steps:.2f}" for which in calls),
        *(f"{paired_ratio(times[which], times['bare']):.3f}" for which in ("fit", "bar")),
    ]


def main(names: list[str]) -> None:
    """Prints the table."""
    device = jax.devices()[0].device_kind
    title = f"one epoch on {device}, jax {jax.__version__}"
    table = Table(
        "data", "steps", "bare loop, ms per step", "fit", "fit with a bar", "fit / bare",
        "with a bar / bare", title=title,
    )  # fmt: skip
    for name in names or CASES:
        table.add_row(*measure(name))
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
