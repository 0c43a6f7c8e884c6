"""Sequence-to-sequence tasks, whose data are pairs of sequences (``data``)."""

from lstm_jax.tasks.pairs.data import (
    PairBatch,
    Pairs,
    Width,
    batches,
    choose_widths,
    exact_match,
    host_generator,
    matches,
    pad,
)
from lstm_jax.tasks.pairs.task import PairTask
from lstm_jax.tasks.vocabulary import END, PAD, SPECIALS, START, UNKNOWN, Vocabulary

__all__ = [
    "END",
    "PAD",
    "SPECIALS",
    "START",
    "UNKNOWN",
    "PairBatch",
    "PairTask",
    "Pairs",
    "Vocabulary",
    "Width",
    "batches",
    "choose_widths",
    "exact_match",
    "host_generator",
    "matches",
    "pad",
]
