"""Sequences of symbols, drawn on the device, to be rearranged: reversal and sorting."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.pairs.data import PairBatch
from lstm_jax.tasks.settings import under_default_settings
from lstm_jax.tasks.task import held_out_key
from lstm_jax.tasks.vocabulary import END, PAD, SPECIALS, Vocabulary

FIRST = len(SPECIALS)  # the id of symbol 1
HELD_OUT = 1000  # pairs in each of validation and test


class SymbolTask(NamedTuple):
    """A task on sequences of the symbols 1 to K, whose ids are 4 to K + 3.

    sample: ``(key, batch_size) -> PairBatch`` of S = max_length and T = max_length + 1, lengths
        uniform from min_length to max_length; pure, and jittable with a static batch size. The
        same key gives the same batch.
    validation, test: held-out batches of the same kind, the same in every run. No training key
        is one of their keys; there are so few of the shortest sequences that training meets them
        all.
    test_at: ``(length, n) -> PairBatch``, n pairs of exactly this length, at most twice
        max_length: held out too, different for each length, the same in every run.
    chance: ``(length) -> float``, the exact match of the best answer that knows the length alone.
    """

    name: str
    vocabulary: Vocabulary
    max_length: int
    sample: Callable[[Key[Array, ""], int], PairBatch]
    validation: PairBatch
    test: PairBatch
    test_at: Callable[[int, int], PairBatch]
    chance: Callable[[int], float]


def symbol_task(
    name: str,
    rearrange: Callable[[jax.Array, jax.Array], jax.Array],
    chance: Callable[[int, int], float],
    symbols: int,
    min_length: int,
    max_length: int,
) -> SymbolTask:
    """The task whose targets are ``rearrange(source [S, B], lengths [B])``, ``[S, B]``.

    Args:
        name: without the options, which are added.
        rearrange: what it gives past a row's length does not matter.
        chance: ``(symbols, length) -> float``, as ``SymbolTask.chance`` of the length.
        symbols, min_length, max_length: as in ``reversal`` and ``sorting``.
    """
    symbols = checking.positive_int("symbols", symbols)
    min_length = checking.positive_int("min_length", min_length)
    max_length = checking.positive_int("max_length", max_length)
    if max_length < min_length:
        raise WrongValue(
            f"max_length: expected at least min_length, {min_length}, got {max_length}"
        )

    def draw(key: jax.Array, batch_size: int, shortest: int, longest: int) -> PairBatch:
        # One call of the generator for all: its compile time is most of the program's.
        low = jnp.array([FIRST] * longest + [shortest])[:, None]
        high = jnp.array([FIRST + symbols] * longest + [longest + 1])[:, None]
        drawn = jax.random.randint(key, (longest + 1, batch_size), low, high, jnp.int32)
        lengths, step = drawn[longest], jnp.arange(longest + 1)[:, None]
        source = jnp.where(step[:longest] < lengths, drawn[:longest], PAD)
        body = jnp.pad(rearrange(source, lengths), ((0, 1), (0, 0)))
        target = jnp.where(step < lengths, body, jnp.where(step == lengths, END, PAD))
        return PairBatch(source, lengths, target.astype(jnp.int32), lengths + 1)

    @under_default_settings
    def sample(key: Key[Array, ""], batch_size: int) -> PairBatch:
        key = checking.random_key("key", key)
        batch_size = checking.positive_int("batch_size", batch_size)
        return draw(key, batch_size, min_length, max_length)

    def at_length(length: int) -> int:
        length = checking.positive_int("length", length)
        if length > 2 * max_length:
            raise WrongValue(f"length: expected up to twice max_length, {max_length}, got {length}")
        return length

    @under_default_settings
    def test_at(length: int, n: int) -> PairBatch:
        length, n = at_length(length), checking.positive_int("n", n)
        return draw(jax.random.fold_in(held_out_key("test"), length), n, length, length)

    return SymbolTask(
        name=f"{name}({symbols} symbols, {min_length} to {max_length})",
        vocabulary=Vocabulary((*SPECIALS, *(str(symbol + 1) for symbol in range(symbols)))),
        max_length=max_length,
        sample=sample,
        validation=sample(held_out_key("validation"), HELD_OUT),
        test=sample(held_out_key("test"), HELD_OUT),
        test_at=test_at,
        chance=lambda length: chance(symbols, at_length(length)),
    )


def mask(source: Int[Array, "S B"], lengths: Int[Array, "B"]) -> jax.Array:
    """True within each row's length ``[S, B]``."""
    return jnp.arange(source.shape[0])[:, None] < lengths
