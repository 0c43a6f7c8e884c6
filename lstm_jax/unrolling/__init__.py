"""Unrolling over time: the driver, the methods, packing, and truncated backpropagation."""

from lstm_jax.unrolling.driver import explain, unroll
from lstm_jax.unrolling.methods.deferred_options import Deferred
from lstm_jax.unrolling.packing import Packed, pack, unpack
from lstm_jax.unrolling.streams import Stream, stream
from lstm_jax.unrolling.truncated import unroll_truncated

__all__ = [
    "Deferred",
    "Packed",
    "Stream",
    "explain",
    "pack",
    "stream",
    "unpack",
    "unroll",
    "unroll_truncated",
]
