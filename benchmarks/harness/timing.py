"""Timing in turns: every contender runs once per round, so that a slow minute affects all alike."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import WrongValue

WARM_UP_SECONDS = 2.0
MIN_ROUNDS = 3
REST_SECONDS = 0.002  # the previous contender's idle threads keep spinning for about this long
MATRIX_SIZE = 2048


def alternate(
    calls: Mapping[str, Callable[[], object]], rounds: int, budget: float
) -> dict[str, list[float]]:
    """Milliseconds of each call in each round, after one untimed call of each.

    The order within a round is random, since each call affects the caches for the next.

    Args:
        calls: The calls by name.
        rounds: The number of rounds.
        budget: Seconds after which no further round starts, except for the first three.
    """
    for call in calls.values():
        call()
    order = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + budget
    for done in range(max(rounds, 1)):
        if done >= MIN_ROUNDS and time.perf_counter() > end:
            break
        for name in order.permutation(list(calls)):
            time.sleep(REST_SECONDS)
            start = time.perf_counter()
            calls[name]()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def median(values: Sequence[float]) -> float:
    return float(np.median(values))


def paired_ratio(other: Sequence[float], ours: Sequence[float]) -> float:
    """The median over rounds of the other time divided by ours: above 1, ours is faster."""
    if len(other) != len(ours):
        raise WrongValue(f"other: expected as many rounds as ours, {len(ours)}, got {len(other)}")
    return float(np.median(np.divide(other, ours)))


def geometric_mean(ratios: Iterable[float]) -> float | None:
    """The geometric mean; None if there are no ratios."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else None


def matrix_product() -> tuple[Callable[[], object], float]:
    """A large float32 product on one JAX device, which uses all cores, and its FLOPs."""
    a = jnp.ones((MATRIX_SIZE, MATRIX_SIZE), jnp.float32)
    product = jax.jit(jnp.matmul).lower(a, a).compile()
    return lambda: jax.block_until_ready(product(a, a)), 2.0 * MATRIX_SIZE**3


def warm_up(seconds: float = WARM_UP_SECONDS) -> None:
    """Keeps all cores busy, so that the first contender does not start on an idle machine."""
    call, _ = matrix_product()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        call()
