"""Cells from cells: each function takes cells and returns one."""

from lstm_jax.compose.attentive import AttentiveState, attentive
from lstm_jax.compose.layers import BidirectionalState, bidirectional, chain, residual
from lstm_jax.compose.noise import CountedState, drop_connect, dropout
from lstm_jax.compose.weights import initialize, learned_state, mixed_precision
from lstm_jax.compose.zoneout import zoneout

__all__ = [
    "AttentiveState",
    "BidirectionalState",
    "CountedState",
    "attentive",
    "bidirectional",
    "chain",
    "drop_connect",
    "dropout",
    "initialize",
    "learned_state",
    "mixed_precision",
    "residual",
    "zoneout",
]
