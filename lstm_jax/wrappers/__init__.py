"""Wrappers: functions that take cells and return a cell."""

from lstm_jax.wrappers.layers import BidirectionalState, bidirectional, chain, residual
from lstm_jax.wrappers.mogrifier import mogrifier
from lstm_jax.wrappers.noise import CountedState, drop_connect, dropout
from lstm_jax.wrappers.weights import initialize, learned_state, mixed_precision
from lstm_jax.wrappers.zoneout import zoneout

__all__ = [
    "BidirectionalState",
    "CountedState",
    "bidirectional",
    "chain",
    "drop_connect",
    "dropout",
    "initialize",
    "learned_state",
    "mixed_precision",
    "mogrifier",
    "residual",
    "zoneout",
]
