"""Reversal: write the symbols of a sequence in the opposite order."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from lstm_jax.tasks.pairs.symbols import SymbolTask, symbol_task


def reversal(symbols: int = 10, *, min_length: int = 1, max_length: int = 20) -> SymbolTask:
    """Sequence reversal as in Grefenstette et al. 2015, "Learning to transduce with unbounded
    memory", section on experiments; exact match is their coarse-grained accuracy.

    Chance: an exact match in ``K ** -L`` of the sequences of length L, and one symbol in K, for
    every answer that does not look at the source.

    Args:
        symbols: K, drawn independently and uniformly, with repetition.
        min_length, max_length: lengths L are uniform between the two, both included.
    """
    return symbol_task("reversal", reverse, chance, symbols, min_length, max_length)


def reverse(source: Int[Array, "S B"], lengths: Int[Array, "B"]) -> Int[Array, "S B"]:
    """Each row in the opposite order, within its length."""
    places = lengths - 1 - jnp.arange(source.shape[0])[:, None]
    return jnp.take_along_axis(source, jnp.maximum(places, 0), axis=0)


def chance(symbols: int, length: int) -> float:
    return float(symbols) ** -length
