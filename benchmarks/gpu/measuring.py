"""Shared by the measurements: deadlines, contenders that may fail, comparison on the device."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.harness import timing
from benchmarks.harness.build import Disagreement, require_near
from lstm_jax.unrolling.methods import METHODS

Emit = Callable[[dict[str, Any]], None]  # writes a record of a measurement
MESSAGE_LENGTH = 300  # characters of an error that are kept


class Deadline:
    """The time limit of a section."""

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return max(self._end - time.monotonic(), 0.0)


def eligible_methods(cell: lj.Cell, input_size: int) -> list[str]:
    """The methods that can run the cell, with the one that "auto" chooses first."""
    params = jax.eval_shape(lambda key: cell.init(key, input_size), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((2, 1, input_size), jnp.float32)
    names = []
    for method in METHODS:
        try:
            jax.eval_shape(lambda p, x, m=method: lj.unroll(cell, p, x, method=m), params, xs)
        except ValueError:
            continue
        names.append(method)
    return names


def run_concurrently(
    make: Mapping[str, Callable[[], Any]],
) -> tuple[dict[str, Any], dict[str, str]]:
    """The results of the calls, and the reasons of those that fail.

    The calls run concurrently, since they spend their time compiling.
    """
    made, failed = {}, {}
    with ThreadPoolExecutor(max(len(make), 1)) as pool:
        futures = {name: pool.submit(call) for name, call in make.items()}
    for name, future in futures.items():
        error = future.exception()
        if error is None:
            made[name] = future.result()
        else:
            failed[name] = describe_error(error)
    return made, failed


def describe_error(error: BaseException) -> str:
    """The error in one line; running out of RAM is the expected one."""
    text = " ".join(str(error).split())
    kind = "out of memory" if is_out_of_memory(error) else type(error).__name__
    return f"{kind}: {text}"[:MESSAGE_LENGTH]


def is_out_of_memory(error: BaseException) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error) or "OutOfMemory" in type(error).__name__


class _Failed(Exception):
    def __init__(self, name: str, error: Exception):
        self.name, self.error = name, error


def alternate(
    calls: Mapping[str, Callable[[], Any]], rounds: int, budget: float
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """``timing.alternate`` for the calls that run, and the reasons of those that fail."""

    def guard(name: str, call: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            try:
                call()
            except Exception as error:  # a contender may raise anything
                raise _Failed(name, error) from error

        return run

    left, failed = dict(calls), dict[str, str]()
    while True:
        try:
            guards = {name: guard(name, call) for name, call in left.items()}
            return timing.alternate(guards, rounds, budget), failed
        except _Failed as failure:
            failed[failure.name] = describe_error(failure.error)
            del left[failure.name]


@jax.jit
def _distance(got: Any, expected: Any) -> jax.Array:
    got, expected = got.astype(jnp.float32), expected.astype(jnp.float32)
    return jnp.max(jnp.abs(got - expected)) / jnp.max(jnp.abs(expected))


def require_same(name: str, what: str, got: Any, expected: Any, tolerance: float) -> float:
    """The largest difference, as a share of the largest value of ``expected``.

    Raises:
        Disagreement: if it is above ``tolerance``, or not a number.
    """
    if got.shape != expected.shape:
        raise Disagreement(f"{name}: {what}: expected shape {expected.shape}, got {got.shape}")
    distance = float(_distance(jnp.asarray(got), jnp.asarray(expected)))
    require_near(name, what, distance, tolerance)
    return distance


def round_times(times: Iterable[float]) -> list[float]:
    return [round(value, 4) for value in times]
