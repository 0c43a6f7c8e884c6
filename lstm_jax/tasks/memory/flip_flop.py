"""The flip-flop language: one bit of memory that is written, read, and otherwise left alone."""

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.classes import accuracy_score, accuracy_success, cross_entropy, one_hot
from lstm_jax.tasks.ranges import single_length
from lstm_jax.tasks.task import HELD_OUT, Batch, Task, drawn_task

SYMBOLS = "wri01"  # their order in the inputs: write, read, ignore, and the two bits
WRITE, READ, IGNORE, ZERO, _ = range(len(SYMBOLS))

Two = tuple[jax.Array, jax.Array]


def flip_flop(length: int = 64, ignore: float = 0.8) -> Task:
    """The flip-flop language FFL(ignore) of Liu et al. 2023, "Exposing attention glitches with
    flip-flop language modeling"::

        inputs   w 1 i 0 i 0 r 1 w 0 i 1 r 0
        targets  - - - - - - 1 - - - - - 0 -

    Instructions and bits take turns. The first instruction writes, and the last reads; the others
    write or read with equal probability if they do not ignore. The bit after a write or an ignore
    is 0 or 1, each as likely; the bit after a read is the last one written. Inputs ``[T, B, 5]``:
    the symbols w r i 0 1, one-hot. Targets ``[T, B]``: at each r the bit that follows, and nothing
    elsewhere (-1). Loss is the cross-entropy, score the accuracy; the task counts as solved above
    0.99.

    The paper has T = 512 and ignore = 0.8, and tests on 0.98 and 0.1 too (``flip_flop(512,
    0.98).test``); its networks learn every next symbol, and are judged at the reads.

    The bit is 0 as often as 1, and r tells nothing of it: chance and memoryless are 1/2.

    Args:
        length: T, even and at least 4.
        ignore: the probability that an instruction is to ignore, below 1.
    """
    length = _length(length)
    ignore = checking.rate("ignore", ignore)
    writes = ignore + (1 - ignore) / 2  # up to here, instructions ignore or write

    def draw(key: jax.Array, batch_size: int, length: int) -> Batch:
        # One call of the generator for all: each takes a third of a second to compile.
        uniform = jax.random.uniform(key, (length, batch_size))
        turns = jnp.arange(length // 2)[:, None]
        instructions = jnp.where(
            uniform[0::2] < ignore, IGNORE, jnp.where(uniform[0::2] < writes, WRITE, READ)
        )
        last = turns == length // 2 - 1
        instructions = jnp.where(turns == 0, WRITE, jnp.where(last, READ, instructions))
        bits = (uniform[1::2] < 0.5).astype(jnp.int32)
        _, stored = jax.lax.scan(_register, bits[0], (instructions, bits))
        reads = instructions == READ
        bits = jnp.where(reads, stored, bits)
        symbols = jnp.stack([instructions, ZERO + bits], axis=1).reshape(length, batch_size)
        asked = jnp.stack([jnp.where(reads, bits, -1), jnp.full_like(bits, -1)], axis=1)
        return Batch(one_hot(symbols, len(SYMBOLS)), asked.reshape(length, batch_size))

    return drawn_task(
        f"flip_flop({length}, ignore {ignore!r})",
        lambda key, batch_size: draw(key, batch_size, length),
        input_size=len(SYMBOLS),
        output_size=2,
        loss=cross_entropy,
        score=accuracy_score(chance=0.5, memoryless=0.5),
        reads="every",
        success=accuracy_success(0.99, HELD_OUT, "lstm_jax"),
        draw_at=lambda key, n, length: draw(key, n, _length(length)),
    )


def _register(stored: jax.Array, turn: Two) -> Two:
    """The bit that is stored, after each turn."""
    instruction, bit = turn
    stored = jnp.where(instruction == WRITE, bit, stored)
    return stored, stored


def _length(length: int) -> int:
    length = int(single_length(length, remainder=0)[0])
    if length < 4:
        raise WrongValue(f"length: expected at least 4, a write and a read, got {length}")
    return length
