"""Training many seeds at once with vmap: training steps per second of all seeds together.

It trains an LSTM on adding, as ``python -m experiments adding`` does.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.gpu import measuring
from benchmarks.gpu.measuring import Deadline, Emit


class Sizes(NamedTuple):
    seeds: tuple[int, ...] = (1, 64, 16, 4)  # the most important first
    length: int = 100
    batch: int = 32
    size: int = 64
    steps: int = 20  # training steps in one call
    rounds: int = 7
    budget: float = 12.0


SMALL = Sizes((1, 4), length=8, batch=2, size=4, steps=2, rounds=3, budget=1.0)


def run(sizes: Sizes, emit: Emit, clock: Deadline) -> None:
    """Emits a record for each number of seeds, after rounds in which all take turns."""
    programs, errors = measuring.run_concurrently(
        {str(count): partial(compile_training, count, sizes) for count in sizes.seeds}
    )
    budget = min(sizes.budget, clock.left())
    times, failed = measuring.alternate(programs, sizes.rounds, budget)
    errors |= failed
    for name in map(str, sizes.seeds):
        labels = {"seeds": int(name), "steps": sizes.steps, "length": sizes.length,
                 "batch": sizes.batch, "size": sizes.size}  # fmt: skip
        if name in times:
            emit({**labels, "ms": measuring.round_times(times[name])})
        else:
            emit({**labels, "error": errors[name]})


def compile_training(count: int, sizes: Sizes) -> Any:
    """Compiles a call that trains ``count`` seeds for some steps, and waits for them."""
    import optax

    from lstm_jax import tasks, train

    model = train.recurrent(lj.lstm(sizes.size), 2, 1)
    task = tasks.make("adding", length=sizes.length)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))

    def chunk(state: Any, key: Any) -> Any:
        return train.take_steps(
            model, task, optimizer, state, key, steps=sizes.steps, batch_size=sizes.batch
        )

    keys = jax.vmap(jax.random.key)(jnp.arange(count))
    states = jax.vmap(partial(train.start, model, optimizer))(keys)
    compiled = jax.jit(jax.vmap(chunk)).lower(states, keys).compile()
    return lambda: jax.block_until_ready(compiled(states, keys))
