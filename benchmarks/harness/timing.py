"""Turns about: every contender once a round, so that a slow minute of the machine meets all."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax._internal.errors import WrongValue

WARM_UP_SECONDS = 2.0
LEAST_ROUNDS = 3
REST_SECONDS = 0.002  # idle threads of the contender before go on spinning for about so long
MATRIX_SIZE = 2048


def alternate(
    calls: Mapping[str, Callable[[], object]], rounds: int, budget: float
) -> dict[str, list[float]]:
    """Milliseconds of each call in each round, after one call of each that does not count.

    Within a round the order is random, since what ran before leaves its mark on the caches.

    budget: seconds; past them no round begins, though there are at least three.
    """
    for call in calls.values():
        call()
    order = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + budget
    for done in range(max(rounds, 1)):
        if done >= LEAST_ROUNDS and time.perf_counter() > end:
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
    """The median over rounds of their time divided by ours: above 1 we are faster."""
    if len(other) != len(ours):
        raise WrongValue(f"expected as many of each, got {len(other)} and {len(ours)} rounds")
    return float(np.median(np.divide(other, ours)))


def geometric_mean(ratios: Iterable[float]) -> float | None:
    """None of nothing."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else None


def matrix_product() -> tuple[Callable[[], object], float]:
    """A large float32 product on one JAX device, which has all cores' threads, and its FLOPs."""
    a = jnp.ones((MATRIX_SIZE, MATRIX_SIZE), jnp.float32)
    product = jax.jit(jnp.matmul).lower(a, a).compile()
    return lambda: jax.block_until_ready(product(a, a)), 2.0 * MATRIX_SIZE**3


def warm_up(seconds: float = WARM_UP_SECONDS) -> None:
    """Work for all cores, so that the first contender does not meet a machine at rest."""
    call, _ = matrix_product()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        call()
